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

/* Takes the root directory along as ROOT, a copy of its mounts, to HERE, its place in a mount
 * namespace of this process's own, and leaves it. Where that fails nothing has changed. */
static int leave(int *root, int *here)
{
	int space;

	if (unshare(CLONE_NEWNS) != 0)
		return -1;
	*here = open("/", O_PATH | O_CLOEXEC);
	*root = open_tree(*here, "",
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return *here < 0 || *root < 0 || space < 0 ? -1 : setns(space, CLONE_NEWNS);
}

static int make_root(int root, int here)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    move_mount(root, "", here, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
		return -1;
	if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
		return -1;
	return umount2(".", MNT_DETACH) != 0 ? -1
					     : mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int main(int argc, char **argv)
{
	int here, root;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: own-root COMMAND...\n");
		return 2;
	}
	if (leave(&root, &here) != 0) {
		(void)fprintf(stderr,
			      "own-root: %s; containers cannot be made here, and tests that need "
			      "them fail. Use a machine, or `systemd-nspawn -D`\n",
			      strerror(errno));
	} else if (make_root(root, here) != 0) {
		perror("own-root");
		return 1;
	}
	(void)execvp(argv[1], &argv[1]);
	perror(argv[1]);
	return 127;
}
