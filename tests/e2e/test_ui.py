"""`buildhook ui` in a real browser: headless Chromium, with axe-core for accessibility."""

import concurrent.futures
import http.client
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from balancer import Balancer
from cli import RULES, Owner
from harness import BUILDHOOK, buildconfig, push, wait_for

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u202e\u009b"
SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}


class Page:
    """The program, and the address that it printed."""

    def __init__(self, kubeconfig, *flags):
        self.errors = open(os.devnull, "wb")
        command = [BUILDHOOK, "ui", "--kubeconfig", kubeconfig, *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()
        self.address = self.url.split("/")[2]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0
        self.process.stdout.close()
        self.errors.close()

    def sign_in(self):
        """The header with the cookie."""
        answer, _ = self.request("GET", "/?" + self.url.partition("?")[2])
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}

    def request(self, method, path, headers=None, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request(method, path, body=body, headers={"Host": self.address, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: hack/deps test installs it"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def ui(cluster):
    started = []

    def start(*flags, kubeconfig=cluster.kubeconfig):
        started.append(Page(kubeconfig, *flags))
        return started[-1]

    yield start
    for page in started:
        page.stop()


@pytest.fixture
def opened(browser, ui, cluster, namespace):
    """Opens the page with options of the browser; any message on its console is an error."""
    said, contexts = [], []

    def open_page(*flags, kubeconfig=cluster.kubeconfig, **options):
        program = ui(*(flags or ("--namespace", namespace)), kubeconfig=kubeconfig)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(program.url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said, said


def is_accessible(page):
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_the_page_shows_webhooks_and_what_happened(cluster, buildhook, hook, opened, scheme, size):
    namespace, name, secret = hook
    # As Git writes a message: a subject, and more.
    commit = "3f2a1b0c" * 5
    message = {"id": commit, "message": "Add a discount\n\nWith more in the body.\n", "added": [], "removed": [], "modified": []}
    assert push(buildhook, namespace, name, secret, commit=commit, head_commit=message).status == 200
    wait_for("the delivery", lambda: cluster.annotation(namespace, name, "github-last"))
    page = opened(color_scheme=scheme, viewport=SIZES[size])
    page.wait_for_selector(f"text={name}-1")
    assert "Ready" in page.inner_text(".hook .state")
    assert page.inner_text(".happened li").rstrip().endswith("Add a discount")
    assert f"/hooks/{namespace}/{name}/github" in page.inner_text(".hook code")
    # Nothing to scroll for sideways.
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    is_accessible(page)
    page.click(f"h2 a >> text={name}")
    page.wait_for_selector("h2 >> text=Rules for the next push")
    assert "main" in page.inner_text("dl.rules")
    is_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_changes_show_by_themselves_within_two_seconds(cluster, buildhook, hook, opened):
    namespace, name, secret = hook
    page = opened()
    page.wait_for_selector("text=none yet")
    assert push(buildhook, namespace, name, secret).status == 200
    wait_for("the delivery", lambda: cluster.annotation(namespace, name, "github-last"))
    page.wait_for_selector(f".hook >> text={name}-1", timeout=2000)


def test_the_secret_is_shown_on_demand_and_copied(cluster, buildhook, hook, opened):
    namespace, name, secret = hook
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.wait_for_selector(".hook")
    assert secret not in page.content()
    page.click(".hook button.copy")
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/hooks/{namespace}/{name}/github")
    page.click("text=Show secret")
    page.wait_for_selector(".result")
    assert secret in page.inner_text(".result pre")
    is_accessible(page)


def test_buttons_do_what_the_commands_do(cluster, buildhook, hook, opened):
    namespace, name, secret = hook
    page = opened()
    page.click(f"h2 a >> text={name}")
    page.click("button >> text=Rotate")
    page.wait_for_selector(".result >> text=rotate", timeout=70000)
    wait_for("another secret", lambda: cluster.secret_value(namespace, f"{name}-hook") != secret)


def result(page, heading):
    page.wait_for_selector(f"h2 >> text=Result: {heading}", timeout=70000)
    return page.inner_text(".result")


@pytest.fixture
def tried(start, cluster, namespace, opened, port):
    """The page of a BuildConfig whose webhook has an address, by an owner with RULES: (page, secret, buildhook)."""
    def open_page(owner):
        buildhook = start(f"--public-url=http://127.0.0.1:{port}", f"--listen=127.0.0.1:{port}", "--status-interval=100ms", "--build-burst=100")
        cluster.create(namespace, buildconfig("cart"))
        wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
        delivery = push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook"), delivery="the-first", commit="a" * 40)
        assert delivery.json["kind"] == "Build"
        page = opened(kubeconfig=owner.kubeconfig)
        page.click("h2 a >> text=cart")
        return page

    return open_page


def test_the_button_test_marks_each_step(cluster, namespace, tried, tmp_path):
    page = tried(Owner(cluster, namespace, tmp_path))
    page.click("button:text-is('Test')")
    text = result(page, "it worked")
    assert f"test --namespace={namespace}" in text and "--dry-run cart github" in text
    assert re.search(r"ok +proof holds", text) and re.search(r"ok +rule matches", text) and re.search(r"- +build started", text)
    page.fill("#test-ref", "wip")
    page.click("button:text-is('Test')")
    assert re.search(r"FAIL +rule matches +RefMismatch", result(page, "it did not work"))
    assert len(cluster.builds(namespace)) == 1
    is_accessible(page)


def test_the_button_redeliver_builds_a_delivery_again(cluster, namespace, tried, tmp_path):
    page = tried(Owner(cluster, namespace, tmp_path))
    # The deliveries of the Builds can be chosen.
    page.wait_for_selector("#deliveries option", state="attached")
    assert page.get_attribute("#deliveries option", "value") == "the-first"
    page.fill("#redeliver-id", "the-first")
    page.click("button:text-is('Redeliver')")
    assert "build.build.openshift.io/cart-2 started by delivery the-first" in result(page, "it worked")
    assert [b["spec"]["revision"]["git"]["commit"] for b in cluster.builds(namespace)] == ["a" * 40] * 2
    is_accessible(page)


def test_each_button_says_what_rbac_refuses(cluster, namespace, tried, tmp_path):
    """A caller who may read BuildConfigs and Builds, but no Secret, and may change nothing."""
    rules = [{**RULES[0], "verbs": ["get", "list", "watch"]}, *RULES[2:3]]
    page = tried(Owner(cluster, namespace, tmp_path, rules))
    refused = 'User "system:serviceaccount:%s:owner" cannot %s resource "%s"'
    for button, verb, resource in (("Test", "get", "secrets"), ("Rotate", "get", "secrets"), ("Redeliver", "patch", "buildconfigs"),
                                   ("Show secret", "get", "secrets")):
        page.fill("#redeliver-id", "the-first")
        page.click(f"button:text-is('{button}')")
        text = result(page, "it did not work")
        assert "Error from server (Forbidden)" in text and refused % (namespace, verb, resource) in text, (button, text)
        assert f"kubectl auth can-i --list -n {namespace}" in text
        page.goto(page.url.rpartition("/")[0])
    assert len(cluster.builds(namespace)) == 1


def test_it_works_with_the_keyboard_and_without_javascript(buildhook, hook, opened):
    namespace, name, secret = hook
    page = opened(java_script_enabled=False)
    deadline = time.monotonic() + 10
    while not page.query_selector(".hook") and time.monotonic() < deadline:
        page.reload()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.locator(":focus").count() and name in page.locator(":focus").inner_text():
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("h2 >> text=Rules for the next push")
    page.fill("#explain-ref", "wip")
    page.keyboard.press("Enter")
    page.wait_for_selector(".result pre")


def test_hostile_text_stays_text(cluster, buildhook, namespace, opened):
    body = buildconfig("cart")
    body["metadata"]["annotations"] = {"buildhook.io/paths": HOSTILE}
    body["spec"]["source"]["git"].update(uri=f"https://example.com/{HOSTILE}", ref=HOSTILE)
    cluster.create(namespace, body)
    for number, phase in ((1, HOSTILE), (2, "Complete")):
        cluster.custom.create_namespaced_custom_object("build.openshift.io", "v1", namespace, "builds", {
            "apiVersion": "build.openshift.io/v1", "kind": "Build",
            "metadata": {"name": f"cart-{number}", "annotations": {
                "openshift.io/build-config.name": "cart", "openshift.io/build.number": str(number), "buildhook.io/ref": HOSTILE}},
            "spec": {"strategy": {"dockerStrategy": {}}, "source": {"dockerfile": "FROM scratch"}, "revision": {"type": "Git", "git": {"message": HOSTILE}},
                     "triggeredBy": [{"message": HOSTILE, "githubWebHook": {}}]},
            "status": {"phase": phase}})
    page = opened()
    page.wait_for_selector("text=cart-2")
    page.click("h2 a >> text=cart")
    page.wait_for_selector("h2 >> text=Rules for the next push")
    assert "<script>alert(1)</script>" in page.inner_text("dl.rules")
    assert not page.query_selector("main script, main img")
    page.fill("#explain-ref", HOSTILE)
    page.click("button >> text=Explain")
    page.wait_for_selector(".result pre")
    assert not page.query_selector("main script, main img")


def test_a_webhook_is_good_during_a_rotation(cluster, buildhook, hook, ui):
    namespace, name, _ = hook
    cluster.patch(namespace, name, {"metadata": {"annotations": {"buildhook.io/rotate": "1"}}})
    wait_for("the rotation", lambda: "old secret" in cluster.annotation(namespace, name, "github-state"), 80)
    page = ui("--namespace", namespace)
    _, text = page.request("GET", "/", page.sign_in())
    assert re.search('class="state good">.*Ready, the old secret is accepted until', text), text


def test_builds_of_one_second_are_in_their_order(buildhook, hook, ui):
    namespace, name, secret = hook
    for _ in range(4):
        assert push(buildhook, namespace, name, secret).status == 200
    page = ui("--namespace", namespace)
    _, text = page.request("GET", "/", page.sign_in())
    assert re.findall(rf">({name}-\d)\b", text.partition('class="happened"')[2]) == [f"{name}-{n}" for n in (4, 3, 2, 1)], text


class LateServer:
    """An API server that does not answer before `answers` is set."""

    def __init__(self, address):
        self.answers = threading.Event()
        self._address = address

    @property
    def address(self):
        self.answers.wait(60)
        return self._address


def test_the_first_page_waits_for_the_first_list(cluster, namespace, tmp_path):
    cluster.create(namespace, buildconfig("cart"))
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server = LateServer(config["clusters"][0]["cluster"]["server"].partition("//")[2])
    balancer = Balancer([server])
    config["clusters"][0]["cluster"]["server"] = f"https://{balancer.address}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    page = Page(kubeconfig, "--namespace", namespace)
    try:
        cookie = page.sign_in()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(page.request, "GET", path, cookie) for path in ("/", f"/bc/{namespace}/cart")]
            # The others of the page need no list.
            assert page.request("GET", "/style.css", cookie)[0].status == 200
            assert not any(one.done() for one in asked)
            server.answers.set()
            (_, listed), (_, shown) = (one.result() for one in asked)
        assert f"{namespace}/cart" in listed and "are being read" not in listed
        assert "Rules for the next push" in shown
    finally:
        page.stop()
        balancer.close()


def test_only_this_browser_and_this_page_come_in(ui, namespace):
    page = ui("--namespace", namespace)
    token = page.url.partition("?")[2]
    assert page.request("GET", "/")[0].status == 403
    assert page.request("GET", "/?token=0000")[0].status == 403
    # A name that somebody's DNS points at this machine.
    assert page.request("GET", f"/?{token}", {"Host": "evil.example.com"})[0].status == 403
    answer, _ = page.request("GET", f"/?{token}")
    assert (answer.status, answer.reason) == (303, "See Other") and answer.headers["Location"] == "/"
    cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Strict" in answer.headers["Set-Cookie"]
    # Once only.
    assert page.request("GET", f"/?{token}")[0].status == 403
    answer, text = page.request("GET", "/", cookie)
    assert answer.status == 200 and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert page.request("GET", "/", {**cookie, "Host": f"localhost.evil.com:{page.address.rpartition(':')[2]}"})[0].status == 403
    form = re.search(r'name="token" value="(\w+)"', text)
    path = f"/bc/{namespace}/cart/rotate"
    for headers in ({}, {"Origin": "http://evil.example.com"}, {"Origin": f"http://{page.address}"}, {"Origin": "null"}):
        assert page.request("POST", path, {**cookie, **headers}, "type=github&token=0")[0].status == 403
    assert not form  # no BuildConfig, no button
    assert page.request("PUT", "/", cookie)[0].status == 405
    assert page.request("GET", "/../etc/passwd", cookie)[0].status == 404
    assert page.request("GET", "/bc/shop/..%2fx", cookie)[0].status == 404


def test_it_is_served_on_loopback_only():
    for address in ("0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80"):
        done = subprocess.run([BUILDHOOK, "ui", "--listen", address], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "loopback" in done.stderr


def test_what_rbac_refuses_is_said(cluster, browser, namespace, ui, tmp_path):
    """The ServiceAccount "default" may read nothing."""
    token = cluster.kubectl("create", "token", "default", "-n", namespace).strip()
    config = yaml.safe_load(pathlib.Path(cluster.kubeconfig).read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "admin"
    config["contexts"][0]["context"]["namespace"] = namespace
    config["current-context"] = config["contexts"][0]["name"]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    program = Page(file)
    page = browser.new_page()
    page.goto(program.url)
    page.wait_for_selector(".problem >> text=forbidden", timeout=15000)
    page.close()
    program.stop()


@pytest.fixture
def emptied(cluster, namespace):
    """A namespace that leaves no BuildConfigs behind: the tests that follow would wait for the status of each."""
    yield namespace
    cluster.kubectl("delete", "buildconfigs", "--all", "-n", namespace, "--wait=false")


def test_a_thousand_buildconfigs_open_within_a_second(cluster, emptied, opened, figures):
    namespace = emptied
    for number in range(1000):
        cluster.create(namespace, buildconfig(f"app-{number:04}"))
    page = opened()
    page.wait_for_selector("text=app-0999", timeout=20000)
    # The floor is the browser's time for the same bytes without a server.
    html = page.content()
    blank = page.context.browser.new_context(java_script_enabled=False).new_page()
    begin = time.monotonic()
    blank.set_content(html, wait_until="domcontentloaded")
    floor = time.monotonic() - begin
    blank.context.close()
    begin = time.monotonic()
    page.reload(wait_until="domcontentloaded")
    took = time.monotonic() - begin
    figures(f"1,000 BuildConfigs: {took:.2f} s, of which the browser alone needs {floor:.2f} s ({len(html)} bytes)")
    assert took < max(1, 3 * floor)
