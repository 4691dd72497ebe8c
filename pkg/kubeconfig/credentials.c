/*
 * The client's identity: texts of the configuration, or files that are read again when they may
 * have changed.
 */
#include "kubeconfig/credentials.h"

#include "base/mem.h"
#include "crypto/crypto.h"
#include "crypto/pem.h"
#include "kubeconfig/file.h"

#define POLL_MS          60000
#define MAX_TOKEN_BYTES  ((size_t)4096)
#define MAX_HEADER_BYTES ((size_t)16384)
#define MAX_PEM_BYTES    ((size_t)1024 * 1024)

/* A text and the file that it comes from. The text stays what it was while the file is not usable.
 */
struct source {
	const char *path; /* NULL: the text never changes */
	struct buf text;
};

struct credentials {
	const struct kube_config *config;
	struct source ca, cert, key, token;
	int64_t read_ms;
	struct buf header; /* "Authorization: ..." */
	struct http_client_identity identity;
};

static int check_token(struct str text, struct err *err)
{
	if (str_empty(text))
		return err_set(err, ERR_INVALID, "empty, expected a token");
	for (size_t i = 0; i < text.n; i++) {
		/* A byte that is not printable ASCII could not be sent in a header, or would end
		 * it. */
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return err_set(err, ERR_INVALID, "byte %zu cannot be part of a token",
				       i + 1);
	}
	return 0;
}

static int check_cert(struct str text, struct err *err)
{
	return pem_check(text, PEM_CERTIFICATE, err);
}

static int check_key(struct str text, struct err *err)
{
	return pem_check(text, PEM_PRIVATE_KEY, err);
}

static struct str trim_lines(struct str s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && s.p[0] && strchr(" \t\r\n", s.p[0]))
		s = str_range(s.p + 1, s.n - 1);
	return s;
}

static int read_source(struct source *source, size_t limit_bytes,
		       int (*check)(struct str text, struct err *err), bool *changed,
		       struct err *err)
{
	CLEANUP(buf_wipe) struct buf file = BUF_INIT(limit_bytes);
	struct str text;

	if (!source->path)
		return 0;
	if (file_read(&file, source->path, err) < 0)
		return err->code;
	text = trim_lines(buf_str(&file));
	if (check(text, err) < 0)
		return err_wrap(err, "%s", source->path);
	if (str_eq(text, buf_str(&source->text)))
		return 0;
	buf_wipe(&source->text);
	source->text.limit = limit_bytes;
	buf_put_str(&source->text, text);
	*changed = true;
	return 0;
}

/* A key without its certificate is of no use, so of the two either both are taken or none. */
static int read_pair(struct credentials *c, bool *changed, struct err *err)
{
	CLEANUP(buf_wipe) struct buf old = BUF_INIT(MAX_PEM_BYTES);
	bool has_new_cert = false;

	buf_put_str(&old, buf_str(&c->cert.text));
	if (read_source(&c->cert, MAX_PEM_BYTES, check_cert, &has_new_cert, err) < 0)
		return err->code;
	if (read_source(&c->key, MAX_PEM_BYTES, check_key, changed, err) < 0) {
		buf_clear(&c->cert.text);
		buf_put_str(&c->cert.text, buf_str(&old));
		return err->code;
	}
	*changed |= has_new_cert;
	return 0;
}

static void put_header(const struct credentials *c, struct buf *out)
{
	CLEANUP(buf_wipe) struct buf pair = BUF_INIT(MAX_TOKEN_BYTES);
	CLEANUP(mem_wipe_str) char *text = NULL;

	if (c->token.text.len > 0) {
		buf_put_str(out, STR("Authorization: Bearer "));
		buf_put_str(out, buf_str(&c->token.text));
	} else if (c->config->username) {
		buf_printf(&pair, "%s:%s", c->config->username,
			   c->config->password ? c->config->password : "");
		text = crypto_base64((const unsigned char *)pair.data, pair.len);
		buf_put_str(out, STR("Authorization: Basic "));
		buf_put_str(out, str_of(text));
	}
}

