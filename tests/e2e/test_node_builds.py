"""Builds that run: from a push to an image that is pulled and started, on a cluster with a real node."""

import base64
import crypt  # its successor is no part of Python
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import yaml

from documented import ran
from harness import CONTAINER_STORE, DEVCLUSTER, GROUP, LONG, PRODUCT_IMAGE, RELEASED, ROOT, VERSION, buildconfig, github_headers, github_payload, wait_for
from test_build_controller import Controller
from test_node import Service

ADDRESS = "10.244.255.1"
REGISTRY = f"{ADDRESS}:5000"
GIT = f"http://{ADDRESS}:3000"
PRIVATE = f"{ADDRESS}:5001"  # a registry that wants a password
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
            bare.parent.mkdir(exist_ok=True)
            self.git("init", "-q", "--bare", "-b", "main", bare)
            self.git("-C", bare, "config", "http.receivepack", "true")
            self.git("clone", "-q", bare, clone)
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text)
        self.git("add", "-A", cwd=clone)
        self.git("commit", "-q", "--allow-empty", "-m", message, cwd=clone)
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
        for target in (name, f"apps/openshift/{name}"):
            run(*BUILDAH, "push", "-q", "--tls-verify=false", f"{REGISTRY}/{name}", f"docker://{REGISTRY}/{target}")
    run(*BUILDAH, "push", "-q", "--tls-verify=false", "--creds", f"robot:{CANARY}registry", f"{REGISTRY}/base:1", f"docker://{PRIVATE}/base:1")


def is_listening(url):
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def write_ssh_host(folder):
    """A Git host that takes a key, on port 2222."""
    for name, at in (("host", folder / "host_key"), ("user", folder / "git" / "key")):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", at)
    shutil.copy(folder / "git" / "key.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(
        f"Port 2222\nListenAddress {ADDRESS}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n")
    os.makedirs("/run/sshd", exist_ok=True)


@pytest.fixture(scope="session")
def servers(started_node, tmp_path_factory):
    """A registry and a Git host, in the node's network."""
    folder = tmp_path_factory.mktemp("servers")
    (folder / "git" / "clones").mkdir(parents=True)
    (folder / "htpasswd").write_text("robot:" + crypt.crypt(CANARY + "registry", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) + "\n")
    for address in (REGISTRY, PRIVATE):
        registry = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "registry" / address)}},
                    "http": {"addr": address, "secret": "x"}, "log": {"level": "warn"}}
        if address == PRIVATE:
            registry["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        (folder / f"{address}.yaml").write_text(yaml.safe_dump(registry))
    write_ssh_host(folder)
    (folder / "base").mkdir()
    with started_node.network(), open(folder / "log", "w", encoding="utf-8") as log:
        processes = [
            subprocess.Popen(["docker-registry", "serve", folder / f"{REGISTRY}.yaml"], stdout=log, stderr=log),
            subprocess.Popen(["docker-registry", "serve", folder / f"{PRIVATE}.yaml"], stdout=log, stderr=log),
            subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=log),
            subprocess.Popen([sys.executable, ROOT / "tests" / "e2e" / "git_server.py", ADDRESS, "3000", folder / "git"], stderr=log),
        ]
        for address in (REGISTRY, PRIVATE):
            wait_for("the registry", lambda address=address: is_listening(f"http://{address}/v2/"))
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
        node.kubectl("rollout", "status", "deployment/buildhook-build-controller", "-n", "buildhook", "--timeout=2m")
    return node


def allow_registries(node, namespace):
    """The tests' registries have no TLS."""
    registries = "".join(f'[[registry]]\nlocation = "{r}"\ninsecure = true\n' for r in (REGISTRY, PRIVATE))
    node.core.create_namespaced_config_map(namespace, {"metadata": {"name": "buildhook-registries"}, "data": {"registries.conf": registries}})


