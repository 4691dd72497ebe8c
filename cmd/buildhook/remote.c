/* Git's smart HTTP protocol, version 0: "4-hex-digit-length payload" lines. (gitprotocol-http(5))
 */
#include "remote.h"

#include "fetch.h"

#include "base/mem.h"

#include <stdio.h>

#define TIMEOUT_MS       10000
#define MAX_ANSWER_BYTES ((size_t)16 * 1024 * 1024)
#define MAX_URL_BYTES    4096

/* The next packet's payload; a flush packet ("0000") is empty. False at the end and at what is
 * none. */
static bool next_packet(struct str *rest, struct str *out)
{
	unsigned long n = 0;

	if (rest->n < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = rest->p[i];
		const char *digit = c ? strchr("0123456789abcdef", c | 0x20) : NULL;

		if (!digit)
			return false;
		n = n * 16 + (unsigned long)(digit - "0123456789abcdef");
	}
	if (n != 0 && (n < 4 || n > rest->n))
		return false;
	*out = n ? str_range(rest->p + 4, n - 4) : (struct str){0};
	n = n ? n : 4;
	*rest = str_range(rest->p + n, rest->n - n);
	return true;
}

static bool is_commit(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!((text.p[i] >= '0' && text.p[i] <= '9') ||
		      (text.p[i] >= 'a' && text.p[i] <= 'f')))
			return false;
	return text.n == 40 || text.n == 64;
}

/* Finds REF's commit in the bytes of an answer. Pure. */
static int parse_refs(char *commit, struct str answer, const char *ref, struct err *err)
{
	struct str line;
	bool is_found = false, is_service = false;

	while (next_packet(&answer, &line)) {
		size_t space = str_find_char(line, ' ');
		struct str id = str_range(line.p, space), name;

		is_service |= str_starts(line, STR("# service=git-upload-pack"));
		if (space == line.n || !is_commit(id))
			continue;
		name = str_range(line.p + space + 1, line.n - space - 1);
		name.n = str_find_char(name, '\0');
		name.n = str_find_char(name, '\n');
		/* "refs/tags/v1^{}" is the commit that the annotated tag before it points at. */
		bool is_peeled = str_ends(name, STR("^{}"));

		if (is_peeled)
			name.n -= 3;
		if (!str_eq(name, str_of(ref)) || (is_found && !is_peeled))
			continue;
		(void)snprintf(commit, REMOTE_COMMIT_CHARS + 1, "%.*s", STR_ARG(id));
		is_found = true;
	}
	if (is_found)
		return 0;
	if (!is_service)
		return err_set(err, ERR_UNAVAILABLE, "the answer is not one of a Git server's");
	return err_set(err, ERR_NOTFOUND, "the repository has no %.100s", ref);
}

int remote_find(char *commit, struct loop *loop, const char *uri, const char *ref, struct err *err)
{
	CLEANUP(fetch_release) struct fetch_answer answer = {0};
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL_BYTES);
	struct str base = str_of(uri);

	if (!str_starts(base, STR("https://")) && !str_starts(base, STR("http://")))
		return err_set(err, ERR_UNAVAILABLE, "only http and https can be asked");
	if (strchr(uri, '@') || strchr(uri, '?') || strchr(uri, '#'))
		return err_set(err, ERR_UNAVAILABLE, "the address has a user or a query in it");
	while (base.n > 0 && base.p[base.n - 1] == '/')
		base.n--;
	buf_printf(&url, "%.*s/info/refs?service=git-upload-pack", STR_ARG(base));
	if (fetch(&answer, loop,
		  &(struct fetch_request){.method = "GET",
					  .url = url.data,
					  .timeout_ms = TIMEOUT_MS,
					  .max_bytes = MAX_ANSWER_BYTES},
		  err) != 0)
		return err->code;
	if (answer.status == 0)
		return err_set(err, ERR_UNAVAILABLE, "%s", answer.err.msg);
	if (answer.status != 200)
		return err_set(err, ERR_UNAVAILABLE, "the Git server answers %d%s", answer.status,
			       answer.status == 401 || answer.status == 404
				       ? ": it is private, or not there"
				       : "");
	return parse_refs(commit, buf_str(&answer.body), ref, err);
}
