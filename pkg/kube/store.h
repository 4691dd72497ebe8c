/*
 * The last known state of all objects of one kind, by "namespace/name". What an object looks like
 * is the owner's business: it parses the API server's document into its own compact, immutable
 * form, and only that is kept.
 */
#pragma once

#include "doc/json.h"

struct kube_store;

struct kube_store_type {
	/* Makes the owner's form of DOC (an object of this kind), never NULL: a malformed document
	 * becomes an object that says so. */
	void *(*parse)(void *arg, const cJSON *doc);
	void (*free)(void *object);
	/*
	 * Called after an object was put or removed (OLD or NEW may be NULL). Both are lent until
	 * the function returns. It must not change the store.
	 */
	void (*on_change)(void *arg, const char *key, const void *old, const void *new_);
	void *arg;
	size_t n_scopes; /* lists that make it complete: the number of namespaces; 0 is 1 */
};

/* TYPE is copied. */
struct kube_store *kube_store_new(const struct kube_store_type *type);
/* Frees all objects; does not call on_change. */
void kube_store_free(struct kube_store *store);

/* NULL when there is none. Lent until the object changes: do not keep it over a return to the loop.
 */
const void *kube_store_find(const struct kube_store *store, const char *key);
size_t kube_store_count(const struct kube_store *store);
/*
 * Goes around the objects, one a call, in the order in which they came, for as long as it is
 * called: the next key, lent until the store changes, or NULL without objects.
 */
const char *kube_store_walk(struct kube_store *store);
/* FN must not change the store. */
void kube_store_each(const struct kube_store *store,
		     void (*fn)(void *arg, const char *key, const void *object), void *arg);

/*
 * From the reflector: an ADDED or MODIFIED object. Unchanged resourceVersion: nothing happens.
 * After kube_store_put_written() events are held back until the written version comes by, so that a
 * late event does not undo our own write; if it has not come by 60 s later (a list jumped over it),
 * the newest of them is applied.
 */
void kube_store_put(struct kube_store *store, const cJSON *doc, int64_t now_ms);
/* The answer to a write of ours is applied at once, unless the watch has already shown this
 * version, or the object's removal. */
void kube_store_put_written(struct kube_store *store, const cJSON *doc, int64_t now_ms);
/* From the reflector: a DELETED object. Held back like any other event. */
void kube_store_remove(struct kube_store *store, const char *key);
/* Applies events that were held back for 60 s. To be called every now and then; NOW_MS is
 * monotonic, as everywhere here. */
void kube_store_settle(struct kube_store *store, int64_t now_ms);
/*
 * A full list of one scope begins and ends: objects of the scope that were not put in between are
 * removed. Nothing is removed if the list is abandoned (another one of the scope begins). SCOPE is
 * a namespace, or NULL for all of them; a store has either one list of all or one for each of some
 * namespaces.
 */
void kube_store_begin_list(struct kube_store *store, const char *scope);
void kube_store_end_list(struct kube_store *store, const char *scope);
/* True once a full list of each of the type's scopes has ended. */
bool kube_store_is_synced(const struct kube_store *store);
