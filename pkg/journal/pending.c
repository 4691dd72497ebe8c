#include "journal/pending.h"

#include "journal/row.h"
#include "journal/sql.h"

#include "base/fnv.h"

#include <stdio.h>
#include <utlist.h>

static struct journal_pending_config *get_config(struct journal_pending *pending,
						 const char *namespace_, const char *name)
{
	char key[2 * JOURNAL_MAX_TEXT + 2];
	struct journal_pending_config *config;

	(void)snprintf(key, sizeof(key), "%s/%s", namespace_, name);
	config = journal_pending_find(pending, key);
	if (config)
		return config;
	config = mem_new(1, sizeof(*config));
	config->key = mem_strdup(key);
	HASH_ADD_KEYPTR(hh, pending->configs, config->key, strlen(config->key), config);
	return config;
}

static void free_config(struct journal_pending *pending, struct journal_pending_config *config)
{
	HASH_DEL(pending->configs, config);
	free(config->key);
	free(config);
}

struct journal_pending_config *journal_pending_find(const struct journal_pending *pending,
						    const char *key)
{
	struct journal_pending_config *config = NULL;

	HASH_FIND_STR(pending->configs, key, config);
	return config;
}

void journal_pending_put(struct journal_pending *pending, const struct journal_change *change)
{
	struct journal_pending_config *config =
		get_config(pending, change->namespace_, change->name);
	struct journal_pending_row *row = mem_new(1, sizeof(*row));
	struct journal_pending_row *older = NULL;

	row->config = config;
	row->seq = change->seq;
	row->next_attempt_ms = change->next_attempt_ms;
	row->is_starting = change->state == JOURNAL_STARTING;
	row->ref_sum = fnv_64_text(fnv_64_text(FNV_64_INIT, change->uid), change->ref);
	/* Asked for on purpose: neither replaces another change of its ref nor is replaced. */
	if (journal_change_is_redelivery(change))
		row->ref_sum = fnv_64_text(row->ref_sum, change->delivery_id);
	HASH_ADD(by_seq, pending->rows, seq, sizeof(row->seq), row);
	HASH_FIND(by_ref, config->refs, &row->ref_sum, sizeof(row->ref_sum), older);
	if (older) {
		HASH_DELETE(by_ref, config->refs, older);
		older->is_replaced = true;
		config->n_replaced++;
	}
	HASH_ADD(by_ref, config->refs, ref_sum, sizeof(row->ref_sum), row);
	DL_APPEND(config->rows, row);
	config->n++;
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
	config->n--;
	free(row);
	if (config->n == 0)
		free_config(pending, config);
}

void journal_pending_update(struct journal_pending *pending, const struct journal_change *update)
{
	struct journal_pending_row *row = NULL;

	HASH_FIND(by_seq, pending->rows, &update->seq, sizeof(update->seq), row);
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
static const char *text_of(sqlite3_stmt *stmt, int column, int *rc)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	if (!text)
		*rc = SQLITE_NOMEM;
	return text;
}

static int load_row(struct journal_pending *out, sqlite3_stmt *stmt)
{
	int rc = SQLITE_ROW;
	const struct journal_change change = {
		.seq = sqlite3_column_int64(stmt, 0),
		.state = (enum journal_state)sqlite3_column_int(stmt, 1),
		.next_attempt_ms = sqlite3_column_int64(stmt, 2),
		.uid = text_of(stmt, 3, &rc),
		.namespace_ = text_of(stmt, 4, &rc),
		.name = text_of(stmt, 5, &rc),
		.ref = text_of(stmt, 6, &rc),
		.delivery_id = text_of(stmt, 7, &rc),
	};

	if (rc == SQLITE_ROW)
		journal_pending_put(out, &change);
	return rc;
}

int journal_pending_load(struct journal_pending *out, sqlite3 *db)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc =
		sqlite3_prepare_v2(db,
				   "SELECT seq, state, next_attempt_ms, uid, namespace, name, ref, "
				   "delivery_id "
				   "FROM change WHERE state < 2 ORDER BY seq",
				   -1, &stmt, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			rc = load_row(out, stmt);
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void journal_pending_release(struct journal_pending *pending)
{
	while (pending->rows)
		remove_row(pending, pending->rows);
}
