/* What the kernel knows of this process, for the metrics process_*. */
#pragma once

struct process_figures {
	double cpu_seconds;
	double resident_bytes, virtual_bytes;
	double open_fds, max_fds;
	double start_seconds; /* since 1970 */
};

/* What cannot be read is 0. */
void process_read(struct process_figures *out);
