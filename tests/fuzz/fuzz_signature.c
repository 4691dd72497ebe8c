/*
 * Headers of each host, one a line, against a body that is signed with a secret nobody tells: no
 * proof may hold. The first byte says which TYPE they are sent to. A header is a letter of the
 * table and its value.
 */
#include "delivery.h"

static const char *const names[] = {
	"Content-Type",  "X-GitHub-Event",    "X-Hub-Signature-256", "X-Hub-Signature",
	"X-Gitea-Event", "X-Gitea-Signature", "X-Forgejo-Event",     "X-Forgejo-Signature",
	"X-Gogs-Event",  "X-Gogs-Signature",  "X-Gitlab-Event",      "X-Gitlab-Token",
	"webhook-id",    "webhook-timestamp", "webhook-signature",   "X-Event-Key",
	"Authorization", "Idempotency-Key",   "X-Request-Id",        "X-Request-UUID",
};

static void read_headers(struct delivery *d, struct str text)
{
	struct str line;
	size_t n = 0;

	while (n < DELIVERY_HEADERS && str_next_part(&text, '\n', &line))
		if (!str_empty(line))
			d->headers[n++] = (struct delivery_header){
				names[(unsigned char)line.p[0] % ARRAY_LEN(names)],
				str_range(line.p + 1, line.n - 1)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(4 * 1024 * 1024);
	struct delivery d = {0};

	if (size < 1)
		return 0;
	d.type = (enum hook_type)(data[0] % HOOK_TYPES);
	d.is_path_proven = data[0] & 0x80;
	read_headers(&d, str_range((const char *)data + 1, size - 1));
	d.body = STR("{\"ref\":\"refs/heads/main\"}");
	delivery_run(&out, &d, 5);
	if (!d.is_path_proven && !str_starts(buf_str(&out), STR("refused: ")))
		abort();
	return 0;
}
