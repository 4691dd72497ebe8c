"""What `kubectl apply -k` brings: complete, accepted by the real API server, and no right too many."""

import re
import shutil
import subprocess
import textwrap

import pytest
import yaml

from harness import DEVCLUSTER, ROOT

SNIPPETS = re.findall(r"((?:^ {4}.*\n)+)", (ROOT / "docs" / "deploy.md").read_text(), re.M)
READ_WATCH = ["get", "list", "watch"]

# Every right of the ServiceAccount, cluster-wide. A change here is a change of what an administrator agrees to.
RIGHTS = {
    "buildhook": {
        ("build.openshift.io", "buildconfigs"): [*READ_WATCH, "patch"],
        ("build.openshift.io", "builds"): ["get", "list"],
        ("", "secrets"): ["get", "create", "patch"],
        ("events.k8s.io", "events"): ["create", "patch"],
    },
    "buildhook-kubernetes": {
        ("build.openshift.io", "builds"): ["create"],
        ("build.openshift.io", "buildconfigs/status"): ["patch"],
    },
    "buildhook-openshift": {
        ("build.openshift.io", "buildconfigs/instantiate"): ["create"],
        ("build.openshift.io", "builds/docker"): ["create"],
        ("build.openshift.io", "builds/optimizeddocker"): ["create"],
        ("build.openshift.io", "builds/source"): ["create"],
        ("build.openshift.io", "builds/jenkinspipeline"): ["create"],
    },
}


def kustomize(path):
    done = subprocess.run([DEVCLUSTER, "kubectl", "kustomize", ROOT / "manifests" / path], check=True, capture_output=True)
    return done.stdout.decode()


def objects(path):
    return [o for o in yaml.safe_load_all(kustomize(path)) if o]


def rights_of(role):
    found = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}, rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), []).extend(rule["verbs"])
    return found


@pytest.mark.parametrize("path, roles", [
    (".", {"buildhook", "buildhook-kubernetes", "buildhook-openshift"}),
    ("overlays/openshift", {"buildhook", "buildhook-openshift"}),
    ("overlays/kubernetes", {"buildhook", "buildhook-kubernetes"}),
])
def test_the_rights_are_these_and_no_others(path, roles):
    found = objects(path)
    bound = {o["roleRef"]["name"] for o in found if o["kind"] == "ClusterRoleBinding"
             if any(s["name"] == "buildhook" for s in o["subjects"])}
    assert bound == roles
    by_name = {o["metadata"]["name"]: o for o in found if o["kind"] == "ClusterRole"}
    for name in roles:
        assert {k: sorted(v) for k, v in rights_of(by_name[name]).items()} == {k: sorted(v) for k, v in RIGHTS[name].items()}


def test_the_generated_install_file_is_what_the_overlay_says():
    assert (ROOT / "manifests" / "install.yaml").read_text() == kustomize("overlays/kubernetes"), "run hack/install-yaml"


@pytest.mark.parametrize("path", [".", "overlays/kubernetes", "overlays/openshift"])
def test_everything_is_accepted_strictly(kubernetes_cluster, openshift_cluster, path):
    cluster = openshift_cluster if path.endswith("openshift") else kubernetes_cluster
    try:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", ROOT / "manifests" / path)
        kinds = "statefulset,service,poddisruptionbudget,networkpolicy"
        cluster.kubectl("get", kinds + (",route" if cluster is openshift_cluster else ""), "buildhook", "-n", "buildhook")
    finally:
        cluster.run_kubectl("delete", "route", "buildhook", "-n", "buildhook", "--ignore-not-found")


@pytest.mark.parametrize("path", ["overlays/kubernetes", "overlays/openshift"])
def test_the_pods_pass_pod_security_restricted(cluster, path):
    (stateful_set,) = [o for o in objects(path) if o["kind"] == "StatefulSet"]
    namespace = cluster.namespace("restricted")
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    template = stateful_set["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "buildhook", "namespace": namespace}, "spec": template["spec"]}
    pod["spec"]["serviceAccountName"] = "default"
    pod["spec"].setdefault("volumes", []).append({"name": "journal", "emptyDir": {}})
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
    for container in pod["spec"]["containers"]:
        container["securityContext"]["privileged"] = True
        container["securityContext"]["allowPrivilegeEscalation"] = True
    refused = cluster.run_kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
    assert refused.returncode != 0 and "violates PodSecurity" in refused.stderr


def test_the_ingress_of_the_documentation_is_accepted(cluster):
    (ingress,) = [s for s in SNIPPETS if "kind: Ingress" in s]
    cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=textwrap.dedent(ingress))




def test_what_the_documentation_adds_to_an_overlay_builds(tmp_path):
    snippets = [yaml.safe_load(textwrap.dedent(s)) for s in SNIPPETS if re.match(r" +(images|components|- target):", s)]
    snippets = [{"patches": s} if isinstance(s, list) else s for s in snippets]
    assert [next(iter(s)) for s in snippets] == ["images", "patches", "components"]
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    file = tmp_path / "manifests" / "overlays" / "kubernetes" / "kustomization.yaml"
    overlay = yaml.safe_load(file.read_text())
    for snippet in snippets:
        for key, value in snippet.items():
            overlay[key] = overlay.get(key, []) + value
    overlay["components"].append("../../components/custom-builds")
    file.write_text(yaml.safe_dump(overlay))
    built = subprocess.run([DEVCLUSTER, "kubectl", "kustomize", file.parent], check=True, capture_output=True).stdout
    found = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(built) if o}
    (container,) = found["StatefulSet", "buildhook"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/tools/buildhook:1.0"
    assert container["args"][-1] == "--public-url=https://hooks.example.com"
    for kind in ("PodMonitor", "PrometheusRule"):
        assert found[kind, "buildhook"]["metadata"]["namespace"] == "buildhook"
    assert found["ClusterRole", "buildhook-custom-builds"]["rules"][0]["resources"] == ["builds/custom"]


def test_alerts_ask_for_metrics_that_there_are():
    text = (ROOT / "manifests" / "components" / "monitoring" / "alerts.yaml").read_text()
    asked = set(re.findall(r"\bbuildhook_[a-z_]+", text))
    sources = "".join(p.read_text() for top in ("pkg", "cmd") for p in (ROOT / top).rglob("*.c"))
    assert asked and all(f'"{name}"' in sources for name in asked), asked
