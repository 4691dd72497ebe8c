"""The system calls of the program as it is released: those of these lists and no others, and no other program is executed."""

import os
import re
import subprocess
import sys

import pytest

from harness import RELEASED, ROOT, Buildhook, buildconfig, push, wait_for
from test_build_controller import Kubelet, Controller, controller_kubeconfig, create_build, kubelet  # noqa: F401

ANY = """
accept4 access arch_prctl bind brk clock_nanosleep clone3 close connect epoll_create1 epoll_ctl epoll_wait eventfd2 exit exit_group fcntl
futex getegid geteuid getgid getpeername getpid getrandom getsockname getsockopt gettid getuid ioctl listen lseek madvise mmap mprotect
mremap munmap newfstatat openat pipe2 poll pread64 prlimit64 read recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask
rt_sigreturn sendmmsg sendto set_robust_list set_tid_address setsockopt shutdown socket socketpair sysinfo tgkill uname write
""".split()
# The journal, TLS, and the open descriptors that /metrics counts.
SERVE = """
faccessat2 fchown fdatasync flock fstatfs fsync ftruncate getdents64 mkdir pwrite64 renameat unlink unlinkat
""".split()
CALLS = {"serve": [*ANY, *SERVE], "build-controller": ANY}


@pytest.fixture
def traced(tmp_path):
    """A program that is buildhook under strace, which writes the calls that are not of the lists into files of its folder."""
    path = tmp_path / "traced" / "buildhook"
    path.parent.mkdir()
    cases = "".join(f"{command}) calls={','.join(calls)} ;;\n" for command, calls in CALLS.items())
    # -D: the process that is started is buildhook itself, whom signals reach.
    path.write_text(f"""#!/bin/sh
case $1 in
{cases}*) exec {RELEASED} "$@" ;;
esac
exec strace -D -f --seccomp-bpf -qq -e signal=none -o {path.parent}/$1.$$ -e "trace=!$calls" {RELEASED} "$@"
""")
    path.chmod(0o755)
    return path


def check(traced):
    """Each process has no execve but its own."""
    traces = list(traced.parent.glob("*.*"))
    assert traces
    for trace in traces:
        calls = re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)", trace.read_text(), re.M)
        assert calls == ["execve"], f"{trace.name}: {sorted(set(calls))}"
    return len(traces)


def certificate(directory):
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=buildhook"
    subprocess.run([*command.split(), "-keyout", directory / "tls.key", "-out", directory / "tls.crt"], check=True, capture_output=True)
    return ["--tls-cert", str(directory / "tls.crt"), "--tls-key", str(directory / "tls.key")]


def test_serve_makes_the_system_calls_of_the_list(cluster, kubeconfig, namespace, traced, tmp_path):
    buildhook = Buildhook(kubeconfig, tmp_path / "serve", program=traced)
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret).json["kind"] == "Build"
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    assert buildhook.admin_get("/metrics").status == 200
    buildhook.kill()
    buildhook.start()
    assert push(buildhook, namespace, "cart", secret).json["kind"] == "Build"
    assert buildhook.stop() == 0
    tls = Buildhook(kubeconfig, tmp_path / "tls", *certificate(tmp_path), program=traced)
    subprocess.run(["curl", "-sSk", f"https://{tls.address}/"], check=True, capture_output=True)
    assert tls.stop() == 0
    check(traced)


def test_the_build_controller_makes_the_system_calls_of_the_list(cluster, controller_kubeconfig, namespace, kubelet, traced, tmp_path):  # noqa: F811
    kubelet()
    controller = Controller(controller_kubeconfig, tmp_path / "controller")
    controller.command[0] = traced
    controller.start().wait_ready()
    cluster.create(namespace, buildconfig("cart"))
    create_build(cluster, namespace, "cart", 1)
    wait_for("the Build to end", lambda: cluster.builds(namespace)[0].get("status", {}).get("phase") == "Complete")
    assert controller.admin_get("/metrics").status == 200
    controller.stop()
    check(traced)


@pytest.mark.long("runs other tests")
def test_whatever_happens_the_system_calls_are_those_of_the_list(traced, figures):
    files = ["test_main_job.py", "test_answers.py", "test_floods.py", "test_outage.py", "test_journal.py", "test_nasty.py",
             "test_openshift.py", "test_restarts.py", "test_build_controller.py"]
    env = {**os.environ, "BUILDHOOK": str(traced), "LONG": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(ROOT / "tests" / "e2e" / name for name in files)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    figures(f"{check(traced)} processes; {done.stdout.splitlines()[-1]}")
