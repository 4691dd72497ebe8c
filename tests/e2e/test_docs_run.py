"""Each command that README and docs tell people to type is run: here, or by the test that RUN_BY names."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from cli import ready
from harness import BUILDHOOK, ROOT, buildconfig, push
from test_docs import PAGES, typed

# Run here as they stand, in the namespace of a BuildConfig "cart" that has been pushed to.
RUN_HERE = [
    r"(kubectl|oc) buildhook (add-trigger|history|status|test|url)\b.*",
    r"build/buildhook send .*",
    r"buildhook \S+ --help",
    r"(kubectl|oc) (get|describe) (bc|builds|events|secret cart)\b.*",
    r"(kubectl|oc) (annotate|patch) (bc|build)\b.*",
    r"(kubectl|oc) create secret generic cart-.*",
    r"kubectl label namespace shop .*",
]

# The other commands: the file of a test or script that runs each, and the words there that do.
RUN_BY = {
    r"(kubectl|oc) buildhook ui|buildhook ui": ("tests/e2e/test_ui.py", '"ui"'),
    r"(kubectl|oc) buildhook register\b.*": ("tests/e2e/test_cli_register.py", '"register", "cart"'),
    r"(kubectl|oc) buildhook redeliver": ("tests/e2e/test_ui.py", "started by delivery"),
    r"(kubectl|oc) buildhook uninstall": ("tests/e2e/test_cli_builds.py", '"uninstall"'),
    r"buildhook deliveries": ("tests/e2e/test_cli_builds.py", '"deliveries"'),
    r"buildhook serve": ("tests/e2e/harness.py", '"serve"'),
    r"buildhook build-controller": ("tests/e2e/test_build_controller.py", '"build-controller"'),
    r"\./buildhook-linux-amd64 .*|(kubectl|oc) apply .*-f (example|install\S*)\.yaml|kubectl port-forward .*": ("tests/e2e/test_release.py", "def commands("),
    r"oc rollout status .*": ("tests/e2e/test_release.py", '"On OpenShift"'),
    r"kubectl apply .*-f manifests/install.yaml": ("tests/e2e/test_manifests.py", "install.yaml"),
    r"(kubectl|oc) apply .*-k manifests/overlays/.*": ("tests/e2e/test_manifests.py", '"-k", ROOT / "manifests"'),
    r"kubectl delete (-k|crd|namespace|clusterrole).*": ("tests/e2e/test_uninstall.py", '"delete", "crd"'),
    r"kubectl rollout status (statefulset/buildhook|deployment/cart) .*": ("tests/e2e/test_node_components.py", '"rollout", "status"'),
    r"kubectl rollout status deployment/buildhook-build-controller .*": ("tests/e2e/test_node_builds.py", '"rollout", "status"'),
    r"kubectl rollout undo .*": ("tests/e2e/test_node_upgrade.py", '"rollout", "undo"'),
    r"kubectl (apply -n shop -f -|create namespace shop).*": ("hack/run-build", "kubectl apply"),
    r"kubectl (create secret docker-registry|patch serviceaccount|create deployment|wait|logs -n shop) .*": ("tests/e2e/test_node_builds.py", "docs/plain-kubernetes.md"),
    r"make (image|builder-image|image builder-image)": ("tests/e2e/conftest.py", '"hack" / "image"'),
    r"make (cli|release)\b.*": ("tests/e2e/test_release.py", '"make"'),
    r"make (run|down|help|test|lint)": ("hack/test-bare", "make run"),
    r"make run BUILD=1": ("tests/e2e/test_node_builds.py", '"run", "BUILD=1"'),
    r"make install": ("tests/e2e/test_docs_run.py", '"install"'),
}

# These depend on a Pod, a cloud or other programs, and are not run.
NOT_OURS = [
    r"(kubectl|oc) (login|new-app|project|set triggers|start-build|adm policy|logs|scale|describe (pod|certificate)|get pods|get --raw|get -l|delete pvc)\b.*",
    r"make (bench|instructions)",
]


def commands():
    """Whole commands, each once, in the order of the pages."""
    found = {}
    for page in PAGES:
        for line in typed(page):
            line = re.sub(r"\s*[|&]?$", "", line.partition(" #")[0])
            if "..." not in line and len(line.split()) > 1 and line not in ("kubectl buildhook", "oc buildhook", "kubectl describe", "oc describe"):
                found.setdefault(line, page.name)
    return found


def is_one_of(patterns, line):
    return any(re.fullmatch(pattern, line, re.S) for pattern in patterns)


def test_each_command_of_a_page_is_run_by_a_test():
    unknown = [f"{page}: {line}" for line, page in commands().items() if not is_one_of([*RUN_HERE, *RUN_BY, *NOT_OURS], line)]
    assert not unknown, "run them here (RUN_HERE), or name the test that does (RUN_BY)"
    for pattern, (path, words) in RUN_BY.items():
        assert words in (ROOT / path).read_text(), (pattern, path)


def test_make_install_brings_program_plug_ins_man_pages_and_completion(tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}"], cwd=ROOT, check=True)
    root = tmp_path / "usr" / "local"
    version = subprocess.run([root / "bin" / "buildhook", "version"], text=True, capture_output=True, check=True).stdout
    for name in ("kubectl-buildhook", "oc-buildhook"):
        assert subprocess.run([root / "bin" / name, "version"], text=True, capture_output=True, check=True).stdout == version
    for page in ("buildhook.1", "buildhook-status.1", "buildhook-register.1"):
        text = (root / "share" / "man" / "man1" / page).read_text()
        assert text.startswith(f'.TH "{page[:-2]}" 1')
        shown = subprocess.run(["man", "-l", "-"], input=text, text=True, capture_output=True, check=False) if shutil.which("man") else None
        assert not shown or (shown.returncode == 0 and not shown.stderr), shown
    scripts = [p for folder in ("bash-completion", "zsh", "fish") for p in (root / "share" / folder).rglob("*") if p.is_file()]
    assert len(scripts) >= 3 and all("buildhook" in p.read_text() for p in scripts), scripts


@pytest.fixture
def shell(cluster, tmp_path):
    """Runs a line with kubectl, oc and the plug-in in the PATH, as somebody whose context has the namespace."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "kubectl").symlink_to(ROOT / "build" / "kubectl")
    (bin_ / "oc").write_text('#!/bin/sh\nexec kubectl "$@"\n')
    (bin_ / "oc").chmod(0o755)
    for name in ("buildhook", "kubectl-buildhook"):
        (bin_ / name).symlink_to(BUILDHOOK)

    def run(line, namespace_):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = namespace_
        kubeconfig = bin_ / "config"
        kubeconfig.write_text(yaml.safe_dump(config))
        kubeconfig.chmod(0o600)
        line = re.sub(r"(-n|namespace) shop\b", rf"\1 {namespace_}", line)
        line = re.sub(r"\bNAME\b", "cart", re.sub(r"\bTYPE\b", "github", line)).replace("build/buildhook", "buildhook")
        env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "KUBECONFIG": str(kubeconfig), "KUBERNETES_SERVICE_HOST": ""}
        return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, env=env, text=True, capture_output=True, timeout=90, check=False)

    return run


