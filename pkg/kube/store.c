/*
 * The objects of one kind. An own write is ahead of the watch until the watch reports it; events
 * that come in between are held, since they may be older than the write.
 *
 * The versions of an object are only tested for equality, so the store keeps 64-bit fingerprints of
 * them; 0 stands for a document without a resourceVersion.
 */
#include "kube/store.h"

#include "base/buf.h"
#include "base/fnv.h"
#include "base/hash.h"
#include "base/mem.h"

#include <utlist.h>

#define HOLD_MS       60000
#define MAX_KEY_BYTES 1024
/* How many replaced versions of one object are remembered: the watch may bring so many while the
 * answer to a write of ours is on its way. */
#define MAX_OLD_VERSIONS 8

/* A write of ours that the watch has not shown yet. */
struct own_write {
	struct entry *entry;
	uint64_t written; /* the version that ends it */
	int64_t until_ms;
	/* The newest event since the write: an object, or its removal. */
	bool has_held;
	void *held; /* NULL: removed */
	uint64_t held_version;
	struct own_write *prev, *next;
};

/* A ring of the versions that were replaced last, folded to 32 bits to save memory: every object
 * that has changed since the start has one. */
struct old_versions {
	uint32_t n;
	uint32_t folded[MAX_OLD_VERSIONS];
};

struct entry {
	UT_hash_handle hh;
	void *object;
	struct own_write *own_write; /* NULL where no write is outstanding */
	struct old_versions *old;    /* NULL for an object that has not changed */
	uint64_t version;
	uint32_t seen; /* n_lists when it was last put */
	uint32_t uid;  /* fingerprint */
	char key[];
};

struct scope {
	char *name;     /* NULL: all namespaces */
	uint32_t begun; /* n_lists when its list began */
	bool is_complete;
	struct scope *next;
};

struct kube_store {
	struct kube_store_type type;
	struct entry *entries;
	struct entry *walk; /* comes next in kube_store_walk(); NULL: the first */
	struct own_write *own_writes;
	struct scope *scopes;
	uint32_t n_lists; /* lists begun so far */
	size_t n_complete;
};

static struct entry *find_entry(const struct kube_store *store, const char *key)
{
	struct entry *entry = NULL;

	HASH_FIND(hh, store->entries, key, strlen(key), entry);
	return entry;
}

static void drop_held_event(const struct kube_store *store, struct own_write *own_write)
{
	if (own_write->held)
		store->type.free(own_write->held);
	own_write->held = NULL;
	own_write->has_held = false;
}

static void end_own_write(struct kube_store *store, struct entry *entry)
{
	struct own_write *own_write = TAKE(entry->own_write);

	if (!own_write)
		return;
	drop_held_event(store, own_write);
	DL_DELETE(store->own_writes, own_write);
	mem_free(&own_write);
}

static void free_entry(struct kube_store *store, struct entry *entry)
{
	end_own_write(store, entry);
	if (store->walk == entry)
		store->walk = entry->hh.next;
	HASH_DELETE(hh, store->entries, entry);
	if (entry->object)
		store->type.free(entry->object);
	mem_free(&entry->old);
	mem_free(&entry);
}

static struct entry *add_entry(struct kube_store *store, const char *key)
{
	size_t n = strlen(key);
	struct entry *entry = mem_new(1, sizeof(*entry) + n + 1);

	memcpy(entry->key, key, n + 1);
	HASH_ADD_KEYPTR(hh, store->entries, entry->key, n, entry);
	return entry;
}

static uint32_t fold(uint64_t version)
{
	return (uint32_t)(version ^ version >> 32);
}

static bool is_old(const struct entry *entry, uint64_t version)
{
	const struct old_versions *old = entry->old;

	for (size_t i = 0; old && i < MAX_OLD_VERSIONS && i < old->n; i++)
		if (old->folded[i] == fold(version))
			return true;
	return false;
}

