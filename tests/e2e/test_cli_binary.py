"""make cli: one file for a workstation, for both architectures."""

import re
import subprocess

import pytest

from harness import ROOT, buildconfig

ARCHITECTURES = {"amd64": [], "arm64": ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]}


@pytest.mark.long  # downloads curl's source and compiles all for two architectures
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_for_workstations_needs_the_c_library_alone(kubernetes_cluster, architecture):
    subprocess.run(["make", "-s", "cli"], cwd=ROOT, check=True, timeout=1800)
    program = ROOT / "build" / "cli" / f"buildhook-linux-{architecture}"
    needed = subprocess.run(["readelf", "-d", "-V", program], text=True, capture_output=True, check=True).stdout
    libraries = set(re.findall(r"NEEDED.*\[(.*)\]", needed))
    assert libraries <= {"libc.so.6", "libm.so.6", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}, libraries
    assert max(tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9.]+)", needed)) <= (2, 34)
    run = [*ARCHITECTURES[architecture], program]
    assert subprocess.run([*run, "version"], text=True, capture_output=True, check=True).stdout.startswith("buildhook ")
    # TLS, certificates of the kubeconfig, JSON and the event loop.
    namespace = kubernetes_cluster.namespace()
    kubernetes_cluster.create(namespace, buildconfig("cart"))
    done = subprocess.run([*run, "status", "--kubeconfig", kubernetes_cluster.kubeconfig, "-n", namespace], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout.splitlines()[1].split()[:2] == ["cart", "github"], done
