/*
 * A disk between SQLite and the real one, which tests can make fail. It keeps what was written and
 * not yet synced apart, as the kernel's cache does, so that a loss of power can take it away; after
 * a failed sync it forgets that those pages are to be written, as Linux does. Registered as
 * SQLite's default file layer; one at a time, one thread.
 *
 * What the journal does to its folder without SQLite goes to the real disk at once.
 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_FILES  8
#define DISK_SECTOR 512

enum disk_fault {
	DISK_OK,
	DISK_EIO,   /* any call fails */
	DISK_FULL,  /* writes and what makes files longer fail */
	DISK_SHORT, /* as DISK_FULL, but half of it has been written */
	DISK_QUOTA, /* as DISK_FULL, but SQLite doesn't know it for that */
	DISK_SYNC,  /* syncs fail */
	DISK_POWER, /* any call is the last */
};

/* A write (or, where data is NULL, a new length) that is not on the real disk yet. */
struct disk_write {
	int64_t at;
	size_t n;
	unsigned char *data;
	bool is_forgotten;
};

struct disk_image {
	char path[PATH_MAX]; /* "": free */
	ino_t inode;
	unsigned char *bytes;
	size_t n;
	struct disk_write *writes;
	size_t n_writes;
};

static struct disk {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	struct disk_image images[DISK_FILES];
	uint64_t seed;
	enum disk_fault fault;
	long fail_at; /* the call that fails, counted from 1 among those that this fault may hit; 0:
			 none */
	long n_calls;
	bool is_lasting; /* and all calls after it */
	bool has_failed; /* some call has */
	bool is_dead;    /* no power */
	int last_errno;
} disk;

struct disk_file {
	sqlite3_file base;
	struct disk_image *image;
	sqlite3_file *real;
};

static inline uint64_t disk_random(uint64_t below)
{
	disk.seed ^= disk.seed << 13;
	disk.seed ^= disk.seed >> 7;
	disk.seed ^= disk.seed << 17;
	return disk.seed % below;
}

static inline bool disk_is_about_space(void)
{
	return disk.fault == DISK_FULL || disk.fault == DISK_SHORT || disk.fault == DISK_QUOTA;
}

static inline bool disk_fails(bool is_growing, bool is_sync)
{
	bool is_hit = disk.fault == DISK_EIO || disk.fault == DISK_POWER ||
		      (disk.fault == DISK_SYNC && is_sync) || (disk_is_about_space() && is_growing);

	if (disk.is_dead)
		return true;
	if (!is_hit)
		return false;
	disk.n_calls++;
	is_hit = disk.fail_at &&
		 (disk.n_calls == disk.fail_at || (disk.is_lasting && disk.n_calls > disk.fail_at));
	disk.is_dead = is_hit && disk.fault == DISK_POWER;
	disk.has_failed = disk.has_failed || is_hit;
	if (is_hit)
		disk.last_errno = disk.fault == DISK_QUOTA ? EDQUOT
				  : disk_is_about_space()  ? ENOSPC
							   : EIO;
	return is_hit;
}

/* What fails for want of room says so; all else is an error of the disk. */
static inline int disk_code(int full, int error)
{
	return !disk.is_dead && disk_is_about_space() ? full : error;
}

static inline void image_write(struct disk_image *image, int64_t at, const void *p, size_t n)
{
	size_t end = (size_t)at + n;

	if (end > image->n) {
		image->bytes = mem_resize(image->bytes, end, 1);
		memset(image->bytes + image->n, 0, end - image->n);
		image->n = end;
	}
	memcpy(image->bytes + at, p, n);
}

static inline void image_truncate(struct disk_image *image, size_t n)
{
	if (n < image->n)
		image->n = n;
}

/* DATA NULL: a new length. */
static inline void image_note(struct disk_image *image, int64_t at, const void *data, size_t n)
{
	struct disk_write write = {.at = at, .n = n};

	if (data) {
		write.data = mem_new(n, 1);
		memcpy(write.data, data, n);
	}
	image->writes = mem_resize(image->writes, image->n_writes + 1, sizeof(write));
	image->writes[image->n_writes++] = write;
}

/* To the real disk: of each write those sectors that are as lucky as PERCENT says. */
static inline void apply(const struct disk_image *image, const struct disk_write *write,
			 unsigned percent)
{
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);

	assert(fd >= 0);
	if (!write->data && disk_random(100) < percent)
		assert(ftruncate(fd, write->at) == 0);
	for (size_t done = 0; write->data && done < write->n;) {
		size_t n = DISK_SECTOR - (size_t)(write->at + (int64_t)done) % DISK_SECTOR;

		if (n > write->n - done)
			n = write->n - done;
		if (disk_random(100) < percent)
			assert(pwrite(fd, write->data + done, n, write->at + (int64_t)done) ==
			       (ssize_t)n);
		done += n;
	}
	(void)close(fd);
}

