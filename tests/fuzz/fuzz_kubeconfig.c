/*
 * Kubeconfig files, through all that is checked at start: YAML, contexts, data, addresses.
 */
/* memfd_create() */
#define _GNU_SOURCE

#include "kubeconfig/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_config_options options = {.allow_exec = true};
	struct kube_config *config = NULL;
	struct err err = {0};
	char path[64];
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	int rc = 0;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options.kubeconfig = path;
	rc = kube_config_load(&config, &options, &err);
	if (rc == 0 ? !config || !config->server : config || !err.msg[0] || strchr(err.msg, '\n'))
		abort();
	kube_config_free(config);
	close(fd);
	return 0;
}