def test_what_the_pages_say_about_a_buildconfig_works_as_it_stands(cluster, start, namespace, shell, port):
    buildhook = start(f"--listen=127.0.0.1:{port}", f"--public-url=http://127.0.0.1:{port}", "--status-interval=100ms", "--build-burst=100")
    inline = cluster.namespace()
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "cart-github-webhook"}}}]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    cluster.create(inline, buildconfig("cart", triggers=[{"type": "GitHub", "github": {"secret": "in-the-open"}}]))
    ready(cluster, namespace, "cart")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-github-webhook")).json["kind"] == "Build"
    failed, shown = [], {}
    # "Make the Secret before that", says the page where it moves an inline secret.
    for line in sorted(commands(), key=lambda line: "create secret" not in line):
        if is_one_of(RUN_HERE, line):
            of_inline = "triggers[?" in line or "create secret" in line or '"op":"add"' in line
            done = shell(line, inline if of_inline else namespace)
            shown[line] = done.stdout
            if done.returncode != 0 or "Sanitizer" in done.stderr:
                failed.append((line, done.stdout, done.stderr))
    assert not failed, failed
    # The read ones show something, and the moved secret is the one that was inline.
    assert all(text.strip() for line, text in shown.items() if "events" not in line), [line for line, text in shown.items() if not text.strip()]
    ready(cluster, inline, "cart")
    assert cluster.secret_value(inline, "cart-github-webhook") == "in-the-open"
