"""The commands of docs/deploy.md that remove buildhook leave nothing that blocks, and what the page says."""

import re
import shutil
import subprocess

import pytest

from harness import BUILDHOOK, DEVCLUSTER, ROOT, Buildhook, Cluster, buildconfig, push, wait_for

SECTION = re.search(r"^## Remove it\n(.*?)(?=^## )", (ROOT / "docs" / "deploy.md").read_text(), re.M | re.S)[1]


def typist(cluster, folder):
    """Runs a script in FOLDER, with kubectl and the plug-in."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "kubectl").write_text(f'#!/bin/sh\n[ "$1" != buildhook ] || {{ shift; exec {BUILDHOOK} "$@"; }}\nexec {DEVCLUSTER} kubectl "$@"\n')
    (tools / "kubectl").chmod(0o755)

    def type_in(script):
        done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
                              env={"PATH": f"{tools}:/usr/bin:/bin", "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(folder)})
        assert done.returncode == 0, done.stdout + done.stderr

    return type_in


def claims_of(cluster):
    return {c.metadata.uid for c in cluster.core.list_namespaced_persistent_volume_claim("buildhook").items}


@pytest.fixture
def own_cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.down()


def test_what_stays_after_the_end_needs_no_buildhook(own_cluster, tmp_path):
    cluster = own_cluster
    cluster.kubectl("apply", "--server-side", "-k", ROOT / "manifests" / "overlays" / "kubernetes", "--force-conflicts")
    namespace = cluster.namespace()
    buildhook = Buildhook(cluster.service_account_kubeconfig(tmp_path / "kubeconfig"), tmp_path / "buildhook")
    cluster.create(namespace, buildconfig("cart", annotations={"buildhook.io/refs": "*"}))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook")).status == 200
    wait_for("the status", lambda: cluster.annotation(namespace, "cart", "github-last"))
    # There is no node, so no Pod that the first command would end.
    assert buildhook.stop() == 0

    type_in = typist(cluster, tmp_path)
    # docs/upgrade.md: to a version that cannot read the journals.
    shutil.copy(ROOT / "manifests" / "install.yaml", tmp_path)
    claims = wait_for("the journals' claims", lambda: claims_of(cluster))
    type_in(re.search(r"(?:^ {4}.*\n)*^ {4}kubectl delete pvc .*\n(?:^ {4}.*\n)*", (ROOT / "docs" / "upgrade.md").read_text(), re.M)[0])
    wait_for("new claims", lambda: len(claims_of(cluster) - claims) == len(claims) and not claims_of(cluster) & claims)

    commands = re.findall(r"^ {4}(kubectl .*)$", SECTION, re.M)
    assert len(commands) == 4
    type_in("\n".join(commands))

    everything = cluster.kubectl("get", "clusterroles,clusterrolebindings,namespaces,validatingwebhookconfigurations,mutatingwebhookconfigurations",
                                 "-o", "name", "--show-managed-fields=false")
    assert "buildhook" not in everything
    body = cluster.get(namespace, "cart")
    assert body["metadata"]["annotations"] == {"buildhook.io/refs": "*"} and "finalizers" not in body["metadata"]
    assert len(cluster.builds(namespace)) == 1 and cluster.find_secret_value(namespace, "cart-hook")
    # The owner continues without buildhook: a deleted BuildConfig is gone, with its Secret.
    cluster.delete(namespace, "cart")
    wait_for("the secret to be collected", lambda: cluster.find_secret_value(namespace, "cart-hook") is None, 60)
    cluster.kubectl("delete", "crd", "buildconfigs.build.openshift.io", "builds.build.openshift.io", "--timeout=60s")
    # The page warns of this one: it takes the CRDs along.
    overlay = ROOT / "manifests" / "overlays" / "kubernetes"
    cluster.kubectl("apply", "--server-side", "-k", overlay)
    # What the namespace has taken along already is no error here.
    cluster.kubectl("delete", "-k", overlay, "--timeout=60s", "--ignore-not-found")
    assert "build.openshift.io" not in cluster.kubectl("get", "crd", "-o", "name")
