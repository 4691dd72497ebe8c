/*
 * The event loop over libevent. Sockets are watched level-triggered, for reading, for writing or
 * for neither; timers are the clock's, of which the loop waits for the earliest.
 */
#include "net/loop.h"

#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
	struct event_base *base;
	struct clock *clock;
	struct event *alarm;    /* ends the wait when the clock's next timer is due */
	int64_t alarm_due_ms;   /* monotonic; what ALARM is set to */
	int64_t round_began_ms; /* of this round's first callback; -1 before it */
	int64_t worst_round_ms;
	bool is_stopping;
};

/* Two events: adding LOOP_WRITE to a socket that is read then costs one system call instead of
 * two. */
struct loop_watch {
	struct loop *loop;
	struct event reader; /* also the event of a signal */
	struct event writer;
	int what;
	void (*on_ready)(void *arg, int what);
	void (*on_signal)(void *arg, int signo);
	void *arg;
};

struct loop_wakeup {
	struct loop_watch *watch;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

static void begin_round(struct loop *loop)
{
	if (loop->round_began_ms >= 0)
		return;
	loop->round_began_ms = clock_mono_ms(loop->clock);
	log_hold();
}

static void end_round(struct loop *loop)
{
	if (loop->round_began_ms < 0)
		return;
	log_unhold();
	int64_t took = clock_mono_ms(loop->clock) - loop->round_began_ms;
	if (took > loop->worst_round_ms)
		loop->worst_round_ms = took;
	loop->round_began_ms = -1;
}

/* Only ends the wait: run_timers() follows each wait. */
static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop *loop = arg;
	loop->alarm_due_ms = -1;
}

struct loop *loop_new(struct clock *clock)
{
	/* OpenSSL writes with write(2): a peer that has closed must give EPIPE, not SIGPIPE. */
	(void)signal(SIGPIPE, SIG_IGN);

	struct event_config *config = event_config_new();
	mem_require(config);
	mem_require(!event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK));
	mem_require(!event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV));
	struct loop *loop = mem_new(1, sizeof(*loop));
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	mem_require(loop->base);
	loop->clock = clock;
	loop->alarm = evtimer_new(loop->base, on_alarm, loop);
	mem_require(loop->alarm);
	loop->alarm_due_ms = -1;
	loop->round_began_ms = -1;
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	event_free(loop->alarm);
	event_base_free(loop->base);
	free(loop);
}

struct clock *loop_clock(struct loop *loop)
{
	return loop->clock;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}

/* Returns the milliseconds until the next timer, or -1. */
static int64_t run_timers(struct loop *loop)
{
	int64_t next_ms = clock_next_ms(loop->clock);
	if (next_ms != 0)
		return next_ms;
	begin_round(loop);
	clock_run(loop->clock);
	return clock_next_ms(loop->clock);
}

static void set_alarm(struct loop *loop, int64_t next_ms)
{
	if (next_ms < 0) {
		mem_require(!event_del(loop->alarm));
		loop->alarm_due_ms = -1;
		return;
	}
	int64_t due_ms = clock_mono_ms(loop->clock) + next_ms;
	if (due_ms == loop->alarm_due_ms)
		return;
	struct timeval wait = {.tv_sec = next_ms / 1000, .tv_usec = next_ms % 1000 * 1000};
	mem_require(!event_add(loop->alarm, &wait));
	loop->alarm_due_ms = due_ms;
}

void loop_run(struct loop *loop)
{
	loop->is_stopping = false;
	while (!loop->is_stopping) {
		int64_t next_ms = run_timers(loop);
		end_round(loop);
		if (loop->is_stopping)
			break;
		int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
		if (next_ms == 0)
			flags |= EVLOOP_NONBLOCK;
		else
			set_alarm(loop, next_ms);
		mem_require(event_base_loop(loop->base, flags) >= 0);
	}
	end_round(loop);
}

int64_t loop_take_stall_ms(struct loop *loop)
{
	int64_t worst = loop->worst_round_ms;
	loop->worst_round_ms = 0;
	return worst;
}

/* The callback may free the watch, so it comes last. */
static void on_event(evutil_socket_t fd, short events, void *arg)
{
	struct loop_watch *watch = arg;
	begin_round(watch->loop);
	if (events & EV_SIGNAL)
		watch->on_signal(watch->arg, (int)fd);
	else
		watch->on_ready(watch->arg, events & EV_READ ? LOOP_READ : LOOP_WRITE);
}

static void set_event(struct event *event, bool want, bool have)
{
	if (want != have)
		mem_require(!(want ? event_add(event, NULL) : event_del(event)));
}

void loop_watch_change(struct loop_watch *watch, int what)
{
	set_event(&watch->writer, what & LOOP_WRITE, watch->what & LOOP_WRITE);
	set_event(&watch->reader, what & LOOP_READ, watch->what & LOOP_READ);
	watch->what = what;
}

struct loop_watch *loop_watch_fd(struct loop *loop, int fd, int what,
				 void (*fn)(void *arg, int what), void *arg)
{
	assert(fd >= 0);
	struct loop_watch *watch = mem_new(1, sizeof(*watch));
	watch->loop = loop;
	watch->on_ready = fn;
	watch->arg = arg;
	mem_require(!event_assign(&watch->reader, loop->base, fd, EV_READ | EV_PERSIST, on_event,
				  watch));
	mem_require(!event_assign(&watch->writer, loop->base, fd, EV_WRITE | EV_PERSIST, on_event,
				  watch));
	loop_watch_change(watch, what);
	return watch;
}

struct loop_watch *loop_on_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo),
				  void *arg)
{
	struct loop_watch *watch = mem_new(1, sizeof(*watch));
	watch->loop = loop;
	watch->on_signal = fn;
	watch->arg = arg;
	mem_require(!evsignal_assign(&watch->reader, loop->base, signo, on_event, watch));
	set_event(&watch->reader, true, false);
	watch->what = LOOP_READ;
	return watch;
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch)
		return;
	loop_watch_change(watch, 0);
	free(watch);
}

static void on_wake(void *arg, int what)
{
	(void)what;
	struct loop_wakeup *wakeup = arg;
	uint64_t wakes;
	/* Nothing to read: another round has taken the wake-ups already. */
	if (read(wakeup->fd, &wakes, sizeof(wakes)) == sizeof(wakes))
		wakeup->fn(wakeup->arg);
}

struct loop_wakeup *loop_wakeup_new(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_wakeup *wakeup = mem_new(1, sizeof(*wakeup));
	wakeup->fn = fn;
	wakeup->arg = arg;
	wakeup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	mem_require(wakeup->fd >= 0);
	wakeup->watch = loop_watch_fd(loop, wakeup->fd, LOOP_READ, on_wake, wakeup);
	return wakeup;
}

void loop_wakeup_free(struct loop_wakeup *wakeup)
{
	if (!wakeup)
		return;
	loop_watch_free(wakeup->watch);
	close(wakeup->fd);
	free(wakeup);
}

void loop_wake(void *wakeup)
{
	const struct loop_wakeup *self = wakeup;
	uint64_t one = 1;
	/* EAGAIN: the counter is at its maximum, so the loop wakes up anyway. */
	ssize_t n = write(self->fd, &one, sizeof(one));
	(void)n;
}
