/* Secrets fetched by name and kept for a short time; they are never listed or watched. */
#include "kube/secrets.h"

#include "base/hash.h"
#include "base/mem.h"
#include "kube/secret_value.h"

#include <stdio.h>
#include <utlist.h>

#define MIN_INTERVAL_MS 1000
#define SWEEP_MS        60000
#define UNUSED_MS       600000

struct kube_secret_lookup {
	struct entry *entry;
	kube_secret_fn fn;
	void *arg;
	bool is_ready;  /* its function is called by the entry's timer */
	uint32_t round; /* the round of answers in which it became ready */
	struct kube_secret_lookup *prev, *next;
};

struct entry {
	struct kube_secrets *secrets;
	char *key; /* "namespace/name" */
	UT_hash_handle hh;
	struct secret_value value;
	struct err *error; /* error of the last fetch; NULL: none */
	uint32_t round;
	bool was_asked;
	int64_t asked_ms, used_ms;
	struct kube_call *call;
	struct timer answer;
	struct kube_secret_lookup *lookups;
};

struct kube_secrets {
	struct kube_secrets_options opt;
	struct entry *entries;
	struct timer sweep;
};

static int64_t now_of(const struct kube_secrets *secrets)
{
	return clock_mono_ms(secrets->opt.clock);
}

static struct entry *find_entry(struct kube_secrets *secrets, const char *namespace_,
				const char *name)
{
	char key[600];
	struct entry *entry = NULL;

	STR_JOIN(key, str_of(namespace_), STR("/"), str_of(name));
	HASH_FIND_STR(secrets->entries, key, entry);
	if (entry)
		entry->used_ms = now_of(secrets);
	return entry;
}

static struct entry *get_entry(struct kube_secrets *secrets, const char *namespace_,
			       const char *name)
{
	struct entry *entry = find_entry(secrets, namespace_, name);
	char key[600];

	if (entry)
		return entry;
	entry = mem_new(1, sizeof(*entry));
	STR_JOIN(key, str_of(namespace_), STR("/"), str_of(name));
	entry->secrets = secrets;
	entry->key = mem_strdup(key);
	entry->used_ms = now_of(secrets);
	HASH_ADD_KEYPTR(hh, secrets->entries, entry->key, strlen(entry->key), entry);
	return entry;
}

static void set_error(struct entry *entry, const struct err *error)
{
	mem_free(&entry->error);
	if (!error)
		return;
	entry->error = mem_new(1, sizeof(*error));
	*entry->error = *error;
}

static void free_entry(struct entry *entry)
{
	set_error(entry, NULL);
	HASH_DEL(entry->secrets->entries, entry);
	kube_cancel(entry->call);
	timer_stop(entry->secrets->opt.clock, &entry->answer);
	secret_value_release(&entry->value);
	mem_free(&entry->key);
	mem_free(&entry);
}

/* A Secret without an entry. */
static const struct kube_secret nothing = {
	.uid = "", .resource_version = "", .rotated_for = "", .problem = ""};

static void set_state(struct entry *entry, enum kube_secret_state state)
{
	secret_value_release(&entry->value);
	entry->value.known = nothing;
	entry->value.known.state = state;
	entry->value.known.fetched_ms = now_of(entry->secrets);
}

static void set_present(struct entry *entry, const cJSON *doc)
{
	secret_value_release(&entry->value);
	secret_value_read(&entry->value, doc);
	entry->value.known.fetched_ms = now_of(entry->secrets);
}

static const struct kube_secret *known_of(struct entry *entry)
{
	struct kube_secret *known = &entry->value.known;

	if (known->state == KUBE_SECRET_UNKNOWN)
		return &nothing;
	known->is_fresh = now_of(entry->secrets) - known->fetched_ms < entry->secrets->opt.ttl_ms;
	return known;
}

static struct kube_secret_lookup *find_ready(const struct entry *entry)
{
	struct kube_secret_lookup *lookup = NULL;

	DL_FOREACH (entry->lookups, lookup) {
		if (lookup->is_ready && lookup->round < entry->round)
			return lookup;
	}
	return NULL;
}

/* A lookup's function may start and cancel lookups, so the list is read again after each call.
 * Lookups that it starts are answered in the next round. */
static void on_answer(void *arg)
{
	static const struct err no_error = {0};
	struct entry *entry = arg;
	struct kube_secret_lookup *lookup = NULL;

	entry->round++;
	while ((lookup = find_ready(entry)) != NULL) {
		kube_secret_fn fn = lookup->fn;
		void *fn_arg = lookup->arg;
		struct err error = entry->error ? *entry->error : no_error;

		DL_DELETE(entry->lookups, lookup);
		mem_free(&lookup);
		fn(fn_arg, known_of(entry), &error);
	}
}

static void set_ready(struct kube_secret_lookup *lookup)
{
	struct entry *entry = lookup->entry;

	lookup->is_ready = true;
	lookup->round = entry->round;
	timer_start(entry->secrets->opt.clock, &entry->answer, 0, on_answer, entry);
}

static void answer_all(struct entry *entry)
{
	struct kube_secret_lookup *lookup = NULL;

	DL_FOREACH (entry->lookups, lookup)
		set_ready(lookup);
}

