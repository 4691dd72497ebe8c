import pytest

from harness import Buildhook, Cluster, buildconfig, wait_for


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