@pytest.fixture(scope="session")
def shop(product):
    """A namespace of a team, with Pod Security baseline."""
    with product.network():
        namespace = product.namespace("shop")
        product.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline")
        allow_registries(product, namespace)
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


def registry_get(registry, path):
    proof = base64.b64encode(f"robot:{CANARY}registry".encode()).decode()
    headers = {"Authorization": f"Basic {proof}", "Accept": "application/vnd.oci.image.manifest.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://{registry}/v2/{path}", headers=headers)) as answer:
        return json.loads(answer.read())


def config_of(registry, name, tag):
    """The image's configuration: labels, variables."""
    digest = registry_get(registry, f"{name}/manifests/{tag}")["config"]["digest"]
    return registry_get(registry, f"{name}/blobs/{digest}")["config"]


def started(node, namespace, image, name, secret=None):
    """What the image says when the kubelet has pulled and started it."""
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [{"name": "app", "image": image}],
            "imagePullSecrets": [{"name": secret}] if secret else []}
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
LARGE = f"FROM {REGISTRY}/base:1\nRUN echo writing && dd if=/dev/zero of=/large bs=1M count=200 && sleep 600\n"
HUNGRY = f"FROM {REGISTRY}/base:1\nRUN dd if=/dev/zero of=/dev/null bs=400M count=2\n"


@pytest.fixture(scope="session")
def ends(product, servers, shop):
    """Builds that fail, all started at once."""
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
    if LONG:
        specs["evicted"] = {"source": {"type": "Dockerfile", "dockerfile": LARGE}, "resources": {"limits": {"ephemeral-storage": "50Mi"}}}
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
    # The kubelet measures a Pod's files every ten seconds, and takes its time.
    pytest.param("evicted", "Failed", "BuildPodEvicted", "ephemeral local storage", marks=pytest.mark.long),
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


def create_secret(node, namespace, name, data, kind="Opaque"):
    node.core.create_namespaced_secret(namespace, {"metadata": {"name": name}, "type": kind, "stringData": data})


def docker_config(registry, form="new"):
    auths = {registry: {"username": "robot", "password": CANARY + "registry"}}
    if form == "old":
        return {".dockercfg": json.dumps(auths)}
    return {".dockerconfigjson": json.dumps({"auths": auths})}


EVERYTHING = f"""\
ARG NAME
FROM {PRIVATE}/base:1 AS first
ARG NAME
RUN echo "$NAME in $STAGE" >/first
FROM nowhere.example.com/replaced:1
COPY --from=first /first /first
COPY lib/said config/note /said/
RUN cat /secret/token | wc -c >/said/length
CMD cat /first /said/said /said/note /said/length
"""


@pytest.fixture(scope="session")
def tokens(product, servers, shop):
    """The team's secrets, each with a value that must show up nowhere."""
    with product.network():
        for form in ("new", "old"):
            kind = "kubernetes.io/dockerconfigjson" if form == "new" else "kubernetes.io/dockercfg"
            create_secret(product, shop, f"registry-{form}", docker_config(PRIVATE, form), kind)
        create_secret(product, shop, "git", {"username": "robot", "password": CANARY + "source"})
        create_secret(product, shop, "ssh", {"ssh-privatekey": (servers.folder / "key").read_text()})
        create_secret(product, shop, "token", {"token": CANARY + "build"})
        product.core.create_namespaced_config_map(shop, {"metadata": {"name": "note"}, "data": {"note": "a note\n"}})
    return shop


