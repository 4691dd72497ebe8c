#include "ui_guard.h"

#include "ui_form.h"

#include "base/mem.h"
#include "crypto/crypto.h"

#include <stdio.h>

#define TOKEN_BYTES 16

bool ui_guard_is_loopback(struct str address)
{
	return str_starts(address, STR("127.")) || str_starts(address, STR("localhost:")) ||
	       str_starts(address, STR("[::1]:"));
}

static void make_token(char out[UI_TOKEN_SIZE])
{
	unsigned char bytes[TOKEN_BYTES];

	crypto_random(NULL, bytes, sizeof(bytes));
	crypto_hex(out, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
}

void ui_guard_init(struct ui_guard *guard, const char *address)
{
	const char *colon = strrchr(address, ':');

	(void)snprintf(guard->hosts[0], sizeof(guard->hosts[0]), "%s", address);
	(void)snprintf(guard->hosts[1], sizeof(guard->hosts[1]), "localhost%s", colon);
	(void)snprintf(guard->hosts[2], sizeof(guard->hosts[2]), "[::1]%s", colon);
	/* Cookies are shared by all ports of a host. */
	(void)snprintf(guard->cookie_name, sizeof(guard->cookie_name), "buildhook-%s", colon + 1);
	make_token(guard->launch);
	make_token(guard->cookie);
	make_token(guard->form);
}

bool ui_guard_is_host(const struct ui_guard *guard, struct str host)
{
	for (size_t i = 0; i < ARRAY_LEN(guard->hosts); i++)
		if (str_eq_nocase(host, str_of(guard->hosts[i])))
			return true;
	return false;
}

bool ui_guard_has_cookie(const struct ui_guard *guard, const struct http_request *request)
{
	struct str rest = http_header(request, "Cookie", NULL), part;
	struct str name = str_of(guard->cookie_name);

	while (str_next_part(&rest, ';', &part)) {
		part = str_trim(part);
		if (str_starts(part, name) && part.n > name.n && part.p[name.n] == '=' &&
		    crypto_equal(str_range(part.p + name.n + 1, part.n - name.n - 1),
				 str_of(guard->cookie)))
			return true;
	}
	return false;
}

bool ui_guard_is_from_page(const struct ui_guard *guard, const struct http_request *request,
			   struct str form)
{
	struct str origin = http_header(request, "Origin", NULL);
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(256);

	if (!str_starts(origin, STR("http://")) ||
	    !str_eq_nocase(str_without_prefix(origin, STR("http://")),
			   http_header(request, "Host", NULL)))
		return false;
	return ui_form_read(&token, form, STR("token")) &&
	       crypto_equal(buf_str(&token), str_of(guard->form));
}

bool ui_guard_take_launch(struct buf *cookie, struct ui_guard *guard, struct str token)
{
	if (!*guard->launch || !crypto_equal(token, str_of(guard->launch)))
		return false;
	explicit_bzero(guard->launch, sizeof(guard->launch));
	buf_printf(cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict", guard->cookie_name,
		   guard->cookie);
	return true;
}
