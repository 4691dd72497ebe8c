/* environ, pipe2() */
#define _GNU_SOURCE

#include "kubeconfig/exec.h"

#include "base/mem.h"
#include "kubeconfig/file.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ANSWER_BYTES ((size_t)256 * 1024)

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static char *command_of(const char *command, const char *folder)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(8192);

	if (command[0] == '/' || !strchr(command, '/'))
		return mem_strdup(command);
	buf_printf(&path, "%s/%s", folder, command);
	return buf_take(&path);
}

static int parse_args(struct kube_config *out, const cJSON *args, struct err *err)
{
	const cJSON *arg = NULL;
	size_t n = 1;

	cJSON_ArrayForEach (arg, args) {
		if (!cJSON_IsString(arg))
			return err_set(err, ERR_INVALID, "exec.args has to be a list of strings");
		out->exec_argv[n++] = mem_strdup(arg->valuestring);
	}
	return 0;
}

static char *variable(const char *name, const char *value)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);

	buf_printf(&text, "%s=%s", name, value);
	return buf_take(&text);
}

/* The ExecCredential that the plug-in gets: the API version that it has to answer in. */
static char *exec_info(const cJSON *exec, const char *version)
{
	CLEANUP(json_freep) cJSON *info = json_new_object();
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const char *mode = json_str_at(exec, "interactiveMode");
	bool is_interactive = isatty(STDIN_FILENO) && !(mode && strcmp(mode, "Never") == 0);

	json_put_str(info, "apiVersion", version);
	json_put_str(info, "kind", "ExecCredential");
	json_put_bool(json_put_object(info, "spec"), "interactive", is_interactive);
	json_format(&text, info);
	return variable("KUBERNETES_EXEC_INFO", text.data);
}

static int parse_env(struct kube_config *out, const cJSON *env, struct err *err)
{
	const cJSON *item = NULL;
	size_t n = 0;

	cJSON_ArrayForEach (item, env) {
		const char *name = json_str_at(item, "name");
		const char *value = json_str_at(item, "value");

		if (!name || !*name || strchr(name, '=') || !value)
			return err_set(err, ERR_INVALID,
				       "exec.env has to be a list of name and value");
		out->exec_env[n++] = variable(name, value);
	}
	return 0;
}

int exec_parse(struct kube_config *out, const cJSON *exec, const char *folder, struct err *err)
{
	const char *command = json_str_at(exec, "command");
	const char *version = json_str_at(exec, "apiVersion");
	const cJSON *args = json_member(exec, "args");
	const cJSON *env = json_member(exec, "env");

	if (!command || !*command)
		return err_set(err, ERR_INVALID, "exec.command is missing");
	if (!version || (strcmp(version, "client.authentication.k8s.io/v1") != 0 &&
			 strcmp(version, "client.authentication.k8s.io/v1beta1") != 0))
		return err_set(
			err, ERR_INVALID,
			"exec.apiVersion has to be client.authentication.k8s.io/v1 or v1beta1");
	out->exec_argv = mem_new((size_t)cJSON_GetArraySize(args) + 2, sizeof(char *));
	out->exec_argv[0] = command_of(command, folder);
	out->exec_env = mem_new((size_t)cJSON_GetArraySize(env) + 2, sizeof(char *));
	if (parse_args(out, args, err) < 0 || parse_env(out, env, err) < 0)
		return err->code;
	out->exec_env[count(out->exec_env)] = exec_info(exec, version);
	return 0;
}

/* Takes the credentials out of an ExecCredential. */
static int read_answer(struct kube_config *out, struct str text, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	const char *token = NULL;
	const char *cert = NULL;
	const char *key = NULL;

	if (json_parse(&doc, text, err) < 0)
		return err->code;
	token = json_str_at(doc, "status/token");
	cert = json_str_at(doc, "status/clientCertificateData");
	key = json_str_at(doc, "status/clientKeyData");
	if ((!token || !*token) && (!cert || !key))
		return err_set(
			err, ERR_INVALID,
			"the answer has neither a token nor a client certificate with its key");
	if (token && *token) {
		mem_wipe_str(&out->token);
		out->token = mem_strdup(token);
	}
	if (cert && key) {
		buf_wipe(&out->cert_pem);
		buf_wipe(&out->key_pem);
		buf_put_str(&out->cert_pem, str_of(cert));
		buf_put_str(&out->key_pem, str_of(key));
		mem_free(&out->cert_file);
		mem_free(&out->key_file);
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int read_all(struct buf *out, int fd, struct err *err)
{
	char chunk[4096];
	ssize_t n = 0;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_INTERNAL, "read: %s", strerror(errno));
		buf_put(out, chunk, (size_t)n);
	}
	explicit_bzero(chunk, sizeof(chunk));
	return out->overflow
		       ? err_set(err, ERR_LIMIT, "the answer is longer than %zu bytes", out->limit)
		       : 0;
}

/* True if LIST sets the variable of ENTRY, "NAME=VALUE". */
static bool sets_same(char *const *list, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (; *list; list++)
		if (strncmp(*list, entry, n) == 0)
			return true;
	return false;
}

/*
 * The environment with what the kubeconfig adds, each name once: where one is there twice, programs
 * differ in which they take. The list is the caller's, its texts are not.
 */
static char **merge_environment(char *const *added)
{
	size_t n = count(added);
	char **list = mem_new(n + count(environ) + 1, sizeof(*list));

	memcpy(list, added, n * sizeof(*list));
	for (char **inherited = environ; *inherited; inherited++)
		if (!sets_same(added, *inherited))
			list[n++] = *inherited;
	return list;
}

static int spawn(pid_t *out_pid, int out_fd, const struct kube_config *config, struct err *err)
{
	CLEANUP(mem_free) char **environment = merge_environment(config->exec_env);
	posix_spawn_file_actions_t actions;
	int rc = 0;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	rc = posix_spawnp(out_pid, config->exec_argv[0], &actions, NULL, config->exec_argv,
			  environment);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0)
		return err_set(err, ERR_UNAVAILABLE, "%s", strerror(rc));
	return 0;
}

static int run(struct buf *out, const struct kube_config *config, struct err *err)
{
	int fds[2] = {-1, -1};
	pid_t pid = -1;
	int status = 0;
	int rc = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, ERR_INTERNAL, "pipe: %s", strerror(errno));
	rc = spawn(&pid, fds[1], config, err);
	close_fd(&fds[1]);
	if (rc == 0)
		rc = read_all(out, fds[0], err);
	close_fd(&fds[0]);
	if (pid < 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		rc = err_set(err, ERR_DENIED, "ended with status %d",
			     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return rc;
}

int kube_config_run_exec(struct kube_config *config, struct err *err)
{
	CLEANUP(buf_wipe) struct buf answer = BUF_INIT(MAX_ANSWER_BYTES);
	int rc = 0;

	if (!config->exec_argv)
		return 0;
	rc = run(&answer, config, err);
	if (rc == 0)
		rc = read_answer(config, buf_str(&answer), err);
	if (rc < 0)
		return err_wrap(err, "%s: exec plug-in %s", config->source, config->exec_argv[0]);
	return 0;
}
