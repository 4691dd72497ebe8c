/*
 * own-root COMMAND...: runs COMMAND where the root directory is that of a mount namespace of its
 * own.
 *
 * In a chroot containers cannot be made: the kernel refuses user namespaces and pivot_root(2) to a
 * process whose root directory is not its mount namespace's. setns(2) to the namespace that the
 * process is in sets its root directory to the namespace's; then the chroot's directory becomes
 * that. Nothing outside changes.
 */
#define _GNU_SOURCE /* setns() and open_tree() */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	(void)fprintf(
		stderr,
		"%s: %s; containers cannot be made in this chroot. Use a machine, a container or "
		"`systemd-nspawn -D`\n",
		what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	int here, root, space;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: own-root COMMAND...\n");
		return 2;
	}
	if (unshare(CLONE_NEWNS) != 0)
		return fail("unshare");
	/* open_tree(2) gives a copy, on top of which nothing is mounted yet. */
	here = open("/", O_PATH | O_CLOEXEC);
	root = open_tree(here, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (here < 0 || root < 0 || space < 0)
		return fail("open_tree");
	if (setns(space, CLONE_NEWNS) != 0)
		return fail("setns");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    move_mount(root, "", here, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
		return fail("move_mount");
	if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
	    umount2(".", MNT_DETACH) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return fail("pivot_root");
	(void)execvp(argv[1], &argv[1]);
	perror(argv[1]);
	return 127;
}
