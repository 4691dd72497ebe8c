/*
 * Kubeconfig files: read, merged as kubectl does, and one context of them taken as a configuration.
 */
#pragma once

#include "kubeconfig/config.h"

/*
 * Fills OUT from the file at PATH; with IS_LIST from several ("a:b:c", the first to name a thing
 * wins), of which missing ones are ignored. ERR_NOTFOUND where none exists; ERR_INVALID says what
 * to change, and in which file.
 */
int kubeconfig_read(struct kube_config *out, const char *path, bool is_list,
		    const struct kube_config_options *options, struct err *err);
