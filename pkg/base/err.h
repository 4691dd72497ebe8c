/*
 * Errors: few codes, which say what the caller can do, and one line of text for a person. The text
 * is lower case, names what was found and what was expected, and never holds a secret. Untrusted
 * text in it is quoted and cut.
 */
#pragma once

enum err_code {
	ERR_OK = 0,
	ERR_INVALID = -1, /* the input is wrong; trying again changes nothing */
	ERR_DENIED = -2,  /* not allowed: 401, 403, EACCES */
	ERR_NOTFOUND = -3,
	ERR_EXISTS = -4,
	ERR_CONFLICT = -5,    /* based on something that has changed: look again */
	ERR_EXPIRED = -6,     /* 410: the version asked for is gone */
	ERR_LIMIT = -7,       /* a bound of ours or a 429 */
	ERR_UNAVAILABLE = -8, /* cannot be done now: unreachable, 5xx, disk full */
	ERR_INTERNAL = -9,
};

struct err {
	int code; /* enum err_code */
	char msg[256];
};

/*
 * Fills ERR (which may be NULL) and returns CODE, so that it can be returned at once. Too long a
 * text is cut at a character. An argument may be ERR's own message.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " before the message. Returns the code in ERR; ERR_INTERNAL where ERR is NULL. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
