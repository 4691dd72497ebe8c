#include "git_token.h"

#include "prompt.h"
#include "target.h"

#include "base/mem.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <stdlib.h>

static int read_token_file(struct buf *out, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	char chunk[1024];
	size_t n;

	if (!file)
		return err_set(err, ERR_NOTFOUND, "--token-file %s: it cannot be read", path);
	while (!out->overflow && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_put(out, chunk, n);
	(void)fclose(file);
	explicit_bzero(chunk, sizeof(chunk));
	return 0;
}

int git_token_read(struct git_talk *talk, const char *path, struct err *err)
{
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(GIT_MAX_TOKEN_BYTES);
	CLEANUP(buf_release) struct buf question = BUF_INIT(512);
	const char *variable = getenv("BUILDHOOK_TOKEN");
	struct str text;

	buf_printf(&question, "Token for %s (%s): ", talk->api.data, talk->host->title);
	if (path) {
		if (read_token_file(&token, path, err) != 0)
			return err->code;
	} else if (variable && *variable) {
		buf_put_str(&token, str_of(variable));
	} else if (prompt_secret(&token, question.data, err) != 0) {
		return err_set(
			err, ERR_INVALID,
			"there is no token: set $BUILDHOOK_TOKEN or give --token-file. It needs "
			"%s",
			talk->host->rights);
	}
	text = buf_str(&token);
	while (text.n && strchr(" \t\r\n", text.p[text.n - 1]))
		text.n--;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7f)
			text.n = 0;
	if (token.overflow || text.n == 0)
		return err_set(err, ERR_INVALID,
			       "the token is empty, or holds characters that no token has");
	if (talk->host->type == HOOK_BITBUCKET && str_find_char(text, ':') < text.n) {
		char *basic = crypto_base64((const unsigned char *)text.p, text.n);

		buf_printf(&talk->token_field, "Authorization: Basic %s", basic);
		explicit_bzero(basic, strlen(basic));
		free(basic);
	} else {
		buf_printf(&talk->token_field, "%s%.*s", talk->host->token_field, STR_ARG(text));
	}
	return 0;
}