static inline void image_clear(struct disk_image *image)
{
	for (size_t i = 0; i < image->n_writes; i++)
		free(image->writes[i].data);
	free(image->writes);
	free(image->bytes);
	*image = (struct disk_image){0};
}

static inline void image_sync(struct disk_image *image)
{
	size_t kept = 0;

	for (size_t i = 0; i < image->n_writes; i++) {
		struct disk_write *write = &image->writes[i];

		if (write->is_forgotten) {
			image->writes[kept++] = *write;
			continue;
		}
		apply(image, write, 100);
		free(write->data);
	}
	image->n_writes = kept;
}

static inline void image_forget(struct disk_image *image)
{
	for (size_t i = 0; i < image->n_writes; i++)
		image->writes[i].is_forgotten = true;
}

static inline struct disk_image *image_get(const char *path)
{
	struct disk_image *image = NULL;
	struct stat st = {0};
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert(fd >= 0 && fstat(fd, &st) == 0);
	for (size_t i = 0; i < DISK_FILES; i++) {
		/* Another file that has been put under this name. */
		if (strcmp(disk.images[i].path, path) == 0 && disk.images[i].inode != st.st_ino)
			image_clear(&disk.images[i]);
		if (strcmp(disk.images[i].path, path) == 0) {
			(void)close(fd);
			return &disk.images[i];
		}
		if (!image && !disk.images[i].path[0])
			image = &disk.images[i];
	}
	assert(image);
	(void)snprintf(image->path, sizeof(image->path), "%s", path);
	image->inode = st.st_ino;
	image->n = (size_t)st.st_size;
	image->bytes = mem_new(image->n, 1);
	assert(read(fd, image->bytes, image->n) == (ssize_t)image->n);
	(void)close(fd);
	return image;
}

static inline int disk_close(sqlite3_file *base)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xClose(file->real);
}

static inline int disk_read(sqlite3_file *base, void *out, int n, sqlite3_int64 at)
{
	const struct disk_image *image = ((struct disk_file *)base)->image;
	size_t have = (size_t)at < image->n ? image->n - (size_t)at : 0;

	if (disk_fails(false, false))
		return SQLITE_IOERR_READ;
	if (have > (size_t)n)
		have = (size_t)n;
	memset(out, 0, (size_t)n);
	if (have > 0)
		memcpy(out, image->bytes + at, have);
	return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static inline int disk_write(sqlite3_file *base, const void *p, int n, sqlite3_int64 at)
{
	struct disk_image *image = ((struct disk_file *)base)->image;
	bool is_failing = disk_fails(true, false);
	size_t taken = is_failing ? (disk.fault == DISK_SHORT ? (size_t)n / 2 : 0) : (size_t)n;

	if (taken > 0 && !disk.is_dead) {
		image_write(image, at, p, taken);
		image_note(image, at, p, taken);
	}
	if (!is_failing)
		return SQLITE_OK;
	return disk.fault == DISK_QUOTA ? SQLITE_IOERR_WRITE
					: disk_code(SQLITE_FULL, SQLITE_IOERR_WRITE);
}

static inline int disk_truncate(sqlite3_file *base, sqlite3_int64 n)
{
	struct disk_image *image = ((struct disk_file *)base)->image;

	if (disk_fails(false, false))
		return SQLITE_IOERR_TRUNCATE;
	image_truncate(image, (size_t)n);
	image_note(image, n, NULL, 0);
	return SQLITE_OK;
}

static inline int disk_sync(sqlite3_file *base, int flags)
{
	struct disk_image *image = ((struct disk_file *)base)->image;

	(void)flags;
	if (disk_fails(false, true)) {
		if (!disk.is_dead)
			image_forget(image);
		return SQLITE_IOERR_FSYNC;
	}
	image_sync(image);
	return SQLITE_OK;
}

static inline int disk_size(sqlite3_file *base, sqlite3_int64 *out)
{
	if (disk_fails(false, false))
		return SQLITE_IOERR_FSTAT;
	*out = (sqlite3_int64)((struct disk_file *)base)->image->n;
	return SQLITE_OK;
}

#define REAL(base) (((struct disk_file *)(base))->real)

static inline int disk_lock(sqlite3_file *base, int level)
{
	return REAL(base)->pMethods->xLock(REAL(base), level);
}

static inline int disk_unlock(sqlite3_file *base, int level)
{
	return REAL(base)->pMethods->xUnlock(REAL(base), level);
}

static inline int disk_check_lock(sqlite3_file *base, int *out)
{
	return REAL(base)->pMethods->xCheckReservedLock(REAL(base), out);
}

static inline int disk_control(sqlite3_file *base, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_OK; /* would make the real file longer */
	return REAL(base)->pMethods->xFileControl(REAL(base), op, arg);
}

static inline int disk_sector(sqlite3_file *base)
{
	return REAL(base)->pMethods->xSectorSize(REAL(base));
}

static inline int disk_traits(sqlite3_file *base)
{
	return REAL(base)->pMethods->xDeviceCharacteristics(REAL(base));
}

static inline int disk_shm_map(sqlite3_file *base, int region, int n, int is_extending,
			       void volatile **out)
{
	if (disk_fails(is_extending, false))
		return disk_code(SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHMMAP);
	return REAL(base)->pMethods->xShmMap(REAL(base), region, n, is_extending, out);
}

static inline int disk_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
	return REAL(base)->pMethods->xShmLock(REAL(base), offset, n, flags);
}

