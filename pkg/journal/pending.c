/* The rows that have not ended, in memory, by BuildConfig. */
#include "journal/pending.h"

#include "journal/row.h"
#include "journal/sql.h"

#include "base/fnv.h"

#include <stdio.h>
#include <utlist.h>

struct journal_pending_row *journal_pending_find(const struct journal_pending *pending, int64_t seq)
{
	struct journal_pending_row *row = NULL;

	HASH_FIND(by_seq, pending->rows, &seq, sizeof(seq), row);
	return row;
}

struct journal_pending_config *journal_pending_find_config(const struct journal_pending *pending,
							   const char *key)
{
	struct journal_pending_config *config = NULL;

	HASH_FIND_STR(pending->configs, key, config);
	return config;
}

struct journal_pending_space *journal_pending_find_space(const struct journal_pending *pending,
							 const char *namespace_)
{
	struct journal_pending_space *space = NULL;

	HASH_FIND_STR(pending->spaces, namespace_, space);
	return space;
}

/* A '/' is in neither name. */
struct key {
	char text[2 * JOURNAL_MAX_TEXT + 2];
};

static void format_key(struct key *out, const struct journal_change *change)
{
	(void)snprintf(out->text, sizeof(out->text), "%s/%s", change->namespace_, change->name);
}

struct journal_pending_config *journal_pending_config_of(const struct journal_pending *pending,
							 const struct journal_change *change)
{
	struct key key;

	format_key(&key, change);
	return journal_pending_find_config(pending, key.text);
}

static uint64_t sum_ref(const struct journal_change *change)
{
	uint64_t sum = fnv_64_text(fnv_64_text(FNV_64_INIT, change->uid), change->ref);

	/* Asked for on purpose: neither replaces another change of its ref nor is replaced. */
	return journal_change_is_redelivery(change) ? fnv_64_text(sum, change->delivery_id) : sum;
}

struct journal_pending_row *journal_pending_newest_of_ref(
	const struct journal_pending_config *config, const struct journal_change *change)
{
	uint64_t sum = sum_ref(change);
	struct journal_pending_row *row = NULL;

	if (config)
		HASH_FIND(by_ref, config->refs, &sum, sizeof(sum), row);
	return row;
}

static struct journal_pending_space *get_space(struct journal_pending *pending, const char *name)
{
	struct journal_pending_space *space = journal_pending_find_space(pending, name);

	if (space)
		return space;
	space = mem_new(1, sizeof(*space));
	space->name = mem_strdup(name);
	HASH_ADD_KEYPTR(hh, pending->spaces, space->name, strlen(space->name), space);
	return space;
}

static struct journal_pending_config *get_config(struct journal_pending *pending,
						 const struct journal_change *change)
{
	struct journal_pending_config *config = journal_pending_config_of(pending, change);
	struct key key;

	if (config)
		return config;
	format_key(&key, change);
	config = mem_new(1, sizeof(*config));
	config->key = mem_strdup(key.text);
	config->space = get_space(pending, change->namespace_);
	HASH_ADD_KEYPTR(hh, pending->configs, config->key, strlen(config->key), config);
	return config;
}

static void add(struct journal_pending_sum *sum, const struct journal_pending_row *row)
{
	sum->rows++;
	sum->bytes += row->bytes;
}

static void subtract(struct journal_pending_sum *sum, const struct journal_pending_row *row)
{
	sum->rows--;
	sum->bytes -= row->bytes;
}

void journal_pending_put(struct journal_pending *pending, const struct journal_change *change,
			 int64_t bytes)
{
	struct journal_pending_config *config = get_config(pending, change);
	struct journal_pending_row *older = journal_pending_newest_of_ref(config, change);
	struct journal_pending_row *row = mem_new(1, sizeof(*row));

	row->config = config;
	row->seq = change->seq;
	row->next_attempt_ms = change->next_attempt_ms;
	row->is_starting = change->state == JOURNAL_STARTING;
	row->ref_sum = sum_ref(change);
	row->bytes = bytes;
	if (older) {
		HASH_DELETE(by_ref, config->refs, older);
		older->is_replaced = true;
		config->n_replaced++;
	}
	HASH_ADD(by_seq, pending->rows, seq, sizeof(row->seq), row);
	HASH_ADD(by_ref, config->refs, ref_sum, sizeof(row->ref_sum), row);
	DL_APPEND(config->rows, row);
	add(&config->sum, row);
	add(&config->space->sum, row);
	add(&pending->sum, row);
}

static void free_config(struct journal_pending *pending, struct journal_pending_config *config)
{
	HASH_DEL(pending->configs, config);
	if (config->space->sum.rows == 0) {
		HASH_DEL(pending->spaces, config->space);
		free(config->space->name);
		free(config->space);
	}
	free(config->key);
	free(config);
}

static void remove_row(struct journal_pending *pending, struct journal_pending_row *row)
{
	struct journal_pending_config *config = row->config;

	HASH_DELETE(by_seq, pending->rows, row);
	if (row->is_replaced)
		config->n_replaced--;
	else
		HASH_DELETE(by_ref, config->refs, row);
	DL_DELETE(config->rows, row);
	subtract(&config->sum, row);
	subtract(&config->space->sum, row);
	subtract(&pending->sum, row);
	free(row);
	if (config->sum.rows == 0)
		free_config(pending, config);
}

void journal_pending_update(struct journal_pending *pending, const struct journal_change *update)
{
	struct journal_pending_row *row = journal_pending_find(pending, update->seq);

	if (!row)
		return;
	if (!journal_state_is_pending(update->state)) {
		remove_row(pending, row);
		return;
	}
	row->is_starting = update->state == JOURNAL_STARTING;
	row->next_attempt_ms = update->next_attempt_ms;
}

/* No column may be NULL: a text that is NULL all the same could not be allocated. */
static const char *text_of(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	mem_require(text);
	return text;
}

static void load_row(struct journal_pending *out, sqlite3_stmt *stmt)
{
	const struct journal_change change = {
		.seq = sqlite3_column_int64(stmt, 0),
		.state = (enum journal_state)sqlite3_column_int(stmt, 1),
		.next_attempt_ms = sqlite3_column_int64(stmt, 2),
		.uid = text_of(stmt, 3),
		.namespace_ = text_of(stmt, 4),
		.name = text_of(stmt, 5),
		.ref = text_of(stmt, 6),
		.delivery_id = text_of(stmt, 7),
	};

	journal_pending_put(out, &change, sqlite3_column_int64(stmt, 8));
}

int journal_pending_load(struct journal_pending *out, sqlite3 *db)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(
		db,
		"SELECT seq, state, next_attempt_ms, uid, namespace, name, "
		"ref, delivery_id, bytes FROM change WHERE state < 2 ORDER BY seq",
		-1, &stmt, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			load_row(out, stmt);
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void journal_pending_release(struct journal_pending *pending)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	while (pending->rows)
		// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
		remove_row(pending, pending->rows);
}