static void note_old(struct entry *entry, uint64_t version)
{
	if (is_old(entry, version))
		return;
	if (!entry->old)
		entry->old = mem_new(1, sizeof(*entry->old));
	entry->old->folded[entry->old->n++ % MAX_OLD_VERSIONS] = fold(version);
}

/* Takes OBJECT over. */
static void set_object(struct kube_store *store, struct entry *entry, void *object,
		       uint64_t version)
{
	void *old = entry->object;

	if (old)
		note_old(entry, entry->version);
	entry->object = object;
	entry->version = version;
	if (store->type.on_change)
		store->type.on_change(store->type.arg, entry->key, old, object);
	if (old)
		store->type.free(old);
}

static void remove_entry(struct kube_store *store, struct entry *entry)
{
	void *old = TAKE(entry->object);
	CLEANUP(mem_free) char *key = mem_strdup(entry->key);

	free_entry(store, entry);
	if (store->type.on_change)
		store->type.on_change(store->type.arg, key, old, NULL);
	store->type.free(old);
}

static void hold_back(struct kube_store *store, struct own_write *own_write, void *object,
		      uint64_t version)
{
	drop_held_event(store, own_write);
	own_write->has_held = true;
	own_write->held = object;
	own_write->held_version = version;
}

static uint64_t version_of(const cJSON *doc)
{
	const char *version = json_str_at(doc, "metadata/resourceVersion");

	return version && *version ? fnv_64_text(FNV_64_INIT, version) : 0;
}

static uint32_t uid_of(const cJSON *doc)
{
	const char *uid = json_str_at(doc, "metadata/uid");

	return fnv_32(uid ? uid : "");
}

/* False for a document without a name. */
static bool put_key(struct buf *out, const cJSON *doc)
{
	const char *namespace_ = json_str_at(doc, "metadata/namespace");
	const char *name = json_str_at(doc, "metadata/name");

	if (!name || !*name)
		return false;
	if (namespace_ && *namespace_)
		buf_printf(out, "%s/", namespace_);
	buf_put_str(out, str_of(name));
	return !out->overflow;
}

static bool has_version(const struct entry *entry, uint64_t version)
{
	return version != 0 && entry->version == version;
}

void kube_store_put(struct kube_store *store, const cJSON *doc, int64_t now_ms)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT(MAX_KEY_BYTES);
	uint64_t version = version_of(doc);
	struct entry *entry = NULL;
	void *object = NULL;

	kube_store_settle(store, now_ms);
	if (!put_key(&key, doc))
		return;
	entry = find_entry(store, key.data);
	if (!entry)
		entry = add_entry(store, key.data);
	entry->seen = store->n_lists;
	entry->uid = uid_of(doc);
	if (entry->own_write && entry->own_write->written == version)
		end_own_write(store, entry);
	if (has_version(entry, version))
		return;
	object = store->type.parse(store->type.arg, doc);
	if (!entry->own_write) {
		set_object(store, entry, object, version);
		return;
	}
	hold_back(store, entry->own_write, object, version);
	/* The answer to another write may bring it after the own write has ended. */
	note_old(entry, version);
}

void kube_store_put_written(struct kube_store *store, const cJSON *doc, int64_t now_ms)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT(MAX_KEY_BYTES);
	uint64_t version = version_of(doc);
	struct entry *entry = NULL;

	if (!put_key(&key, doc))
		return;
	entry = find_entry(store, key.data);
	if (!entry || entry->uid != uid_of(doc) || has_version(entry, version) ||
	    (!entry->own_write && is_old(entry, version)))
		return;
	end_own_write(store, entry);
	entry->own_write = mem_new(1, sizeof(*entry->own_write));
	entry->own_write->entry = entry;
	entry->own_write->written = version;
	entry->own_write->until_ms = now_ms + HOLD_MS;
	DL_APPEND(store->own_writes, entry->own_write);
	set_object(store, entry, store->type.parse(store->type.arg, doc), version);
}

