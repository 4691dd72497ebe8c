"""What hack/screenshots runs. python screenshots.py FOLDER"""

import datetime
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

from gitea import Gitea
from harness import BUILDHOOK, Buildhook, Cluster, buildconfig, wait_for
from test_ui import Page

PORT = 8765


def finish(cluster, name, phase):
    """No node runs the Builds of this cluster."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    times = {"startTimestamp": now - datetime.timedelta(seconds=72)}
    if phase != "Running":
        times["completionTimestamp"] = now
    body = {"status": {"phase": phase, **{key: at.isoformat().replace("+00:00", "Z") for key, at in times.items()}}}
    cluster.custom.patch_namespaced_custom_object("build.openshift.io", "v1", "shop", "builds", name, body)


def push_all(cluster, gitea, serve, folder):
    cluster.ensure_namespace("shop")
    token = gitea.token("write:repository")
    for name in ("cart", "orders", "mailer"):
        repository = gitea.repository(name)
        body = buildconfig(name)
        body["spec"]["source"]["git"]["uri"] = f"{gitea.origin}/{repository}.git"
        cluster.create("shop", body)
        wait_for(name, lambda name=name: cluster.annotation("shop", name, "github-state") == "Ready")
        command = [BUILDHOOK, "register", name, "-n", "shop", "--host", "gitea", "--api-url", f"{gitea.origin}/api/v1"]
        subprocess.run(command, check=True, env={"BUILDHOOK_TOKEN": token, "KUBECONFIG": str(cluster.kubeconfig)})
        clone = gitea.clone(repository, folder / name)
        gitea.push(clone, {"cart": "Add a discount", "orders": "Confirm orders by mail", "mailer": "Use the new template"}[name])
        wait_for("the build", lambda name=name: any(b["metadata"]["name"] == f"{name}-1" for b in cluster.builds("shop")))
    gitea.push(folder / "cart", "try a coupon", "wip")
    gitea.push(folder / "cart", "Round to cents")
    wait_for("the second build", lambda: len(cluster.builds("shop")) == 4)
    finish(cluster, "cart-1", "Complete")
    finish(cluster, "cart-2", "Running")
    finish(cluster, "orders-1", "Failed")
    finish(cluster, "mailer-1", "Complete")
    serve.request("/hooks/shop/mailer/github", b"{}", {"Content-Type": "application/json", "X-Gitea-Event": "push", "X-Gitea-Signature": "0" * 64})
    wait_for("the status", lambda: cluster.annotation("shop", "mailer", "github-refused") and cluster.annotation("shop", "cart", "github-last"), 90)


def take(page_url, target):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 960, "height": 720}, color_scheme="light")
        page = context.new_page()
        page.goto(page_url)
        page.wait_for_selector("text=cart-2")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=target / f"ui-{scheme}.png")
        browser.close()


def main(target):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        cluster, gitea, serve, page = None, None, None, None
        try:
            cluster = Cluster(folder / "cluster")
            (folder / "gitea").mkdir()
            gitea = Gitea(folder / "gitea")
            serve = Buildhook(cluster.service_account_kubeconfig(folder / "kubeconfig"), folder / "serve", "--listen", f"127.0.0.1:{PORT}",
                              "--public-url", f"http://127.0.0.1:{PORT}")
            push_all(cluster, gitea, serve, folder)
            # The page names the file: a short name.
            shutil.copy(cluster.kubeconfig, folder / "kubeconfig")
            os.chdir(folder)
            page = Page("kubeconfig", "--namespace", "shop")
            take(page.url, target)
        finally:
            for one in (page, serve, gitea):
                if one:
                    one.stop()
            if cluster:
                cluster.down()


main(pathlib.Path(sys.argv[1]).resolve())