def test_all_fields_of_the_docker_strategy(product, node, servers, tokens):
    servers.commit("private/part", {"said": "said by a submodule\n"})
    servers.commit("private/everything", {"app/Dockerfile.prod": EVERYTHING})
    clone = servers.folder / "clones" / "private" / "everything"
    servers.git("submodule", "add", "-q", "--", "../part.git", "app/lib", cwd=clone)
    servers.commit("private/everything", {}, "add a submodule")
    create_build(node, tokens, "everything", {
        "source": git_source("private/everything", contextDir="app", sourceSecret={"name": "git"},
                             configMaps=[{"configMap": {"name": "note"}, "destinationDir": "config"}]),
        "strategy": {"type": "Docker", "dockerStrategy": {
            "dockerfilePath": "Dockerfile.prod", "from": {"kind": "DockerImage", "name": f"{REGISTRY}/base:1"},
            "buildArgs": [{"name": "NAME", "value": 'a "name"'}], "env": [{"name": "STAGE", "value": "the $first stage"}],
            "pullSecret": {"name": "registry-new"}, "noCache": True, "forcePull": True,
            "volumes": [{"name": "v", "mounts": [{"destinationPath": "/secret"}], "source": {"type": "Secret", "secret": {"secretName": "token"}}}],
        }},
        "output": {"to": {"kind": "DockerImage", "name": f"{PRIVATE}/everything:1"}, "pushSecret": {"name": "registry-old"},
                   "imageLabels": [{"name": "team", "value": "shop floor"}]},
        "postCommit": {"script": "test -s /first && echo hook saw $1", "args": ["it"]},
    })
    build = wait_for_end(node, tokens, "everything-1")
    log = log_of(node, tokens, "everything-1")
    assert build["status"]["phase"] == "Complete", (build["status"], log)
    assert "hook saw it" in log
    assert build["spec"]["revision"]["git"]["message"] == "add a submodule"
    assert build["spec"]["revision"]["git"]["author"] == {"name": "Alice", "email": "alice@example.com"}
    labels = config_of(PRIVATE, "everything", "1")["Labels"]
    assert labels["team"] == "shop floor" and labels["io.openshift.build.commit.message"] == "add a submodule"
    said = started(node, tokens, f"{PRIVATE}/everything:1", "everything-runs", secret="registry-new")
    stages = [(s["name"], s["steps"][0]["name"]) for s in build["status"]["stages"]]
    assert stages == [("FetchInputs", "FetchGitSource"), ("Build", "DockerBuild"), ("PostCommit", "RunPostCommitHook"), ("PushImage", "PushDockerImage")]
    assert said == f'a "name" in the $first stage\nsaid by a submodule\na note\n{len(CANARY + "build")}\n'


def test_source_strategy_runs_assemble_and_run(product, node, servers, tokens):
    servers.commit("private/app", {"said": "hello from source\n", ".s2i/environment": "FLAVOUR=vanilla\n"})
    create_build(node, tokens, "app", {
        "source": {"type": "Git", "git": {"uri": f"ssh://root@{ADDRESS}:2222{servers.folder}/private/app.git", "ref": "main"}, "sourceSecret": {"name": "ssh"},
                   "secrets": [{"secret": {"name": "token"}, "destinationDir": "input"}]},
        "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": f"{REGISTRY}/s2i:1"}}},
        "output": output("app"),
    })
    status = wait_for_end(node, tokens, "app-1")["status"]
    assert status["phase"] == "Complete", (status, log_of(node, tokens, "app-1"))
    said = started(node, tokens, f"{REGISTRY}/apps/{tokens}/app:latest", "app-runs")
    assert said == "hello from source\nbuilt with vanilla\ntoken\n"


def test_an_inline_dockerfile_takes_the_place_of_the_sources_own(product, node, servers, shop):
    servers.commit("inline", {"Dockerfile": FAIL, "said": "said by the source\n"})
    dockerfile = f"FROM {REGISTRY}/base:1\nCOPY said /said\nCMD cat /said\n"
    create_build(node, shop, "inline", {"source": git_source("inline", dockerfile=dockerfile), "output": output("inline")})
    status = wait_for_end(node, shop, "inline-1")["status"]
    assert status["phase"] == "Complete", (status, log_of(node, shop, "inline-1"))
    assert started(node, shop, f"{REGISTRY}/apps/{shop}/inline:latest", "inline-runs") == "said by the source\n"


