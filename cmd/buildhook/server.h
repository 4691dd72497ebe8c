/* The running `buildhook serve`: pkg/app with its sockets, signals and metrics. */
#pragma once

#include "options.h"

struct server;

/* OPTIONS are borrowed. Returns 0 or the exit status, with one line in ERR. */
int server_new(struct server **out, const struct serve_options *options, struct err *err);
/* Runs until a signal or a failure; returns the exit status. */
int server_run(struct server *server);
void server_free(struct server *server);