static void remove_or_hold(struct kube_store *store, struct entry *entry)
{
	if (entry->own_write)
		hold_back(store, entry->own_write, NULL, 0);
	else
		remove_entry(store, entry);
}

void kube_store_remove(struct kube_store *store, const char *key)
{
	struct entry *entry = find_entry(store, key);

	if (entry)
		remove_or_hold(store, entry);
}

void kube_store_settle(struct kube_store *store, int64_t now_ms)
{
	/* The list is in the order of the writes, and so in the order in which their waits end. */
	while (store->own_writes && store->own_writes->until_ms <= now_ms) {
		struct own_write *own_write = store->own_writes;
		struct entry *entry = own_write->entry;
		bool has_held = own_write->has_held;
		void *held = TAKE(own_write->held);
		uint64_t version = own_write->held_version;

		end_own_write(store, entry);
		if (held)
			set_object(store, entry, held, version);
		else if (has_held)
			remove_entry(store, entry);
	}
}

static bool has_name(const struct scope *scope, const char *name)
{
	if (!scope->name || !name)
		return scope->name == name;
	return strcmp(scope->name, name) == 0;
}

static struct scope *get_scope(struct kube_store *store, const char *name)
{
	struct scope *scope = store->scopes;

	while (scope && !has_name(scope, name))
		scope = scope->next;
	if (scope)
		return scope;
	scope = mem_new(1, sizeof(*scope));
	scope->name = mem_strdup(name);
	LL_PREPEND(store->scopes, scope);
	return scope;
}

static bool is_in_scope(const struct entry *entry, const struct scope *scope)
{
	size_t n = scope->name ? strlen(scope->name) : 0;

	return !scope->name || (strncmp(entry->key, scope->name, n) == 0 && entry->key[n] == '/');
}

void kube_store_begin_list(struct kube_store *store, const char *scope)
{
	get_scope(store, scope)->begun = ++store->n_lists;
}

void kube_store_end_list(struct kube_store *store, const char *scope)
{
	struct scope *ended = get_scope(store, scope);
	struct entry *entry = NULL;
	struct entry *next = NULL;

	HASH_ITER (hh, store->entries, entry, next) {
		if (entry->seen < ended->begun && is_in_scope(entry, ended))
			remove_or_hold(store, entry);
	}
	store->n_complete += !ended->is_complete;
	ended->is_complete = true;
}

bool kube_store_is_synced(const struct kube_store *store)
{
	return store->n_complete >= (store->type.n_scopes ? store->type.n_scopes : 1);
}

const void *kube_store_find(const struct kube_store *store, const char *key)
{
	const struct entry *entry = find_entry(store, key);

	return entry ? entry->object : NULL;
}

size_t kube_store_count(const struct kube_store *store)
{
	return HASH_COUNT(store->entries);
}

const char *kube_store_walk(struct kube_store *store)
{
	struct entry *entry = store->walk ? store->walk : store->entries;

	store->walk = entry ? entry->hh.next : NULL;
	return entry ? entry->key : NULL;
}

void kube_store_each(const struct kube_store *store,
		     void (*fn)(void *arg, const char *key, const void *object), void *arg)
{
	const struct entry *entry = NULL;
	const struct entry *next = NULL;

	HASH_ITER (hh, store->entries, entry, next)
		fn(arg, entry->key, entry->object);
}

struct kube_store *kube_store_new(const struct kube_store_type *type)
{
	struct kube_store *store = mem_new(1, sizeof(*store));

	store->type = *type;
	return store;
}

void kube_store_free(struct kube_store *store)
{
	struct entry *entry = NULL;
	struct entry *next = NULL;
	struct scope *scope = NULL;
	struct scope *next_scope = NULL;

	if (!store)
		return;
	HASH_ITER (hh, store->entries, entry, next)
		free_entry(store, entry);
	LL_FOREACH_SAFE (store->scopes, scope, next_scope) {
		mem_free(&scope->name);
		mem_free(&scope);
	}
	mem_free(&store);
}