static void on_fetched(void *arg, const struct kube_response *response)
{
	struct entry *entry = arg;

	entry->call = NULL;
	set_error(entry, NULL);
	/* Decided by err.code, not by the HTTP status: a router's 404 or 403 says nothing about the
	 * Secret. */
	if (response->err.code == ERR_OK)
		set_present(entry, response->doc);
	else if (response->err.code == ERR_NOTFOUND)
		set_state(entry, KUBE_SECRET_MISSING);
	else if (response->err.code == ERR_DENIED && response->status == 403)
		set_state(entry, KUBE_SECRET_DENIED);
	else
		set_error(entry, &response->err);
	answer_all(entry);
}

static void fetch(struct entry *entry)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
	size_t n = str_find_char(str_of(entry->key), '/');

	buf_put_str(&path, STR("/api/v1/namespaces/"));
	kube_put_escaped(&path, str_range(entry->key, n));
	buf_put_str(&path, STR("/secrets/"));
	kube_put_escaped(&path, str_of(entry->key + n + 1));
	entry->was_asked = true;
	entry->asked_ms = now_of(entry->secrets);
	entry->call = kube_start(entry->secrets->opt.client,
				 &(struct kube_request){.method = KUBE_GET,
							.path = path.data,
							.is_secret = true,
							.metric_resource = "secrets"},
				 on_fetched, entry);
}

static bool is_good_enough(struct entry *entry, int64_t max_age_ms)
{
	int64_t now_ms = now_of(entry->secrets);

	if (entry->was_asked && now_ms - entry->asked_ms < MIN_INTERVAL_MS)
		return true;
	if (entry->value.known.state == KUBE_SECRET_UNKNOWN ||
	    now_ms - entry->value.known.fetched_ms >= max_age_ms)
		return false;
	set_error(entry, NULL);
	return true;
}

bool kube_secrets_is_asked(struct kube_secrets *secrets, const char *namespace_, const char *name)
{
	const struct entry *entry = find_entry(secrets, namespace_, name);

	return entry && (entry->call ||
			 (entry->was_asked && now_of(secrets) - entry->asked_ms < MIN_INTERVAL_MS));
}

struct kube_secret_lookup *kube_secrets_fetch(struct kube_secrets *secrets, const char *namespace_,
					      const char *name, int64_t max_age_ms,
					      kube_secret_fn fn, void *arg)
{
	struct entry *entry = get_entry(secrets, namespace_, name);
	struct kube_secret_lookup *lookup = mem_new(1, sizeof(*lookup));

	lookup->entry = entry;
	lookup->fn = fn;
	lookup->arg = arg;
	DL_APPEND(entry->lookups, lookup);
	if (entry->call)
		return lookup;
	if (is_good_enough(entry, max_age_ms)) {
		set_ready(lookup);
	} else {
		fetch(entry);
	}
	return lookup;
}

void kube_secrets_cancel(struct kube_secret_lookup *lookup)
{
	if (!lookup)
		return;
	DL_DELETE(lookup->entry->lookups, lookup);
	mem_free(&lookup);
}

const struct kube_secret *kube_secrets_peek(struct kube_secrets *secrets, const char *namespace_,
					    const char *name)
{
	struct entry *entry = find_entry(secrets, namespace_, name);

	return entry ? known_of(entry) : &nothing;
}

void kube_secrets_put_written(struct kube_secrets *secrets, const cJSON *doc)
{
	const char *namespace_ = json_str_at(doc, "metadata/namespace"),
		   *name = json_str_at(doc, "metadata/name");

	struct entry *entry;

	if (!namespace_ || !name)
		return;
	entry = get_entry(secrets, namespace_, name);
	/* A fetch under way may have read the Secret before the write. */
	kube_cancel(TAKE(entry->call));
	set_error(entry, NULL);
	set_present(entry, doc);
	answer_all(entry);
}

void kube_secrets_forget(struct kube_secrets *secrets, const char *namespace_, const char *name)
{
	struct entry *entry = find_entry(secrets, namespace_, name);

	if (!entry)
		return;
	set_state(entry, KUBE_SECRET_UNKNOWN);
	set_error(entry, NULL);
	entry->was_asked = false;
	/* A fetch under way may have read the Secret before the change. */
	if (entry->call) {
		kube_cancel(TAKE(entry->call));
		fetch(entry);
	}
}

static void on_sweep(void *arg)
{
	struct kube_secrets *secrets = arg;
	struct entry *entry, *next;

	HASH_ITER (hh, secrets->entries, entry, next) {
		int64_t keep_ms =
			entry->value.known.state == KUBE_SECRET_PRESENT ? UNUSED_MS : SWEEP_MS;

		if (!entry->lookups && !entry->call && now_of(secrets) - entry->used_ms > keep_ms)
			free_entry(entry);
	}
	timer_start(secrets->opt.clock, &secrets->sweep, SWEEP_MS, on_sweep, secrets);
}

struct kube_secrets *kube_secrets_new(const struct kube_secrets_options *options)
{
	struct kube_secrets *secrets = mem_new(1, sizeof(*secrets));

	secrets->opt = *options;
	timer_start(options->clock, &secrets->sweep, SWEEP_MS, on_sweep, secrets);
	return secrets;
}

void kube_secrets_free(struct kube_secrets *secrets)
{
	struct entry *entry, *next;

	if (!secrets)
		return;
	timer_stop(secrets->opt.clock, &secrets->sweep);
	HASH_ITER (hh, secrets->entries, entry, next) {
		while (entry->lookups)
			kube_secrets_cancel(entry->lookups);
		free_entry(entry);
	}
	mem_free(&secrets);
}
