/*
 * Runs a command of this program for the page and keeps what it prints, so that a button does what
 * the command of its name does.
 */
#pragma once

#include "base/buf.h"
#include "net/loop.h"

struct ui_run;

/*
 * Starts this program with ARGV (argv[0] included, NULL-terminated, copied). DONE(ARG, status,
 * output) once, not from within this call: the exit status (-1: it could not be started, or took
 * over a minute) and stdout with stderr, which may hold a secret and is lent until DONE returns.
 */
struct ui_run *ui_run_start(struct loop *loop, const char *const *argv,
			    void (*done)(void *arg, int status, struct str output), void *arg);
/* Ends the command where it still runs; DONE is not called then. Also to be called after DONE, but
 * not from within it. */
void ui_run_free(struct ui_run *run);
