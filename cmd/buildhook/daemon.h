/*
 * `serve` and `build-controller` share this: flags, the log, a process whose secrets stay out of
 * core dumps, and the admin port.
 */
#pragma once

#include "admin.h"
#include "flags.h"

extern const char *const daemon_log_formats[];
extern const char *const daemon_log_levels[];

/* Lines of a table of flags. MEMBER(x) is the offset of x. */
#define DAEMON_KUBECONFIG_FLAGS(MEMBER)                                                            \
	{"kubeconfig",                                                                             \
	 FLAG_STRING,                                                                              \
	 MEMBER(kubeconfig),                                                                       \
	 "FILE",                                                                                   \
	 "where the API server is (default: the Pod's own, then $KUBECONFIG, then "                \
	 "~/.kube/config)",                                                                        \
	 NULL},                                                                                    \
	{                                                                                          \
		"context", FLAG_STRING, MEMBER(context), "NAME",                                   \
			"context of the kubeconfig (default: its current one)", NULL               \
	}
#define DAEMON_LOG_FLAGS(MEMBER)                                                                   \
	{"log-format",                                                                             \
	 FLAG_STRING,                                                                              \
	 MEMBER(log_format),                                                                       \
	 "text|json",                                                                              \
	 "(default json where stderr is no terminal)",                                             \
	 daemon_log_formats},                                                                      \
	{                                                                                          \
		"log-level", FLAG_STRING, MEMBER(log_level), "LEVEL",                              \
			"debug, info, warn or error (default info)", daemon_log_levels             \
	}

/* The first thing of the process. FORMAT may be NULL; LEVEL is one of daemon_log_levels. */
void daemon_begin(const char *format, const char *level);
/* Serves ADMIN, which is borrowed, at ADDRESS. */
int daemon_listen_admin(struct http_server **out, struct loop *loop, const char *address,
			struct admin *admin, struct err *err);