def test_no_secret_of_a_build_is_shown(product, node, servers, tokens):
    test_canary = CANARY.encode()
    for name in ("everything-1", "app-1"):
        assert CANARY not in log_of(node, tokens, name)
        assert CANARY not in json.dumps(node.get_json("pod", f"{name}-build", "-n", tokens))
    assert CANARY not in node.kubectl("get", "builds,events", "-n", tokens, "-o", "json")
    for pod in node.get_json("pods", "-n", "buildhook")["items"]:
        assert CANARY not in node.kubectl("logs", "-n", "buildhook", pod["metadata"]["name"])
    blobs = [p for p in servers.folder.parent.rglob("data") if p.is_file()]
    assert len(blobs) > 6
    for blob in blobs:
        content = blob.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        assert test_canary not in content, blob


def test_buildconfigs_exported_from_openshift_are_built(product, node, servers):
    """The examples are unchanged except their output. The first Builds come by ConfigChange; the limits are then set, and the oldest goes."""
    servers.commit("exported/web", {"app/Dockerfile": 'FROM registry.example.com/x:1\nARG COLOUR\nRUN echo "$WHO, $COLOUR" >/said\nCMD cat /said\n'})
    servers.commit("exported/app", {"said": "hello from source\n", "input/file": ""})
    namespace = node.namespace("exported")
    allow_registries(node, namespace)
    for body in yaml.safe_load((ROOT / "tests" / "data" / "exported-buildconfigs.yaml").read_text())["items"]:
        name = body["metadata"]["name"]
        for field in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            del body["metadata"][field]
        body["metadata"]["namespace"] = namespace
        body["spec"]["output"]["to"] = {"kind": "DockerImage", "name": f"{REGISTRY}/{namespace}/{name}:1"}
        node.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body))
    for name, said in (("web", "hello world, blue\n"), ("app", "hello from source\nbuilt with plain\nfile\n")):
        wait_for("the first Build", lambda name=name: node.run_kubectl("get", "build", f"{name}-1", "-n", namespace).returncode == 0, 60)
        status = wait_for_end(node, namespace, f"{name}-1")["status"]
        assert status["phase"] == "Complete", (status, log_of(node, namespace, f"{name}-1"))
        assert started(node, namespace, f"{REGISTRY}/{namespace}/{name}:1", f"{name}-runs") == said
    node.patch(namespace, "web", {"spec": {"successfulBuildsHistoryLimit": 1}})
    run(RELEASED, "start", "web", "-n", namespace, "--kubeconfig", node.kubeconfig)
    assert wait_for_end(node, namespace, "web-2")["status"]["phase"] == "Complete"
    for kind, name in (("build", "web-1"), ("pod", "web-1-build")):
        wait_for(f"{kind} {name} to go", lambda kind=kind, name=name: node.run_kubectl("get", kind, name, "-n", namespace).returncode != 0, 90, 0.5)


def test_the_documentation_leads_to_a_deployment(product, node, servers, tmp_path):
    servers.commit("doc/cart", {"Dockerfile": f"FROM {REGISTRY}/base:1\nCMD sleep 1000\n"})
    text = (ROOT / "docs" / "plain-kubernetes.md").read_text()
    (section,) = re.findall(r"^## From a BuildConfig to a Deployment\n(.*?)^## ", text + "\n## ", re.M | re.S)[:1]
    section = section.partition("\n`status.output")[0]
    blocks = [re.sub(r"^    ", "", b, flags=re.M) for b in re.findall(r"(?:^    .*\n)+", section, re.M)]
    assert len(blocks) == 3
    namespace = "doc-shop"
    for i, block in enumerate(blocks):
        for old, new in (("registry.example.com", REGISTRY), ("https://git.example.com/shop/cart.git", f"{GIT}/doc/cart.git"),
                         ("-n shop", f"-n {namespace}"), ("namespace shop", f"namespace {namespace}"), ("/shop/cart:latest", f"/{namespace}/cart:latest")):
            block = block.replace(old, new)
        script = f'set -e\nPASSWORD=x\nkubectl() {{ "{DEVCLUSTER}" kubectl --kubeconfig "{node.kubeconfig}" "$@"; }}\n' + block
        done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=False)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        if i == 0:
            allow_registries(node, namespace)
    assert "buildhook-build-controller" in node.kubectl("get", "pods", "-n", "buildhook", "-l", "app.kubernetes.io/name=buildhook-build-controller")
    assert "Events:" in node.kubectl("describe", "pod", "cart-1-build", "-n", namespace)
    # oc reads the log of the newest Build by OpenShift's own API; it is that of the Build's Pod.
    assert "STEP 1/" in node.kubectl("logs", "-n", namespace, "-l", "openshift.io/build.name=cart-1", "--all-containers", "--tail=-1")
    ran.note("oc logs bc/cart")


