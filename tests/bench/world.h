/* What the counts of a simulated world share. */
#pragma once

#define SECRET "It's a Secret to Everybody"

/* BuildConfig NAME in namespace shop, which builds main, with a GitHub trigger and SECRET. */
void add_buildconfig(const char *name);
