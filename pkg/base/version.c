/* The only file that is compiled with -DBUILDHOOK_VERSION, so that a commit recompiles little. */
#include "base/version.h"

#ifndef BUILDHOOK_VERSION
#define BUILDHOOK_VERSION "unknown"
#endif

const char version_text[] = BUILDHOOK_VERSION;
