#include "suggest.h"

#include "base/mem.h"
#include "base/str.h"

/* As cobra, which kubectl's command line is made with, suggests names. */
#define MAX_DISTANCE 2
#define MAX_CHARS    64

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, removals, replacements and swaps of neighbours that make B of A (optimal string
 * alignment); three rows of the table are enough. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][MAX_CHARS + 1];

	for (size_t k = 0; k <= n_b; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const size_t *before = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t k = 1; k <= n_b; k++) {
			row[k] = min3(above[k] + 1, row[k - 1] + 1,
				      above[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    before[k - 2] + 1 < row[k])
				row[k] = before[k - 2] + 1;
		}
	}
	return rows[n_a % 3][n_b];
}

void suggest_offer(struct suggestion *suggestion, const char *candidate)
{
	struct str typed = str_of(suggestion->typed), other = str_of(candidate);
	size_t distance;

	if (typed.n == 0 || typed.n > MAX_CHARS || other.n > MAX_CHARS)
		return;
	/* A word of which TYPED is the beginning ranks with one that differs by one letter. */
	distance = typed.n > 2 && str_starts(other, typed)
			   ? 1
			   : edit_distance(typed.p, typed.n, other.p, other.n);
	if (distance > MAX_DISTANCE || distance >= typed.n ||
	    (suggestion->best && distance >= suggestion->distance))
		return;
	suggestion->best = candidate;
	suggestion->distance = distance;
}