/* The texts may be at new addresses even if they are the same. */
static void update_identity(struct credentials *c, bool has_changed)
{
	buf_wipe(&c->header);
	put_header(c, &c->header);
	c->identity = (struct http_client_identity){
		.generation = c->identity.generation + has_changed,
		.ca_pem = buf_str(&c->ca.text),
		.cert_pem = buf_str(&c->cert.text),
		.key_pem = buf_str(&c->key.text),
		.authorization = c->header.data,
	};
}

static int read_all(struct credentials *c, struct err *err)
{
	struct err ignored = {0};
	bool changed = false;
	int rc = 0;

	if (read_source(&c->token, MAX_TOKEN_BYTES, check_token, &changed, &ignored) < 0)
		rc = err_set(err, ignored.code, "token file %s", ignored.msg);
	if (read_source(&c->ca, MAX_PEM_BYTES, check_cert, &changed, &ignored) < 0)
		rc = err_set(err, ignored.code, "CA file %s", ignored.msg);
	if (read_pair(c, &changed, &ignored) < 0)
		rc = err_set(err, ignored.code, "client certificate %s", ignored.msg);
	update_identity(c, changed);
	return rc;
}

/* TEXT: the configuration's own text, if it has one. */
static int init_source(struct source *source, const char *path, struct str text, const char *name,
		       int (*check)(struct str text, struct err *err), struct err *err)
{
	source->path = path;
	source->text.limit = MAX_PEM_BYTES;
	buf_put_str(&source->text, text);
	if (!path && !str_empty(text) && check(text, err) < 0)
		return err_wrap(err, "%s", name);
	return 0;
}

static int init_sources(struct credentials *c, struct err *err)
{
	const struct kube_config *config = c->config;
	int rc = init_source(&c->ca, config->ca_file, buf_str(&config->ca_pem),
			     "certificate-authority-data", check_cert, err);

	if (rc == 0)
		rc = init_source(&c->cert, config->cert_file, buf_str(&config->cert_pem),
				 "client-certificate-data", check_cert, err);
	if (rc == 0)
		rc = init_source(&c->key, config->key_file, buf_str(&config->key_pem),
				 "client-key-data", check_key, err);
	if (rc == 0)
		rc = init_source(&c->token, config->token_file, str_of(config->token), "token",
				 check_token, err);
	return rc;
}

int credentials_new(struct credentials **out, const struct kube_config *config, int64_t now_ms,
		    struct err *err)
{
	CLEANUP(credentials_freep) struct credentials *c = mem_new(1, sizeof(*c));
	int rc = 0;

	c->config = config;
	c->read_ms = now_ms;
	c->header.limit = MAX_HEADER_BYTES;
	rc = init_sources(c, err);
	if (rc == 0)
		rc = read_all(c, err);
	if (rc < 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	buf_wipe(&credentials->ca.text);
	buf_wipe(&credentials->cert.text);
	buf_wipe(&credentials->key.text);
	buf_wipe(&credentials->token.text);
	buf_wipe(&credentials->header);
	mem_free(&credentials);
}

void credentials_freep(struct credentials **credentials)
{
	credentials_free(*credentials);
}

void credentials_refresh(struct credentials *credentials, int64_t now_ms)
{
	/*
	 * Ignore a temporarily unreadable file; the request will fail if the old credentials no
	 * longer work.
	 */
	(void)read_all(credentials, NULL);
	credentials->read_ms = now_ms;
}

void credentials_poll(struct credentials *credentials, int64_t now_ms)
{
	if (now_ms - credentials->read_ms >= POLL_MS)
		credentials_refresh(credentials, now_ms);
}

const struct http_client_identity *credentials_identity(const struct credentials *credentials)
{
	return &credentials->identity;
}
