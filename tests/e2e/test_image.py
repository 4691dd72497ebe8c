"""The main job once more, by the very image: any user, read-only root, no capabilities, a Pod's mounted files."""

import os
import subprocess
import uuid

import pytest
import yaml

from harness import CONTAINER_STORE, Buildhook
from test_main_job import (  # noqa: F401  the same tests, with the fixture "start" of this file
    test_a_clean_end_finishes_what_is_under_way,
    test_a_killed_process_starts_an_acknowledged_change_exactly_once,
    test_a_missing_secret_is_made_and_the_object_says_so,
    test_a_push_starts_a_build_and_the_answer_is_the_build,
    test_an_edited_secret_reference_counts_within_a_second,
    test_whatever_is_not_proved_gets_one_and_the_same_401,
)

PODMAN = [
    "podman", "--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run", "--tmpdir", CONTAINER_STORE / "tmp",
    "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "file",
]
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Container(Buildhook):
    def __init__(self, image, cluster, directory, *flags):
        self.image, self.cluster = image, cluster
        directory.mkdir(parents=True)
        self.mounted = directory / "serviceaccount"
        self.volume = directory / "volume"
        self.write_pod_files()
        super().__init__("unused", directory, *flags)

    def write_pod_files(self):
        """The files that the kubelet mounts into a Pod."""
        self.mounted.mkdir()
        self.volume.mkdir(mode=0o777)
        os.chmod(self.volume, 0o777)
        kubeconfig = yaml.safe_load(self.cluster.service_account_kubeconfig(self.mounted / "kubeconfig").read_text())
        (self.mounted / "token").write_text(kubeconfig["users"][0]["user"]["token"])
        (self.mounted / "namespace").write_text("buildhook")
        (self.mounted / "ca.crt").write_bytes((self.cluster.dir / "pki" / "ca.crt").read_bytes())
        (self.mounted / "kubeconfig").unlink()
        for path in self.mounted.iterdir():
            path.chmod(0o644)
        host, port = kubeconfig["clusters"][0]["cluster"]["server"].removeprefix("https://").rsplit(":", 1)
        self.service = ["-e", f"KUBERNETES_SERVICE_HOST={host}", "-e", f"KUBERNETES_SERVICE_PORT={port}"]

    def start(self, wait_ready=True):
        self.name = f"buildhook-{uuid.uuid4().hex[:8]}"
        flags = self.command[self.command.index("--listen"):]
        self.command = [
            *PODMAN, "run", "--rm", "--name", self.name, "--network", "host", "--read-only", "--user", "12345:0",
            "--cap-drop", "all", "--security-opt", "no-new-privileges", "--pids-limit", "-1",
            "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", *self.service,
            "-v", f"{self.mounted}:{MOUNT}:ro", "-v", f"{self.volume}:/var/lib/buildhook",
            self.image, "serve", "--data-dir", "/var/lib/buildhook/journal", *flags,
        ]
        super().start(wait_ready)

    def kill(self):
        subprocess.run([*PODMAN, "kill", "--signal", "KILL", self.name], check=True, stdout=subprocess.DEVNULL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            subprocess.run([*PODMAN, "kill", "--signal", "TERM", self.name], check=True, stdout=subprocess.DEVNULL)
        return self.process.wait(timeout=30)


@pytest.fixture
def start(cluster, image, tmp_path):
    started = []

    def start_one(*flags, name="buildhook", env=None):
        assert env is None
        started.append(Container(image, cluster, tmp_path / name, *flags))
        return started[-1]

    yield start_one
    for container in started:
        container.stop()
