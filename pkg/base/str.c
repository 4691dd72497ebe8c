/* Operations on borrowed text. Nothing here allocates but str_dup(). */
#define _GNU_SOURCE /* memmem */
#include "base/str.h"

#include "base/mem.h"

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static char lower_ascii(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	if (a.n == 0 || memcmp(a.p, b.p, a.n) == 0)
		return true;
	for (size_t i = 0; i < a.n; i++)
		if (lower_ascii(a.p[i]) != lower_ascii(b.p[i]))
			return false;
	return true;
}

/* The same byte eight times. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes at a time: the top bit of each is set where it is above 0x7e or, after the
 * subtraction, below the space. */
size_t str_count_printable(struct str s)
{
	size_t n = 0;

	for (uint64_t eight; n + sizeof(eight) <= s.n; n += sizeof(eight)) {
		memcpy(&eight, s.p + n, sizeof(eight));
		if ((eight | (eight + EACH(1)) | (eight - EACH(' '))) & EACH(0x80))
			break;
	}
	while (n < s.n && s.p[n] >= ' ' && s.p[n] <= '~')
		n++;
	return n;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_range(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	if (s.n < suffix.n || str_empty(suffix))
		return str_empty(suffix);
	return str_eq(str_range(s.p + (s.n - suffix.n), suffix.n), suffix);
}

static struct str skip(struct str s, size_t n)
{
	return n ? str_range(s.p + n, s.n - n) : s;
}

struct str str_without_prefix(struct str s, struct str prefix)
{
	return str_starts(s, prefix) ? skip(s, prefix.n) : s;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

size_t str_find_char(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

bool str_contains(struct str s, struct str needle)
{
	return str_empty(needle) || (s.n >= needle.n && memmem(s.p, s.n, needle.p, needle.n));
}

bool str_next_part(struct str *rest, char sep, struct str *part)
{
	size_t at = str_find_char(*rest, sep);

	if (str_empty(*rest))
		return false;
	*part = str_range(rest->p, at);
	*rest = skip(*rest, at < rest->n ? at + 1 : at);
	return true;
}

static bool is_dns_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool str_is_dns_subdomain(struct str s)
{
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool is_edge = i == 0 || i + 1 == s.n || s.p[i - 1] == '.' || s.p[i + 1] == '.';

		if (!is_dns_alnum(s.p[i]) && (is_edge || (s.p[i] != '-' && s.p[i] != '.')))
			return false;
	}
	return true;
}

bool str_is_dns_label(struct str s)
{
	return s.n <= 63 && str_find_char(s, '.') == s.n && str_is_dns_subdomain(s);
}

bool str_parse_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value) || value > max)
			return false;
	}
	*out = value;
	return true;
}

int str_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char str_take_escaped(struct str *s)
{
	int high = s->n > 2 && s->p[0] == '%' ? str_hex_digit(s->p[1]) : -1;
	int low = high >= 0 ? str_hex_digit(s->p[2]) : -1;
	size_t n = low >= 0 ? 3 : 1;
	char c = low >= 0 ? (char)(high * 16 + low) : s->p[0];

	*s = str_range(s->p + n, s->n - n);
	return c;
}

void str_join(char *out, size_t size, const struct str *parts, size_t n_parts)
{
	size_t room = size - 1;

	for (size_t i = 0; i < n_parts; i++) {
		size_t n = parts[i].n < room ? parts[i].n : room;

		if (n)
			memcpy(out, parts[i].p, n);
		out += n;
		room -= n;
	}
	*out = '\0';
}

char *str_dup(struct str s)
{
	char *copy = mem_resize(NULL, s.n + 1, 1);

	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

/*
 * RFC 3629, section 4: by the first byte, the length, and the range of the second byte, which is
 * narrower than 80..BF where an overlong form, a surrogate or more than U+10FFFF would begin.
 */
static size_t read_lead(unsigned char lead, unsigned char *low, unsigned char *high)
{
	*low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	*high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 3;
	return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

size_t str_decode_utf8(struct str s, uint32_t *out)
{
	const unsigned char *p = (const unsigned char *)s.p;
	static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	unsigned char low = 0, high = 0;
	uint32_t value = 0;
	size_t n = s.n ? read_lead(p[0], &low, &high) : 0;

	if (n == 0 || n > s.n || (n > 1 && (p[1] < low || p[1] > high)))
		return 0;
	value = p[0] & lead_bits[n];
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3F);
	}
	*out = value;
	return n;
}

/* How many bytes at the beginning of S are ASCII, in steps of eight. */
static size_t count_ascii(struct str s)
{
	size_t n = 0;

	for (uint64_t word = 0; n + sizeof(word) <= s.n; n += sizeof(word)) {
		memcpy(&word, s.p + n, sizeof(word));
		if (word & 0x8080808080808080U)
			break;
	}
	return n;
}

bool str_is_utf8(struct str s)
{
	uint32_t ignored = 0;

	for (size_t n = 0; s.n; s = skip(s, n)) {
		n = count_ascii(s);
		if (n == 0)
			n = str_decode_utf8(s, &ignored);
		if (n == 0)
			return false;
	}
	return true;
}

struct str str_cut_utf8(struct str s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	/* A character has at most three bytes after its first; more of them are not UTF-8 anyway.
	 */
	while (n > 0 && max - n < 3 && (s.p[n] & 0xC0) == 0x80)
		n--;
	return str_range(s.p, (s.p[n] & 0xC0) == 0x80 ? max : n);
}
