"""Builds that run: from a push to an image that is pulled and started, on a cluster with a real node."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import yaml

from harness import CONTAINER_STORE, GROUP, PRODUCT_IMAGE, ROOT, VERSION, buildconfig, github_headers, github_payload, wait_for
from test_node import Service

ADDRESS = "10.244.255.1"
REGISTRY = f"{ADDRESS}:5000"
GIT = f"http://{ADDRESS}:3000"
BUILDER = "localhost/buildhook-builder"
BUILDAH = ["buildah", "--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run"]
CONTAINER_ENV = {**os.environ, "CONTAINER_STORE": str(CONTAINER_STORE), "BUILDAH_ISOLATION": "chroot"}
CANARY = "canary-e2b1c9-"  # begins every secret value: it must be nowhere


def run(*args, **kwargs):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout


class Git:
    """The Git host's repositories, and a clone of each to commit in."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "password").write_text(CANARY + "source")

    def git(self, *args, cwd=None):
        identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "protocol.file.allow=always"]
        return run("git", *identity, *args, cwd=cwd or self.folder).strip()

    def commit(self, name, files, message="change"):
        """The id of the commit, pushed to main."""
        bare, clone = self.folder / f"{name}.git", self.folder / "clones" / name
        if not bare.exists():
            self.git("init", "-q", "--bare", "-b", "main", bare)
            self.git("-C", bare, "config", "http.receivepack", "true")
            self.git("clone", "-q", bare, clone)
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text)
        self.git("add", "-A", cwd=clone)
        self.git("commit", "-q", "-m", message, cwd=clone)
        address = f"{GIT}/{name}.git".replace("//", f"//robot:{CANARY}source@", 1)
        self.git("push", "-q", address, "HEAD:main", cwd=clone)
        return self.git("rev-parse", "HEAD", cwd=clone)


@pytest.fixture(scope="session")
def builder_archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("builder") / "builder.tar"
    run(ROOT / "hack" / "builder-image" / "image", f"{BUILDER}:test", env=CONTAINER_ENV)
    run(*BUILDAH, "push", "-q", f"{BUILDER}:test", f"oci-archive:{path}:{BUILDER}:test")
    return path


def make_base(folder):
    """An image with a shell, and the S2I builder image on it: 2 MB, so that builds take seconds."""
    shutil.copy("/bin/busybox", folder / "busybox")
    scripts = folder / "s2i"
    scripts.mkdir()
    (scripts / "assemble").write_text("#!/bin/sh\nset -e\ncp -r /tmp/src/. /app\necho built with $FLAVOUR >/app/built\nls /app/input >>/app/built\n")
    (scripts / "run").write_text("#!/bin/sh\ncat /app/said /app/built\n")
    for script in scripts.iterdir():
        script.chmod(0o755)
    (folder / "Containerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\n"
        'RUN ["/bin/busybox", "mkdir", "-p", "/usr/bin", "/sbin", "/usr/sbin", "/tmp", "/etc"]\n'
        'RUN ["/bin/busybox", "--install", "-s"]\nENV PATH=/bin:/usr/bin:/sbin:/usr/sbin\nCMD ["/bin/sh"]\n')
    (folder / "Containerfile.s2i").write_text(
        f"FROM {REGISTRY}/base:1\nCOPY s2i /usr/libexec/s2i\nRUN mkdir /app && chown 1001 /app\n"
        "LABEL io.openshift.s2i.scripts-url=image:///usr/libexec/s2i\nWORKDIR /app\nUSER 1001\n")
    for name, file in (("base:1", "Containerfile"), ("s2i:1", "Containerfile.s2i")):
        run(*BUILDAH, "build", "-q", "-f", folder / file, "-t", f"{REGISTRY}/{name}", folder, env=CONTAINER_ENV)
        run(*BUILDAH, "push", "-q", "--tls-verify=false", f"{REGISTRY}/{name}", f"docker://{REGISTRY}/{name}")


