#include "process.h"

#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* Fields 14, 15, 22, 23 and 24 of proc(5)'s stat; the second is in parentheses and may hold
 * anything. */
static void read_stat(struct process_figures *out, double *start_ticks)
{
	CLEANUP(close_file) FILE *file = fopen("/proc/self/stat", "re");
	char line[1024];
	double value[25] = {0};
	const char *at = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	double ticks = (double)sysconf(_SC_CLK_TCK);

	for (int i = 3; at && i <= 24; i++) {
		at = strchr(at + 1, ' ');
		if (at)
			value[i] = strtod(at + 1, NULL);
	}
	out->cpu_seconds = (value[14] + value[15]) / ticks;
	*start_ticks = value[22] / ticks;
	out->virtual_bytes = value[23];
	out->resident_bytes = value[24] * (double)sysconf(_SC_PAGESIZE);
}

static double boot_seconds(void)
{
	CLEANUP(close_file) FILE *file = fopen("/proc/stat", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "btime ", 6) == 0)
			return strtod(line + 6, NULL);
	return 0;
}

static double count_fds(void)
{
	CLEANUP(close_dir) DIR *dir = opendir("/proc/self/fd");
	double n = 0;

	while (dir && readdir(dir))
		n++;
	/* Not counted: ".", ".." and the descriptor of the folder itself. */
	return n > 3 ? n - 3 : 0;
}

void process_read(struct process_figures *out)
{
	struct rlimit limit = {0, 0};
	double start_ticks;

	read_stat(out, &start_ticks);
	out->start_seconds = boot_seconds() + start_ticks;
	out->open_fds = count_fds();
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	out->max_fds = (double)limit.rlim_cur;
}
