#include "controller/rotation.h"

#include "crypto/crypto.h"

#include <stdio.h>

#define DIGEST_BYTES 8
#define ENTRY_BYTES  128

static bool hook_uses(const struct buildconfig *bc, int type, const char *secret)
{
	const struct buildconfig_hook *hook = &bc->hooks[type];

	for (size_t i = 0; hook->exists && i < hook->n_secrets; i++)
		if (hook->secrets[i].kind != BUILDCONFIG_SECRET_INLINE &&
		    strcmp(hook->secrets[i].text, secret) == 0)
			return true;
	return false;
}

/* "github=..." is for one TYPE; any other text, also with an equals sign, for all. */
static bool concerns(const struct buildconfig *bc, const char *secret)
{
	struct str request = str_of(bc->rotate);
	struct str type = str_range(request.p, str_find_char(request, '='));

	for (int i = 0; i < HOOK_TYPES && type.n < request.n; i++)
		if (str_eq(type, str_of(hook_type_name(i))))
			return hook_uses(bc, i, secret);
	return true;
}

static void format_entry(char out[ENTRY_BYTES], const struct buildconfig *bc)
{
	unsigned char digest[CRYPTO_SHA256_BYTES];
	const struct str request = str_of(bc->rotate);
	char hex[2 * DIGEST_BYTES + 1];

	crypto_sha256(digest, &request, 1);
	crypto_hex(hex, digest, DIGEST_BYTES);
	(void)snprintf(out, ENTRY_BYTES, "%.64s/%s", bc->uid, hex);
}

bool rotation_is_wanted(const struct buildconfig *bc, const char *secret, const char *record)
{
	char entry[ENTRY_BYTES];

	if (!*bc->rotate || !concerns(bc, secret))
		return false;
	format_entry(entry, bc);
	return !str_contains(str_of(record), str_of(entry));
}

void rotation_put_record(struct buf *out, const struct buildconfig *bc, const char *record)
{
	struct str rest = str_of(record), part;
	char entry[ENTRY_BYTES];

	while (str_next_part(&rest, ' ', &part)) {
		if (str_empty(part) || str_starts(part, str_of(bc->uid)))
			continue;
		buf_put_str(out, part);
		buf_put_char(out, ' ');
	}
	format_entry(entry, bc);
	buf_put_str(out, str_of(entry));
}