def is_listening(url):
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def servers(started_node, tmp_path_factory):
    """A registry and a Git host, in the node's network."""
    folder = tmp_path_factory.mktemp("servers")
    (folder / "git" / "clones").mkdir(parents=True)
    registry = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}},
                "http": {"addr": REGISTRY, "secret": "x"}, "log": {"level": "warn"}}
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))
    (folder / "base").mkdir()
    with started_node.network(), open(folder / "log", "w", encoding="utf-8") as log:
        processes = [
            subprocess.Popen(["docker-registry", "serve", folder / "registry.yaml"], stdout=log, stderr=log),
            subprocess.Popen([sys.executable, ROOT / "tests" / "e2e" / "git_server.py", ADDRESS, "3000", folder / "git"], stderr=log),
        ]
        wait_for("the registry", lambda: is_listening(f"http://{REGISTRY}/v2/"))
        wait_for("the Git host", lambda: is_listening(GIT))
        make_base(folder / "base")
    yield Git(folder / "git")
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def product(deployed, servers, builder_archive, tmp_path_factory):
    """buildhook with its build controller, as docs/plain-kubernetes.md says."""
    node = deployed
    manifests = tmp_path_factory.mktemp("deploy") / "manifests"
    shutil.copytree(ROOT / "manifests", manifests)
    mine = manifests / "overlays" / "mine"
    mine.mkdir()
    flags = [f"--builder-image={BUILDER}:test", f"--output-registry={REGISTRY}/apps"]
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/args/1", "value": flags[0]},
             {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": flags[1]}]
    (mine / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["../kubernetes"],
        "components": ["../../components/build-controller"],
        "images": [{"name": "buildhook", "newName": PRODUCT_IMAGE, "newTag": "test"}],
        "patches": [{"target": {"kind": "Deployment", "name": "buildhook-build-controller"}, "patch": yaml.safe_dump(patch)}],
    }))
    node.load(builder_archive)
    with node.network():
        node.kubectl("apply", "--server-side", "-k", mine)
        node.kubectl("rollout", "status", "deployment/buildhook-build-controller", "-n", "buildhook", "--timeout=120s")
    return node


@pytest.fixture(scope="session")
def shop(product):
    """A namespace of a team: Pod Security baseline, and a registry without TLS."""
    with product.network():
        namespace = product.namespace("shop")
        product.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline")
        registries = f'[[registry]]\nlocation = "{REGISTRY}"\ninsecure = true\n'
        product.core.create_namespaced_config_map(namespace, {"metadata": {"name": "buildhook-registries"}, "data": {"registries.conf": registries}})
    return namespace


def build_of(node, namespace, name):
    return node.custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "builds", name)


def wait_for_end(node, namespace, name, timeout=180):
    def find():
        build = build_of(node, namespace, name)
        return build if build["status"]["phase"] in ("Complete", "Failed", "Error", "Cancelled") else None

    return wait_for(f"Build {name} to end", find, timeout, 0.5)


def log_of(node, namespace, name):
    return node.run_kubectl("logs", "-n", namespace, f"{name}-build", "--all-containers").stdout


def create_build(node, namespace, name, spec, **metadata):
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Build",
            "metadata": {"name": f"{name}-1", "annotations": {"openshift.io/build.number": "1"}, **metadata},
            "spec": {"strategy": {"type": "Docker", "dockerStrategy": {}}, **spec}, "status": {"phase": "New"}}
    return node.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, "builds", body)


def git_source(name, **rest):
    return {"type": "Git", "git": {"uri": f"{GIT}/{name}.git", "ref": "main"}, **rest}


def output(name):
    return {"to": {"kind": "ImageStreamTag", "name": f"{name}:latest"}}


def started(node, namespace, image, name):
    """What the image says when the kubelet has pulled and started it."""
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [{"name": "app", "image": image}]}
    node.core.create_namespaced_pod(namespace, {"metadata": {"name": name}, "spec": spec})
    wait_for("the image to have run", lambda: node.core.read_namespaced_pod(name, namespace).status.phase == "Succeeded", 120, 0.3)
    return node.kubectl("logs", "-n", namespace, name)


