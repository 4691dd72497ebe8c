#include "kubeconfig/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int code_of(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOTFOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_INVALID;
	}
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static int fail(const char *path, int code, const char *why, struct err *err)
{
	CLEANUP(buf_release) struct buf shown = BUF_INIT(1024);

	buf_put_clean(&shown, str_of(path), 160);
	return err_set(err, code, "%s: %s", buf_text(&shown), why);
}

int file_read(struct buf *out, const char *path, struct err *err)
{
	/* O_NONBLOCK: a FIFO put there by mistake must not stop the loop. */
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char chunk[4096];
	ssize_t n = 0;

	if (fd < 0)
		return fail(path, code_of(errno), strerror(errno), err);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0 && !out->overflow)
		buf_put(out, chunk, (size_t)n);
	explicit_bzero(chunk, sizeof(chunk));
	if (n < 0)
		return fail(path, code_of(errno), strerror(errno), err);
	if (out->overflow)
		return fail(path, ERR_LIMIT, "too long", err);
	return 0;
}
