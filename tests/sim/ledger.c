#include "ledger.h"

#include "controller/build_body.h"

#include <inttypes.h>
#include <stdio.h>

struct ledger *ledger_new(void)
{
	return mem_new(1, sizeof(struct ledger));
}

void ledger_free(struct ledger *ledger)
{
	while (ledger->pushes) {
		struct push *push = ledger->pushes;

		ledger->pushes = push->next;
		free(push);
	}
	while (ledger->builds) {
		struct build *build = ledger->builds;

		ledger->builds = build->next;
		free(build);
	}
	while (ledger->secrets) {
		struct secret_value *secret = ledger->secrets;

		ledger->secrets = secret->next;
		free(secret->value);
		free(secret);
	}
	while (ledger->rotations) {
		struct rotation *rotation = ledger->rotations;

		ledger->rotations = rotation->next;
		free(rotation);
	}
	free(ledger->gone);
	free(ledger->paused);
	free(ledger->poisoned);
	free(ledger);
}

bool ledger_has_word(const char *words, const char *word)
{
	const char *found = words ? strstr(words, word) : NULL;

	return found && found[strlen(word)] == ' ';
}

void ledger_put_word(char **words, const char *word)
{
	size_t old = *words ? strlen(*words) : 0, n = strlen(word);

	if (ledger_has_word(*words, word))
		return;
	*words = mem_resize(*words, old + n + 2, 1);
	(void)snprintf(*words + old, n + 2, "%s ", word);
}

void ledger_add_secret(struct ledger *ledger, const char *value)
{
	struct secret_value *secret = ledger->secrets;

	while (secret && strcmp(secret->value, value) != 0)
		secret = secret->next;
	if (secret)
		return;
	secret = mem_new(1, sizeof(*secret));
	secret->value = mem_strdup(value);
	secret->next = ledger->secrets;
	ledger->secrets = secret;
}

static void put_label(struct push *push)
{
	const struct journal_change change = {
		.uid = push->uid, .type = "github", .delivery_id = push->id, .ref = push->ref};

	build_delivery_label(push->label, &change);
}

struct push *ledger_add_redelivery(struct world *w, const struct push *of, unsigned nonce)
{
	struct push *push = mem_new(1, sizeof(*push));

	(void)snprintf(push->namespace_, sizeof(push->namespace_), "%s", of->namespace_);
	(void)snprintf(push->name, sizeof(push->name), "%s", of->name);
	(void)snprintf(push->uid, sizeof(push->uid), "%s", of->uid);
	(void)snprintf(push->ref, sizeof(push->ref), "%s", of->ref);
	(void)snprintf(push->commit, sizeof(push->commit), "%s", of->commit);
	(void)snprintf(push->id, sizeof(push->id), "%.20s %u", of->id, nonce);
	put_label(push);
	push->is_matching = of->is_matching;
	push->is_redelivery = true;
	push->first_ms = world_wall_ms(w);
	push->next = w->ledger->pushes;
	w->ledger->pushes = push;
	return push;
}

struct push *ledger_add_push(struct world *w, const struct api_object *bc, const char *ref)
{
	struct push *push = mem_new(1, sizeof(*push));
	size_t n = ++w->n_pushes;

	(void)snprintf(push->namespace_, sizeof(push->namespace_), "%s", bc->namespace_);
	(void)snprintf(push->name, sizeof(push->name), "%s", bc->name);
	(void)snprintf(push->uid, sizeof(push->uid), "%s", bc->uid);
	(void)snprintf(push->ref, sizeof(push->ref), "%s", ref);
	(void)snprintf(push->id, sizeof(push->id), "delivery-%zu", n);
	(void)snprintf(push->commit, sizeof(push->commit), "%040zx", n);
	put_label(push);
	push->is_matching =
		strcmp(ref, "refs/heads/main") == 0 ||
		(strcmp(ref, "refs/heads/dev") == 0 && *api_annotation(bc, "buildhook.io/refs"));
	push->next = w->ledger->pushes;
	w->ledger->pushes = push;
	return push;
}

struct push *ledger_find(struct ledger *ledger, const char *label)
{
	struct push *push = ledger->pushes;

	while (push && strcmp(push->label, label) != 0)
		push = push->next;
	return push;
}

struct rotation *ledger_rotation(struct ledger *ledger, const char *secret)
{
	struct rotation *rotation = ledger->rotations;

	while (rotation && strcmp(rotation->secret, secret) != 0)
		rotation = rotation->next;
	if (rotation)
		return rotation;
	rotation = mem_new(1, sizeof(*rotation));
	(void)snprintf(rotation->secret, sizeof(rotation->secret), "%s", secret);
	rotation->next = ledger->rotations;
	return ledger->rotations = rotation;
}
