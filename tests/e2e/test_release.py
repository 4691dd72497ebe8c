"""The folder that `make release` makes: reproducible, complete, and enough for a stranger to get a build from a push."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time

import pytest
import yaml

from harness import BUILDHOOK, CONTAINER_STORE, DEVCLUSTER, ROOT, Buildhook, Cluster, Node, push, wait_for
from test_image import PODMAN, Container
from test_node_builds import REGISTRY, is_listening

IMAGE = f"{REGISTRY}/buildhook"
DIST = ROOT / "build" / "dist"
VERSION = (ROOT / "VERSION").read_text().strip()
STORE = ["--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run"]
# Downloads curl's source and compiles everything for two architectures.
long = pytest.mark.long


def run(*args, **kwargs):
    done = subprocess.run(args, capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


class Archive:
    """An OCI archive."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self.files = {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
        (self.entry,) = json.loads(self.files["index.json"])["manifests"]

    def blob(self, digest):
        data = self.files["blobs/" + digest.replace(":", "/")]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
        return data

    def manifests(self):
        """{architecture: manifest}"""
        index = json.loads(self.blob(self.entry["digest"]))
        return {m["platform"]["architecture"]: json.loads(self.blob(m["digest"])) for m in index["manifests"]}

    def config(self, manifest):
        return json.loads(self.blob(manifest["config"]["digest"]))

    def unpack(self, manifest, folder):
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer["digest"]))) as tar:
                tar.extractall(folder, filter="tar")


def test_the_version_is_everywhere_the_same():
    assert run(BUILDHOOK, "version").split()[1].partition("+")[0] == VERSION
    labels = {path: set(re.findall(r"app.kubernetes.io/version: (\S+)", path.read_text())) for path in (ROOT / "manifests").rglob("*.yaml")}
    assert {p: v for p, v in labels.items() if v and v != {VERSION}} == {}
    assert (ROOT / "manifests" / "base" / "kustomization.yaml") in [p for p, v in labels.items() if v]
    heading = "Unreleased" if "-" in VERSION else VERSION
    assert f"## [{heading}]" in (ROOT / "CHANGELOG.md").read_text()


def test_two_images_of_the_same_program_are_the_same_bit_for_bit(tmp_path):
    digests = set()
    for i in range(2):
        name = f"localhost/buildhook-twice:{i}"
        run(ROOT / "hack" / "image", name, env={**os.environ, "CONTAINER_STORE": str(CONTAINER_STORE), "SOURCE_DATE_EPOCH": "1790000000"})
        run("buildah", *STORE, "push", "-q", name, f"oci:{tmp_path}/{i}:x")
        (entry,) = json.loads((tmp_path / str(i) / "index.json").read_text())["manifests"]
        digests.add(entry["digest"])
        time.sleep(1.1)  # another second: no file's time may show
    assert len(digests) == 1
    config = json.loads(run("buildah", *STORE, "inspect", "--type", "image", name))["OCIv1"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["config"]["Labels"].items()}
    assert labels["version"] == (ROOT / "build" / "version").read_text().strip() and labels["created"] == "2026-09-21T14:13:20Z" == config["created"]
    assert set(labels) == {"title", "description", "version", "revision", "created", "licenses"}
    assert config["config"]["User"] == "65532:65532" and config["config"]["Entrypoint"] == ["/usr/bin/buildhook"]


@pytest.fixture(scope="session")
def release():
    run("make", "-s", "release", f"IMAGE={IMAGE}", cwd=ROOT)
    return DIST


@long
def test_the_folder_is_complete_and_its_checksums_hold(release):
    assert {p.name for p in release.iterdir()} == {
        "CHANGELOG.md", "LICENSE", "README.md", "SHA256SUMS", "buildhook-image.tar", "buildhook-linux-amd64", "buildhook-linux-arm64", "example.yaml",
        "install-build-controller.yaml", "install-openshift.yaml", "install.yaml", "sbom.spdx.json"}
    checked = run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=release)
    assert checked.count(": OK") == len(list(release.iterdir())) - 1
    named = set(re.findall(r"^\| (.*?) \| ", (release / "README.md").read_text(), re.M))
    assert {n for cell in named for n in re.findall(r"`([^`]+)`", cell)} | {"README.md", "LICENSE", "CHANGELOG.md"} == {p.name for p in release.iterdir()}