static inline void disk_shm_barrier(sqlite3_file *base)
{
	REAL(base)->pMethods->xShmBarrier(REAL(base));
}

static inline int disk_shm_unmap(sqlite3_file *base, int is_deleting)
{
	return REAL(base)->pMethods->xShmUnmap(REAL(base), is_deleting);
}

static const sqlite3_io_methods disk_methods = {
	.iVersion = 2,
	.xClose = disk_close,
	.xRead = disk_read,
	.xWrite = disk_write,
	.xTruncate = disk_truncate,
	.xSync = disk_sync,
	.xFileSize = disk_size,
	.xLock = disk_lock,
	.xUnlock = disk_unlock,
	.xCheckReservedLock = disk_check_lock,
	.xFileControl = disk_control,
	.xSectorSize = disk_sector,
	.xDeviceCharacteristics = disk_traits,
	.xShmMap = disk_shm_map,
	.xShmLock = disk_shm_lock,
	.xShmBarrier = disk_shm_barrier,
	.xShmUnmap = disk_shm_unmap,
};

static inline int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
			    int *out_flags)
{
	struct disk_file *file = (struct disk_file *)base;
	int rc;

	(void)vfs;
	*file = (struct disk_file){.real = (sqlite3_file *)(file + 1)};
	if (disk_fails(false, false))
		return SQLITE_CANTOPEN;
	rc = disk.real->xOpen(disk.real, path, file->real, flags, out_flags);
	if (rc != SQLITE_OK)
		return rc;
	assert(path);
	file->image = image_get(path);
	file->base.pMethods = &disk_methods;
	return SQLITE_OK;
}

static inline int disk_delete(sqlite3_vfs *vfs, const char *path, int is_syncing)
{
	(void)vfs;
	if (disk_fails(false, false))
		return SQLITE_IOERR_DELETE;
	for (size_t i = 0; i < DISK_FILES; i++)
		if (strcmp(disk.images[i].path, path) == 0)
			image_clear(&disk.images[i]);
	return disk.real->xDelete(disk.real, path, is_syncing);
}

static inline int disk_last_error(sqlite3_vfs *vfs, int n, char *out)
{
	(void)vfs;
	(void)n;
	(void)out;
	return disk.last_errno;
}

/* Whole and empty, with nothing that fails. */
static inline void disk_start(uint64_t seed)
{
	if (!disk.real) {
		disk.real = sqlite3_vfs_find(NULL);
		disk.vfs = *disk.real;
		disk.vfs.zName = "disk";
		disk.vfs.szOsFile += (int)sizeof(struct disk_file);
		disk.vfs.xOpen = disk_open;
		disk.vfs.xDelete = disk_delete;
		disk.vfs.xGetLastError = disk_last_error;
	}
	for (size_t i = 0; i < DISK_FILES; i++)
		image_clear(&disk.images[i]);
	disk.seed = seed * 2654435761U + 88172645463325252ULL;
	disk.fault = DISK_OK;
	disk.has_failed = false;
	disk.is_dead = false;
	assert(sqlite3_vfs_register(&disk.vfs, 1) == SQLITE_OK);
}

static inline void disk_fail(enum disk_fault fault, long at, bool is_lasting)
{
	disk.fault = fault;
	disk.fail_at = at;
	disk.n_calls = 0;
	disk.is_lasting = is_lasting;
}

/* With no file open. The cache comes to the disk, or, after a loss of power, some of it. */
static inline void disk_settle(bool is_power_lost)
{
	static const unsigned percents[] = {0, 50, 95, 100};
	unsigned percent = percents[disk_random(ARRAY_LEN(percents))];

	for (size_t i = 0; i < DISK_FILES; i++) {
		struct disk_image *image = &disk.images[i];
		const struct disk_write all = {0, image->n, image->bytes, false};
		const struct disk_write end = {(int64_t)image->n, 0, NULL, false};

		if (!image->path[0] || access(image->path, F_OK) != 0) {
			image_clear(image);
			continue;
		}
		for (size_t k = 0; is_power_lost && k < image->n_writes; k++)
			if (!image->writes[k].is_forgotten)
				apply(image, &image->writes[k], percent);
		if (!is_power_lost) {
			if (image->n > 0)
				apply(image, &all, 100);
			apply(image, &end, 100);
		}
		image_clear(image);
	}
	disk.is_dead = false;
	disk.fault = DISK_OK;
}

static inline void disk_stop(void)
{
	disk_settle(false);
	assert(sqlite3_vfs_unregister(&disk.vfs) == SQLITE_OK);
}
