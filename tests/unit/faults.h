/*
 * Calls of a shared library that fail when a test says so. At file level,
 *
 *     FAULT(int, fsync, (int fd), (fd), -1)
 *
 * puts a function of that name before the library's, which fault_arm(&fault_fsync, 2, EIO) lets
 * fail at the second call from then on. It is armed for that one call. Calls from within the C
 * library itself don't pass here.
 */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct fault {
	unsigned left; /* calls until it fails, that one included; 0: not armed */
	int error;     /* errno of the failed call */
};

static inline void fault_arm(struct fault *fault, unsigned at, int error)
{
	*fault = (struct fault){.left = at, .error = error};
}

/* Whether this is the call; sets errno. */
static inline bool fault_hits(struct fault *fault)
{
	if (fault->left == 0 || --fault->left > 0)
		return false;
	errno = fault->error;
	return true;
}

/* Whether it was armed and its call has not come. */
static inline bool fault_is_armed(const struct fault *fault)
{
	return fault->left > 0;
}

static inline void exit_aborted(int signo)
{
	(void)signo;
	exit(77);
}

/* Whether FN ends the process with abort(); tried in a child. */
static inline bool fault_aborts(void (*fn)(void *arg), void *arg)
{
	(void)fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		(void)signal(SIGABRT, exit_aborted);
		fn(arg);
		_exit(0);
	}
	int status = 0;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 77;
}

/* A pointer to a function can't be cast from one to data in ISO C. */
static inline void fault_find(void *out, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(out, &found, sizeof(found));
}

#define FAULT(type, name, parameters, arguments, failed)                                           \
	static struct fault fault_##name;                                                          \
	type name parameters;                                                                      \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*real) parameters;                                                     \
                                                                                                   \
		if (fault_hits(&fault_##name))                                                     \
			return failed;                                                             \
		if (!real)                                                                         \
			fault_find(&real, #name);                                                  \
		return real arguments;                                                             \
	}
