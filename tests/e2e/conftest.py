import contextlib
import fcntl
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from documented import ran
from gitea import Gitea
from harness import CONTAINER_STORE, LONG, PRODUCT_IMAGE, ROOT, Buildhook, Cluster, Node, buildconfig, free_port, wait_for


# The files that take longest begin first, so that at the end no process is left alone with one.
LONGEST = ("node_builds", "node_upgrade", "faults", "openshift", "cli_register", "journal", "node_components", "cli_builds", "cli_deliver", "ui", "nasty",
           "node", "status", "crashes", "redelivery", "cli_rights", "gitea", "release", "uninstall", "neighbours")


def turn(item):
    name = item.path.stem.removeprefix("test_")
    is_last = item.get_closest_marker("last") is not None
    return is_last, LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_configure(config):
    config.addinivalue_line("markers", "last: looks at what an earlier test began and time must pass for; comes after all others")
    config.addinivalue_line("markers", "long: only in make test-long; says why")


def pytest_collection_modifyitems(config, items):
    left = [item for item in items if item.get_closest_marker("long") and not LONG]
    if left:
        config.hook.pytest_deselected(items=left)
    items[:] = sorted((i for i in items if i not in left), key=turn)


sys.addaudithook(ran.on_event)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    ran.enter(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    lacking = [line for name in {item.name, item.originalname} for line in ran.lacks(f"{item.path.name}::{name}")]
    assert not lacking, "documented.py says that this test runs them"
    return result


@contextlib.contextmanager
def cleaned():
    """Deletes the BuildConfigs that a test made: beside hundreds of them the next test's would wait for their turn."""
    before = {cluster: len(cluster.namespaces) for cluster in Cluster.running}
    yield
    for cluster in Cluster.running:
        cluster.clean(before.get(cluster, 0))


@pytest.fixture(scope="module", autouse=True)
def cleaned_module():
    with cleaned():
        yield


@pytest.fixture(autouse=True)
def cleaned_test():
    with cleaned():
        yield


@pytest.fixture(scope="session")
def kubernetes_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("kubernetes"))
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def openshift_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("openshift"), openshift=True)
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def started_node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node"))
    yield node
    node.down()


@pytest.fixture(scope="session")
def image():
    """buildhook's image in the store of the tests, which several processes may want at once."""
    name = f"{PRODUCT_IMAGE}:test"
    with open(ROOT / "build" / "image.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([ROOT / "hack" / "image", name], check=True, env={**os.environ, "CONTAINER_STORE": str(CONTAINER_STORE)})
    return name


@pytest.fixture(scope="session")
def archive(image, tmp_path_factory):
    """The image as a file."""
    path = tmp_path_factory.mktemp("image") / "buildhook.tar"
    store = ["--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run"]
    subprocess.run(["buildah", *store, "push", "-q", image, f"oci-archive:{path}:{PRODUCT_IMAGE}:test"], check=True)
    return path


def deploy(node, archive, folder):
    """The overlay of plain Kubernetes, with the image's name put in."""
    manifests = folder / "manifests"
    shutil.copytree(ROOT / "manifests", manifests)
    file = manifests / "overlays" / "kubernetes" / "kustomization.yaml"
    overlay = yaml.safe_load(file.read_text())
    overlay["images"] = [{"name": "buildhook", "newName": PRODUCT_IMAGE, "newTag": "test"}]
    file.write_text(yaml.safe_dump(overlay))
    node.load(archive)
    with node.network():
        for i in range(2):
            node.add_volume(f"journal-{i}")
        node.kubectl("apply", "--server-side", "-k", file.parent)
        node.kubectl("rollout", "status", "statefulset/buildhook", "-n", "buildhook", "--timeout=120s")


@pytest.fixture(scope="session")
def deployed(started_node, archive, tmp_path_factory):
    deploy(started_node, archive, tmp_path_factory.mktemp("deploy"))
    return started_node


@pytest.fixture
def two_nodes(archive, tmp_path):
    """Deployed on a cluster with two nodes; the test runs in their network."""
    nodes = Node(tmp_path / "nodes", 2)
    try:
        deploy(nodes, archive, tmp_path)
        with nodes.network():
            yield nodes
    finally:
        nodes.down()


@pytest.fixture(scope="session")
def git_host(tmp_path_factory):
    """A real Gitea on loopback."""
    gitea = Gitea(tmp_path_factory.mktemp("gitea"))
    yield gitea
    gitea.stop()


@pytest.fixture
def node(started_node):
    """A cluster with a real node; the test runs in its network."""
    with started_node.network():
        yield started_node


@pytest.fixture(scope="session")
def cluster(request, kubernetes_cluster):
    return kubernetes_cluster


@pytest.fixture
def kubeconfig(cluster, tmp_path):
    return cluster.service_account_kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def start(kubeconfig, tmp_path):
    """Starts buildhook, with flags; ends it after the test and looks at what the sanitizers said."""
    started = []

    def start_one(*flags, name="buildhook", env=None):
        buildhook = Buildhook(kubeconfig, tmp_path / name, *flags, env=env)
        started.append(buildhook)
        return buildhook

    yield start_one
    for buildhook in started:
        buildhook.stop()
        buildhook.check_log()


@pytest.fixture
def port():
    """A free port: buildhook's public address has to be known before it starts."""
    return free_port()


@pytest.fixture
def buildhook(start):
    return start()


@pytest.fixture
def namespace(cluster):
    return cluster.namespace()


@pytest.fixture
def hook(cluster, buildhook, namespace):
    """A BuildConfig "cart" with a provisioned GitHub secret: (namespace, name, secret)."""
    cluster.create(namespace, buildconfig("cart"))
    wait_for("the state to be Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    return namespace, "cart", cluster.secret_value(namespace, "cart-hook")


@pytest.fixture
def figures(request):
    """Notes what a test has measured; shown at the end."""
    return lambda text: request.node.user_properties.append(("figures", text))


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed"):
        if report.when == "call":
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
