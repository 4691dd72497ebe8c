/*
 * The event loop (libevent behind it): sockets, the clock's timers, signals and wake-ups from other
 * threads. Everything with a socket lives on it, on one thread; only loop_wake() may be called from
 * another.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"

struct loop;
struct loop_watch;
struct loop_wakeup;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* CLOCK (borrowed) has its timers fired by the loop. Ignores SIGPIPE. */
struct loop *loop_new(struct clock *clock);
void loop_free(struct loop *loop);
/* Until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
struct clock *loop_clock(struct loop *loop);

/*
 * FN(ARG, what) while FD is ready for WHAT (0: nothing yet), for one of the two at a time; an error
 * or the end of the peer is reported as readiness. Does not own FD, which must be open until the
 * watch is freed; that may happen in FN.
 */
struct loop_watch *loop_watch_fd(struct loop *loop, int fd, int what,
				 void (*fn)(void *arg, int what), void *arg);
void loop_watch_change(struct loop_watch *watch, int what);
void loop_watch_free(struct loop_watch *watch);

/* FN(ARG) on the loop, some time after each loop_wake(); several wakes may be one call. */
struct loop_wakeup *loop_wakeup_new(struct loop *loop, void (*fn)(void *arg), void *arg);
void loop_wakeup_free(struct loop_wakeup *wakeup);
/* From any thread. Fits journal_options.wake. */
void loop_wake(void *wakeup);

struct loop_watch *loop_on_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo),
				  void *arg);

/* The longest time, in ms, that one round of callbacks took since the last call of this function.
 */
int64_t loop_take_stall_ms(struct loop *loop);
