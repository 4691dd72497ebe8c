/*
 * Characters of a request target and of the Host field (RFC 3986, RFC 9110): which ones may stand
 * there.
 */
#include "net/http_parse.h"

enum {
	TOKEN = 1,    /* tchar, RFC 9110, 5.6.2 */
	REG_NAME = 2, /* of a host name without pct-encoding, RFC 3986, 3.2.2; no ",", which joins
			 two fields */
	HEX = 4,
	DIGIT = 8,
};

static const uint8_t classes[256] = {
	['!'] = TOKEN | REG_NAME,
	['#'] = TOKEN,
	['$'] = TOKEN | REG_NAME,
	['%'] = TOKEN,
	['&'] = TOKEN | REG_NAME,
	['\''] = TOKEN | REG_NAME,
	['('] = REG_NAME,
	[')'] = REG_NAME,
	['*'] = TOKEN | REG_NAME,
	['+'] = TOKEN | REG_NAME,
	['-'] = TOKEN | REG_NAME,
	['.'] = TOKEN | REG_NAME,
	[';'] = REG_NAME,
	['='] = REG_NAME,
	['^'] = TOKEN,
	['_'] = TOKEN | REG_NAME,
	['`'] = TOKEN,
	['|'] = TOKEN,
	['~'] = TOKEN | REG_NAME,
	['0' ... '9'] = TOKEN | REG_NAME | HEX | DIGIT,
	['A' ... 'F'] = TOKEN | REG_NAME | HEX,
	['G' ... 'Z'] = TOKEN | REG_NAME,
	['a' ... 'f'] = TOKEN | REG_NAME | HEX,
	['g' ... 'z'] = TOKEN | REG_NAME,
};

static bool is(char c, int class)
{
	return classes[(uint8_t)c] & class;
}

size_t http_token_length(const char *p, size_t n)
{
	size_t i = 0;
	while (i < n && is(p[i], TOKEN))
		i++;
	return i;
}

/* The length of "[...]" at the start of S, or 0. What is between the brackets is an address or
 * nonsense; either has one reading. */
static size_t ip_literal_length(struct str s)
{
	size_t i = 1;
	while (i < s.n && (is(s.p[i], HEX) || s.p[i] == ':' || s.p[i] == '.'))
		i++;
	return i > 2 && i < s.n && s.p[i] == ']' ? i + 1 : 0;
}

static size_t reg_name_length(struct str s)
{
	size_t i = 0;
	while (i < s.n) {
		if (is(s.p[i], REG_NAME))
			i++;
		else if (s.p[i] == '%' && s.n - i > 2 && is(s.p[i + 1], HEX) && is(s.p[i + 2], HEX))
			i += 3;
		else
			break;
	}
	return i;
}

bool http_authority_is_valid(struct str authority)
{
	if (str_empty(authority))
		return false;
	size_t i =
		authority.p[0] == '[' ? ip_literal_length(authority) : reg_name_length(authority);
	if (i == 0)
		return false;
	if (i == authority.n)
		return true;
	if (authority.p[i++] != ':')
		return false;
	while (i < authority.n && is(authority.p[i], DIGIT))
		i++;
	return i == authority.n;
}
