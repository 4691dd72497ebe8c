/*
 * Exec credential plug-ins of a kubeconfig (client.authentication.k8s.io): how to run one, and what
 * it answers.
 */
#pragma once

#include "doc/json.h"
#include "kubeconfig/config.h"

/* EXEC is the user's member of that name. A command with a slash in it is relative to FOLDER. */
int exec_parse(struct kube_config *out, const cJSON *exec, const char *folder, struct err *err);