def run_again(node, namespace, pod, name, profile):
    """A Pod of a Build under another seccomp profile: its phase, and what its containers say."""
    body = node.get_json("pod", pod, "-n", namespace)
    spec = body["spec"]
    for field in ("nodeName", "tolerations", "priority", "preemptionPolicy", "serviceAccount"):
        spec.pop(field, None)
    spec["securityContext"]["seccompProfile"] = profile
    node.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}))

    def find_end():
        status = node.get_json("pod", name, "-n", namespace)["status"]
        return status if status["phase"] in ("Succeeded", "Failed") else None

    status = wait_for("the Pod to end", find_end, 120, 0.5)
    return status["phase"], json.dumps(status["initContainerStatuses"] + status["containerStatuses"])


def test_the_shipped_seccomp_profile_lets_buildah_work(ends, node):
    folder = node.dir / "node" / "kubelet" / "seccomp"
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "manifests" / "components" / "build-controller" / "profiles" / "seccomp.json", folder / "buildhook-build.json")
    localhost = {"type": "Localhost", "localhostProfile": "buildhook-build.json"}
    phase, message = run_again(node, ends, "cart-1-build", "localhost-build", localhost)
    assert phase == "Succeeded", message
    phase, message = run_again(node, ends, "cart-1-build", "runtime-build", {"type": "RuntimeDefault"})
    assert phase == "Failed" and "--seccomp-profile" in message and "profiles/seccomp.json" not in message


@pytest.mark.long  # the quarantine of Pods without a node takes a minute
@pytest.mark.last  # there is no node after it
def test_a_build_whose_node_is_gone_ends(product, node, servers, shop, tmp_path):
    create_build(node, shop, "lost", {"source": {"type": "Dockerfile", "dockerfile": SLOW}})
    wait_until_it_builds(node, shop, "lost-1")
    # The product's own replicas go with the node; on a cluster with another node one would run there.
    controller = Controller(node.kubeconfig, tmp_path / "controller").start().wait_ready()
    node.kubectl("delete", "node", "node")
    status = wait_for_end(node, shop, "lost-1", 240)["status"]
    assert (status["phase"], status["reason"]) in (("Failed", "BuildPodEvicted"), ("Error", "BuildPodDeleted")), status
    controller.stop()


@pytest.mark.long  # a cluster and a node of its own
def test_make_run_shows_a_push_that_becomes_an_image():
    try:
        shown = run("make", "-s", "-C", ROOT, "run", "BUILD=1")
        (commit,) = re.findall(r"^commit ([0-9a-f]{40})$", shown, re.M)
        assert f"I was built from commit {commit}\n" in shown
        assert (ROOT / ".run" / "url").read_text().startswith("http://")
    finally:
        run("make", "-s", "-C", ROOT, "down")
    assert not (ROOT / ".run").exists()


def test_no_controller_had_an_error(product, node):
    pods = node.get_json("pods", "-n", "buildhook", "-l", "app.kubernetes.io/name=buildhook-build-controller")["items"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        assert '"level":"error"' not in node.kubectl("logs", "-n", "buildhook", pod["metadata"]["name"])
