/* Files of the data folder as the journal's tests keep them, put them back and compare them. After
 * world.h. */
#pragma once

#include <errno.h>
#include <limits.h>

#define FILE_BYTES_MAX (1024 * 1024)

struct image {
	unsigned char *bytes;
	size_t n;
};

static inline void release_image(struct image *image)
{
	mem_free(&image->bytes);
}

static inline void path_of(char *out, const struct world *world, const char *name)
{
	assert_true(snprintf(out, PATH_MAX, "%s/%s", world->dir, name) > 0);
}

static inline struct image load(const struct world *world, const char *name)
{
	char path[PATH_MAX];
	struct image image = {.bytes = mem_new(1, FILE_BYTES_MAX)};
	FILE *file;

	path_of(path, world, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	image.n = fread(image.bytes, 1, FILE_BYTES_MAX, file);
	assert_int_equal(fclose(file), 0);
	return image;
}

static inline void store(const struct world *world, const char *name, const void *bytes, size_t n)
{
	char path[PATH_MAX];
	FILE *file;

	path_of(path, world, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static inline bool is_there(const struct world *world, const char *name)
{
	char path[PATH_MAX];

	path_of(path, world, name);
	return access(path, F_OK) == 0;
}

static inline void drop(const struct world *world, const char *name)
{
	char path[PATH_MAX];

	path_of(path, world, name);
	assert_true(unlink(path) == 0 || errno == ENOENT);
}

static inline void assert_same_file(const struct world *world, const char *name,
				    const struct image *before)
{
	CLEANUP(release_image) struct image after = load(world, name);

	assert_int_equal(after.n, before->n);
	assert_memory_equal(after.bytes, before->bytes, before->n);
}

/* A journal with N changes that wait, closed. */
static inline void make_journal(struct world *world, int n)
{
	world_must_open(world);
	for (int i = 0; i < n; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%d", i);
		(void)add_one(world, id, "refs/heads/main");
	}
	world_close(world);
}
