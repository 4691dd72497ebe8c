/*
 * Decides which requests may see and use the page.
 *
 * Other programs and web pages on the same machine can reach a loopback port, too. So the printed
 * address holds a token that is valid once and is exchanged for a cookie; every request must name
 * this server as its Host (a name that an attacker's DNS points at 127.0.0.1 does not), and every
 * POST must come from this page (Origin) with the token of its form.
 */
#pragma once

#include "base/buf.h"
#include "net/http.h"

#define UI_TOKEN_SIZE 33 /* 16 bytes in hex */

struct ui_guard {
	char hosts[3][64]; /* this server, as a Host field may name it */
	char cookie_name[40];
	char launch[UI_TOKEN_SIZE]; /* token of the printed address; "" once it was used */
	char cookie[UI_TOKEN_SIZE];
	char form[UI_TOKEN_SIZE]; /* token in the forms of the page */
};

/* True if --listen's ADDRESS can be reached from this machine only. */
bool ui_guard_is_loopback(struct str address);
/* Makes the tokens. ADDRESS: that of the server, with its port. */
void ui_guard_init(struct ui_guard *guard, const char *address);

bool ui_guard_is_host(const struct ui_guard *guard, struct str host);
bool ui_guard_has_cookie(const struct ui_guard *guard, const struct http_request *request);
/* True if a POST with body FORM came from this page. */
bool ui_guard_is_from_page(const struct ui_guard *guard, const struct http_request *request,
			   struct str form);
/* Uses up the launch token: COOKIE is what Set-Cookie says then. False: TOKEN is not valid. */
bool ui_guard_take_launch(struct buf *cookie, struct ui_guard *guard, struct str token);