@long
def test_the_manifests_name_the_image_by_its_digest(release):
    digest = Archive(release / "buildhook-image.tar").entry["digest"]
    for name in ("install.yaml", "install-openshift.yaml", "install-build-controller.yaml"):
        images = re.findall(r"^ +image: (\S+)$", (release / name).read_text(), re.M)
        assert images and set(images) == {f"{IMAGE}@{digest}"}, name
    kinds = [o["kind"] for o in yaml.safe_load_all((release / "install-build-controller.yaml").read_text())]
    assert kinds.count("Deployment") == 1 and kinds.count("CustomResourceDefinition") == 2


@long
def test_the_bill_of_materials_names_what_is_in_it(release):
    document = json.loads((release / "sbom.spdx.json").read_text())
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    packages = {p["name"]: p for p in document["packages"]}
    assert set(packages) == {"buildhook", "ca-certificates", "cjson", "curl", "glibc", "libevent", "libyaml", "openssl", "sqlite3", "uthash"}
    for package in packages.values():
        assert re.match(r"\d", package["versionInfo"]) and package["licenseDeclared"] and package["externalRefs"][0]["referenceLocator"].startswith("pkg:")
    for file in document["files"]:
        (sha256,) = [c["checksumValue"] for c in file["checksums"] if c["algorithm"] == "SHA256"]
        assert hashlib.sha256((release / file["fileName"]).read_bytes()).hexdigest() == sha256, file["fileName"]
    ids = [e["SPDXID"] for e in [document, *document["packages"], *document["files"]]]
    assert len(set(ids)) == len(ids)
    assert all({r["spdxElementId"], r["relatedSpdxElement"]} <= set(ids) for r in document["relationships"])


