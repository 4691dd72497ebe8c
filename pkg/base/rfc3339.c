/* Times as text (RFC 3339). Declared in clock.h. */
#include "base/clock.h"

#include <time.h>

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define FIRST_MS (-62167219200000)
#define LAST_MS  253402300799999

/* Puts the last N digits of VALUE, and END after them. Returns what follows. */
static char *put_digits(char *out, size_t n, unsigned value, char end)
{
	for (size_t i = n; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
	out[n] = end;
	return out + n + 1;
}

void clock_format_rfc3339(char *out, int64_t wall_ms, bool with_ms)
{
	int64_t ms = wall_ms < FIRST_MS ? FIRST_MS : wall_ms > LAST_MS ? LAST_MS : wall_ms;
	unsigned part = (unsigned)((ms - FIRST_MS) % 1000);
	time_t seconds = (time_t)((ms - (int64_t)part) / 1000);
	struct tm t = {0};

	(void)gmtime_r(&seconds, &t);
	out = put_digits(out, 4, (unsigned)(t.tm_year + 1900), '-');
	out = put_digits(out, 2, (unsigned)(t.tm_mon + 1), '-');
	out = put_digits(out, 2, (unsigned)t.tm_mday, 'T');
	out = put_digits(out, 2, (unsigned)t.tm_hour, ':');
	out = put_digits(out, 2, (unsigned)t.tm_min, ':');
	out = put_digits(out, 2, (unsigned)t.tm_sec, with_ms ? '.' : 'Z');
	if (with_ms)
		out = put_digits(out, 3, part, 'Z');
	*out = '\0';
}

/* Takes N digits off S. False unless they are there and make a number of LOW to HIGH. */
static bool take_number(struct str *s, size_t n, int low, int high, int *out)
{
	int value = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		value = value * 10 + (s->p[i] - '0');
	}
	*s = str_range(s->p + n, s->n - n);
	*out = value;
	return value >= low && value <= high;
}

/* Takes one byte off S, where it is A or B. */
static bool take_either(struct str *s, char a, char b)
{
	if (s->n == 0 || (s->p[0] != a && s->p[0] != b))
		return false;
	*s = str_range(s->p + 1, s->n - 1);
	return true;
}

static bool take_char(struct str *s, char c)
{
	return take_either(s, c, c);
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* full-date of RFC 3339, section 5.6 */
static bool take_date(struct str *s, struct tm *t)
{
	int year = 0, month = 0;

	if (!take_number(s, 4, 0, 9999, &year) || !take_char(s, '-') ||
	    !take_number(s, 2, 1, 12, &month) || !take_char(s, '-') ||
	    !take_number(s, 2, 1, days_in_month(year, month), &t->tm_mday))
		return false;
	t->tm_year = year - 1900;
	t->tm_mon = month - 1;
	return true;
}

/* partial-time without the fraction; second 60 is a leap second, read as the first
 * of the next minute. */
static bool take_time(struct str *s, struct tm *t)
{
	return take_number(s, 2, 0, 23, &t->tm_hour) && take_char(s, ':') &&
	       take_number(s, 2, 0, 59, &t->tm_min) && take_char(s, ':') &&
	       take_number(s, 2, 0, 60, &t->tm_sec);
}

/* time-secfrac, or nothing. */
static bool take_fraction(struct str *s, int64_t *ms)
{
	int digit = 0;
	int64_t weight = 100;
	size_t n = 0;

	if (!take_char(s, '.'))
		return true;
	for (; take_number(s, 1, 0, 9, &digit); n++) {
		*ms += digit * weight;
		weight /= 10;
	}
	return n >= 1 && n <= 9;
}

/* time-offset, in minutes east of UTC. */
static bool take_offset(struct str *s, int64_t *minutes)
{
	bool west = s->n > 0 && s->p[0] == '-';
	int hour = 0, minute = 0;

	if (take_either(s, 'Z', 'z'))
		return true;
	if (!take_either(s, '+', '-') || !take_number(s, 2, 0, 23, &hour) || !take_char(s, ':') ||
	    !take_number(s, 2, 0, 59, &minute))
		return false;
	*minutes = (int64_t)(hour * 60 + minute) * (west ? -1 : 1);
	return true;
}

bool clock_parse_rfc3339(struct str s, int64_t *out_wall_ms)
{
	struct tm t = {0};
	int64_t ms = 0, offset = 0;

	if (!take_date(&s, &t) || !take_either(&s, 'T', 't') || !take_time(&s, &t) ||
	    !take_fraction(&s, &ms) || !take_offset(&s, &offset) || !str_empty(s))
		return false;
	*out_wall_ms = ((int64_t)timegm(&t) - offset * 60) * 1000 + ms;
	return true;
}
