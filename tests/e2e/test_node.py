"""buildhook deployed as docs/deploy.md says, on a cluster with a real node."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess

from documented import commands
from harness import DEVCLUSTER, ROOT, Answer, Node, buildconfig, github_headers, github_payload, wait_for

class Service:
    """buildhook's Service, at its cluster IP."""

    def __init__(self, node):
        spec = node.get_json("service", "buildhook", "-n", "buildhook")["spec"]
        self.address = f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def request(self, path, body, headers):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request("POST", path, body=body, headers=headers)
        return Answer(connection.getresponse())


def test_both_pods_are_ready_in_a_namespace_that_is_restricted(deployed, node):
    labels = node.get_json("namespace", "buildhook")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = node.get_json("pods", "-n", "buildhook", "-l", "app.kubernetes.io/component=receiver")["items"]
    assert [p["metadata"]["name"] for p in pods] == ["buildhook-0", "buildhook-1"]
    for pod in pods:
        (container,) = pod["status"]["containerStatuses"]
        assert container["ready"] and container["restartCount"] == 0, container
    listening = [line for line in node.kubectl("logs", "-n", "buildhook", "buildhook-0").splitlines() if '"listening"' in line]
    assert len(listening) == 1


def test_a_push_through_the_service_makes_its_build(deployed, node):
    namespace = node.namespace("shop")
    node.create(namespace, buildconfig("cart"))
    wait_for("the hook to be ready", lambda: node.annotation(namespace, "cart", "github-state") == "Ready", 60)
    body = json.dumps(github_payload(commit="3f2a1b0c" * 5)).encode()
    headers = github_headers(node.secret_value(namespace, "cart-hook"), body)
    answer = Service(node).request(f"/hooks/{namespace}/cart/github", body, headers)
    assert answer.status == 200 and answer.json["metadata"]["name"] == "cart-1", answer.body
    (build,) = node.builds(namespace)
    assert build["spec"]["revision"]["git"]["commit"] == "3f2a1b0c" * 5
    # Where other tests of this node have installed the build controller, it has taken the Build already.
    assert build["status"]["phase"] in ("New", "Pending", "Running")


def test_the_commands_of_the_pages_about_pods(deployed, node, tmp_path):
    (tmp_path / "kubectl").write_text(f'#!/bin/sh\nexec {DEVCLUSTER} kubectl "$@"\n')
    (tmp_path / "kubectl").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "KUBECONFIG": str(node.kubeconfig), "HOME": str(tmp_path)}

    def type_in(script):
        done = subprocess.run(["bash", "-ec", script], env=env, text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout + done.stderr

    for line in commands():
        if re.match(r"kubectl (logs|get pods|describe pod) -n buildhook\b", line):
            assert "buildhook-0" in type_in(line.replace("POD", "buildhook-0")) or "-l " in line or "logs" in line, line
    # A person takes longer than kubectl port-forward to type the next command.
    block = re.search(r"^ {4}kubectl port-forward.*&\n {4}curl .*$", (ROOT / "docs" / "alerts.md").read_text(), re.M)[0]
    waiting = block.replace("&\n", "&\nuntil (exec 3<>/dev/tcp/127.0.0.1/8081) 2>/dev/null; do sleep 0.1; done\n")
    assert "ok" in type_in("trap 'kill $(jobs -p)' EXIT\n" + waiting)


def test_a_deleted_pod_comes_back_with_its_journal(deployed, node):
    def is_ready():
        pod = node.run_kubectl("get", "pod", "buildhook-1", "-n", "buildhook", "-o", "json")
        status = json.loads(pod.stdout)["status"] if pod.returncode == 0 else {}
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))

    before = node.get_json("pod", "buildhook-1", "-n", "buildhook")["metadata"]["uid"]
    node.kubectl("delete", "pod", "buildhook-1", "-n", "buildhook")
    wait_for("the Pod to be ready again", is_ready, 90, 0.5)
    after = node.get_json("pod", "buildhook-1", "-n", "buildhook")
    assert after["metadata"]["uid"] != before
    journal = [v["persistentVolumeClaim"]["claimName"] for v in after["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert journal == ["journal-buildhook-1"]
    log = node.kubectl("logs", "-n", "buildhook", "buildhook-1")
    assert not re.search('"level":"error"', log), log


def test_the_api_server_goes_and_comes_back(node):
    node.stop_apiserver()
    assert node.run_kubectl("get", "namespaces").returncode != 0
    node.start_apiserver()
    assert node.get_json("namespace", "default")["metadata"]["name"] == "default"


def test_a_killed_node_leaves_nothing(tmp_path):
    node = Node(tmp_path / "node")
    first = int((node.dir / "devcluster.pid").read_text())
    (inside,) = (int(pid) for pid in pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split())
    namespace = os.readlink(f"/proc/{inside}/ns/pid")

    def processes():
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found += [process.name] if os.readlink(process / "ns" / "pid") == namespace else []
        return found

    name = re.search(r"devcluster-[0-9a-f]{16}", pathlib.Path(f"/proc/{inside}/cgroup").read_text()).group()

    def cgroups():
        own = [line.split(":", 2)[2].rstrip("/") for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()]
        return [f for path in set(own) for f in pathlib.Path("/sys/fs/cgroup").glob(f"*{path}/{name}")]

    assert len(processes()) > 5
    os.kill(first, signal.SIGKILL)
    wait_for("its processes to end", lambda: not processes())
    assert cgroups()
    node.down()
    assert not cgroups()


def test_a_program_without_a_node_says_how_to_build_one(tmp_path):
    done = subprocess.run([DEVCLUSTER, "up", "--node", "--dir", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "devcluster: this program has no kubelet in it; `hack/cluster build --node` builds one that has\n"
