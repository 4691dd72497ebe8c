/*
 * The first process of each Pod's sandbox: it holds the Pod's namespaces, and waits for the
 * children that it inherits where the Pod's containers share a PID namespace.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(int signo)
{
	(void)signo;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

static void on_end(int signo)
{
	(void)signo;
	_exit(0);
}

int main(void)
{
	const struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	const struct sigaction end = {.sa_handler = on_end};

	(void)sigaction(SIGCHLD, &child, NULL);
	(void)sigaction(SIGINT, &end, NULL);
	(void)sigaction(SIGTERM, &end, NULL);
	for (;;)
		(void)pause();
}
