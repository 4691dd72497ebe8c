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
#include <stdbool.h>
#include <string.h>

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