@long
def test_two_releases_are_the_same_bit_for_bit(release, tmp_path):
    """The other one from another folder, with nothing compiled yet."""
    copy = tmp_path / "elsewhere"
    run("git", "clone", "-q", ROOT, copy)
    for name in ("devcluster", "kubectl"):
        (copy / "build").mkdir(exist_ok=True)
        shutil.copy(DEVCLUSTER, copy / "build" / name)  # newer than its sources
    difference = subprocess.run(["git", "diff", "--binary", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["git", "apply", "--allow-empty"], cwd=copy, input=difference, check=True)
    run("make", "-s", "release", f"IMAGE={IMAGE}", cwd=copy, env={**os.environ, "CCACHE_DISABLE": "1"})
    for path in sorted(release.iterdir()):
        assert path.read_bytes() == (copy / "build" / "dist" / path.name).read_bytes(), path.name


class Unpacked(Buildhook):
    """The program of an image, with the image's own libraries; of another architecture under qemu."""

    def __init__(self, root, emulator, *rest):
        self.prefix = [*emulator, root / "usr" / "bin" / "buildhook"]
        super().__init__(*rest)

    def launch(self):
        self.command = [*map(str, self.prefix), *self.command[self.command.index("serve"):]]
        super().launch()


@long
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_image_of_an_architecture_starts_a_build(release, kubernetes_cluster, hook, kubeconfig, tmp_path, architecture):
    archive = Archive(release / "buildhook-image.tar")
    manifest = archive.manifests()[architecture]
    config = archive.config(manifest)
    assert config["architecture"] == architecture and config["config"]["Labels"]["org.opencontainers.image.version"].startswith(VERSION)
    root = tmp_path / "root"
    archive.unpack(manifest, root)
    loader = {"amd64": [root / "lib64/ld-linux-x86-64.so.2", "--library-path", root / "lib/x86_64-linux-gnu"],
              "arm64": ["qemu-aarch64-static", "-L", root]}[architecture]
    assert run(*loader, root / "usr/bin/buildhook", "version").split()[1].partition("+")[0] == VERSION
    namespace, name, secret = hook
    one = Unpacked(root, loader, kubeconfig, tmp_path / "one")
    try:
        wait_for("it to serve the webhook", lambda: push(one, namespace, name, secret, event="ping").status == 200)
        answer = push(one, namespace, name, secret)
        assert answer.status == 200 and answer.json["kind"] == "Build", answer.body
    finally:
        assert one.stop() == 0


# A person takes longer than kubectl port-forward to type the next command.
CONNECTED = "\nuntil (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; do sleep 0.1; done"


def commands(title):
    """Of the section TITLE of the folder's README."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", (DIST / "README.md").read_text(), re.M | re.S)[1]
    return [line.strip() for line in re.findall(r"^ {4}(\S.*)$", section, re.M)]


@pytest.fixture
def stranger(release, tmp_path):
    """Runs a shell's commands in the release's folder, with kubectl and oc and nothing else."""
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("kubectl", "oc"):
        (tools / name).write_text(f'#!/bin/sh\nexec {DEVCLUSTER} kubectl "$@"\n')
        (tools / name).chmod(0o755)

    def type_in(cluster, lines):
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}
        script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(f"{line}{CONNECTED if line.endswith('&') else ''}" for line in lines)
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return type_in


def url_command():
    """The last sentence of the folder's README."""
    (line,) = re.findall(r"`(\./buildhook-linux-amd64 url .*)`", (DIST / "README.md").read_text())
    return line


@long
def test_a_stranger_has_a_build_within_five_commands_on_kubernetes(release, stranger, tmp_path, figures):
    node = Node(tmp_path / "node")
    registry = tmp_path / "registry.yaml"
    registry.write_text(yaml.safe_dump({"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
                                        "http": {"addr": REGISTRY, "secret": "x"}, "log": {"level": "warn"}}))
    try:
        with node.network():
            server = subprocess.Popen(["docker-registry", "serve", registry], stderr=subprocess.DEVNULL)
            wait_for("the registry", lambda: is_listening(f"http://{REGISTRY}/v2/"))
            (copy,) = commands("The image")
            assert copy.startswith("skopeo copy ")
            run(*copy.replace("--all", "--all --dest-tls-verify=false").split(), cwd=release)
            for i in range(2):
                node.add_volume(f"journal-{i}")
            lines = commands("From nothing to a build, on Kubernetes")
            assert len(lines) <= 5
            began = time.monotonic()
            said = stranger(node, lines)
            took = time.monotonic() - began
            assert node.secret_value("shop", "cart-github-webhook") in stranger(node, [url_command()])
            assert [b["metadata"]["name"] for b in node.builds("shop")] == ["cart-1"], said
            pods = node.get_json("pods", "-n", "buildhook")["items"]
            assert {c["image"] for p in pods for c in p["spec"]["containers"]} == {f"{IMAGE}@{Archive(release / 'buildhook-image.tar').entry['digest']}"}
            server.kill()
            server.wait()
    finally:
        node.down()
    assert took < 60
    figures(f"{len(lines)} commands, {took:.1f} s from the image to the Build")


class OpenShift(Cluster):
    """OpenShift's face, and nothing applied."""

    def __init__(self, directory):  # pylint: disable=super-init-not-called
        self.openshift = True
        self.start(directory, "--openshift")


@long
def test_a_stranger_has_a_build_within_five_commands_on_openshift(release, stranger, tmp_path, figures):
    """No node is there: the image runs beside the cluster, as the ServiceAccount of the manifests, instead of the StatefulSet's Pods."""
    cluster = OpenShift(tmp_path / "cluster")
    name = "localhost/buildhook-released:test"
    run("skopeo", "copy", "--override-arch", "amd64", f"oci-archive:{release / 'buildhook-image.tar'}", f"oci-archive:{tmp_path / 'one.tar'}:{name}")
    run(*PODMAN, "load", "-q", "-i", tmp_path / "one.tar")
    try:
        apply, rollout, example, test = commands("On OpenShift")
        assert "rollout status" in rollout
        began = time.monotonic()
        stranger(cluster, [apply])
        buildhook = Container(name, cluster, tmp_path / "pod", "--backend=openshift", "--public-url=http://127.0.0.1:18443")
        said = stranger(cluster, [example, f"{test} --url http://{buildhook.address}/hooks/shop/cart/github"])
        took = time.monotonic() - began
        assert [b["metadata"]["name"] for b in cluster.builds("shop")] == ["cart-1"], said
        assert buildhook.stop() == 0
    finally:
        cluster.down()
    assert took < 60
    figures(f"4 commands, {took:.1f} s from the image to the Build")