def test_a_push_becomes_an_image_that_says_the_commit(product, node, servers, shop):
    commit = servers.commit("cart", {"Dockerfile": f"FROM {REGISTRY}/base:1\nCOPY . /src\nRUN echo $OPENSHIFT_BUILD_COMMIT >/commit\nCMD cat /commit\n"})
    body = buildconfig("cart", triggers=[{"type": "GitHub", "github": {}}])
    body["spec"]["source"] = git_source("cart")
    node.create(shop, body)
    wait_for("the hook to be ready", lambda: node.annotation(shop, "cart", "github-state") == "Ready", 60)
    payload = json.dumps(github_payload(commit=commit, repository=f"{GIT}/cart.git")).encode()
    headers = github_headers(node.secret_value(shop, "cart-github-webhook"), payload)
    assert Service(node).request(f"/hooks/{shop}/cart/github", payload, headers).status == 200
    build = wait_for_end(node, shop, "cart-1")
    status = build["status"]
    assert status["phase"] == "Complete", (status, log_of(node, shop, "cart-1"))
    image = f"{REGISTRY}/apps/{shop}/cart:latest"
    assert status["outputDockerImageReference"] == image
    head = urllib.request.Request(f"http://{REGISTRY}/v2/apps/{shop}/cart/manifests/latest", method="HEAD",
                                  headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    with urllib.request.urlopen(head) as answer:
        assert status["output"]["to"]["imageDigest"] == answer.headers["Docker-Content-Digest"]
    assert [(c["type"], c["status"]) for c in status["conditions"]][-1] == ("Complete", "True")
    assert status["startTimestamp"] <= status["completionTimestamp"] and status["duration"] > 0
    assert build["metadata"]["annotations"]["openshift.io/build.pod-name"] == "cart-1-build"
    assert started(node, shop, image, "cart-runs") == commit + "\n"
    reasons = [e.reason for e in product.core.list_namespaced_event(shop).items if e.involved_object.kind == "Build"]
    assert sorted(reasons) == ["BuildCompleted", "BuildStarted"]


def test_the_pod_is_what_the_documentation_promises(node, shop):
    pod = node.get_json("pod", "cart-1-build", "-n", shop)
    spec = pod["spec"]
    assert spec["hostUsers"] is False and spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert not spec.get("securityContext", {}).get("seccompProfile")
    (fetch,), (build,) = spec["initContainers"], spec["containers"]
    for container, capabilities in ((fetch, None), (build, ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETFCAP"])):
        security = container["securityContext"]
        assert security["runAsUser"] == 0 and security["allowPrivilegeEscalation"] is False and "privileged" not in security
        assert security["capabilities"]["drop"] == ["ALL"] and security["capabilities"].get("add") == capabilities
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Build", "cart-1", True)
    assert pod["metadata"]["labels"]["openshift.io/build.name"] == "cart-1"


FAIL = f"FROM {REGISTRY}/base:1\nRUN echo about to fail && false\n"
SLOW = f"FROM {REGISTRY}/base:1\nRUN echo sleeping && sleep 600\n"
HUNGRY = f"FROM {REGISTRY}/base:1\nRUN dd if=/dev/zero of=/dev/null bs=400M count=2\n"


@pytest.fixture(scope="session")
def ends(product, servers, shop):
    """Builds that end badly, all started at once."""
    with product.network():
        servers.commit("plain", {"Dockerfile": FAIL, "src/app": "x"})
    specs = {
        "no-repository": {"source": git_source("missing")},
        "no-commit": {"source": git_source("plain"), "revision": {"type": "Git", "git": {"commit": "1" * 40}}},
        "no-folder": {"source": git_source("plain", contextDir="lib")},
        "no-dockerfile": {"source": git_source("plain", contextDir="src")},
        "failing-run": {"source": git_source("plain")},
        "no-base": {"source": {"type": "Dockerfile", "dockerfile": f"FROM {REGISTRY}/nothing:1\n"}},
        "no-push": {"source": {"type": "Dockerfile", "dockerfile": f"FROM {REGISTRY}/base:1\n"},
                    "output": {"to": {"kind": "DockerImage", "name": f"{ADDRESS}:5999/x:1"}}},
        "no-push-secret": {"source": {"type": "Dockerfile", "dockerfile": f"FROM {REGISTRY}/base:1\n"},
                           "output": {**output("x"), "pushSecret": {"name": "missing"}}},
        "hook-fails": {"source": {"type": "Dockerfile", "dockerfile": f"FROM {REGISTRY}/base:1\n"}, "postCommit": {"script": "exit 3"}},
        "binary": {"source": {"type": "Binary", "binary": {}}},
        "custom": {"source": git_source("plain"), "strategy": {"type": "Custom", "customStrategy": {"from": {"kind": "DockerImage", "name": "x"}}}},
        "late": {"source": {"type": "Dockerfile", "dockerfile": SLOW}, "completionDeadlineSeconds": 12},
        "hungry": {"source": {"type": "Dockerfile", "dockerfile": HUNGRY}, "resources": {"limits": {"memory": "200Mi"}}},
        "cancelled": {"source": {"type": "Dockerfile", "dockerfile": SLOW}},
        "deleted": {"source": {"type": "Dockerfile", "dockerfile": SLOW}},
    }
    with product.network():
        for name, spec in specs.items():
            create_build(product, shop, name, spec)
    return shop


@pytest.mark.parametrize("name, phase, reason, message", [
    ("no-repository", "Failed", "FetchSourceFailed", "Check source.git.uri"),
    ("no-commit", "Failed", "FetchSourceFailed", "Commit 1111111111111111111111111111111111111111 is not in"),
    ("no-folder", "Failed", "InvalidContextDirectory", 'source.contextDir is "lib"'),
    ("no-dockerfile", "Failed", "ManageDockerfileFailed", "There is no Dockerfile in"),
    ("failing-run", "Failed", "DockerBuildFailed", "exit status 1"),
    ("no-base", "Failed", "PullBuilderImageFailed", "Check the image's name"),
    ("no-push", "Failed", "PushImageToRegistryFailed", "Check output.to"),
    ("no-push-secret", "Failed", "PushImageToRegistryFailed", "Secret missing of output.pushSecret does not exist"),
    ("hook-fails", "Failed", "PostCommitHookFailed", "post commit hook"),
    ("binary", "Error", "CannotCreateBuildPodSpec", "Binary sources are not supported"),
    ("custom", "Error", "CannotCreateBuildPodSpec", "Strategy Custom is not supported"),
    ("late", "Failed", "GenericBuildFailed", "completionDeadlineSeconds (12)"),
    ("hungry", "Failed", "OutOfMemoryKilled", "limits.memory"),
])
def test_a_build_that_ends_badly_says_why(ends, node, name, phase, reason, message):
    status = wait_for_end(node, ends, f"{name}-1", 240)["status"]
    shown = (status, log_of(node, ends, f"{name}-1"))
    assert (status["phase"], status["reason"]) == (phase, reason), shown
    assert message in status["message"], shown
    assert status["completionTimestamp"]
    if name == "failing-run":
        assert "about to fail" in status["logSnippet"]


def wait_until_it_builds(node, namespace, name):
    wait_for("the build to be under way", lambda: "sleeping" in log_of(node, namespace, name), 180, 1)
    assert build_of(node, namespace, name)["status"]["phase"] == "Running"


def test_a_cancelled_build_ends_its_pod(ends, node):
    wait_until_it_builds(node, ends, "cancelled-1")
    node.custom.patch_namespaced_custom_object(GROUP, VERSION, ends, "builds", "cancelled-1", {"status": {"cancelled": True}})
    status = wait_for_end(node, ends, "cancelled-1")["status"]
    assert (status["phase"], status["reason"]) == ("Cancelled", "CancelledBuild")
    wait_for("the Pod to be gone", lambda: node.run_kubectl("get", "pod", "cancelled-1-build", "-n", ends).returncode != 0, 60, 0.5)


def test_a_build_whose_pod_is_deleted_is_an_error(ends, node):
    wait_until_it_builds(node, ends, "deleted-1")
    node.kubectl("delete", "pod", "deleted-1-build", "-n", ends, "--wait=false")
    status = wait_for_end(node, ends, "deleted-1")["status"]
    assert (status["phase"], status["reason"]) == ("Error", "BuildPodDeleted")


def test_no_controller_had_an_error(product, node):
    pods = node.get_json("pods", "-n", "buildhook", "-l", "app.kubernetes.io/name=buildhook-build-controller")["items"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        assert '"level":"error"' not in node.kubectl("logs", "-n", "buildhook", pod["metadata"]["name"])
