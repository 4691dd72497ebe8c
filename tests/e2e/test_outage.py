"""The API server does not answer: every delivery is acknowledged in time, and built afterwards, in order."""

import shutil
import time

import pytest
import yaml

from harness import LONG, RELEASED, Buildhook, buildconfig, push, scaled, wait_for
from proxy import Proxy, make_certificate
from pushers import UNLIMITED, Ledger, check_one_build_each, make_hooks, percentile, push_all, wait_served


@pytest.fixture(scope="session", params=["kubernetes", "openshift"] if LONG else ["kubernetes"])
def cluster(request):
    return request.getfixturevalue(request.param + "_cluster")


@pytest.fixture
def outage(cluster):
    """A call that begins one; it is over at its second call, at the latest after the test."""
    down = []

    def toggle():
        if down:
            cluster.start_apiserver()
            down.clear()
        else:
            cluster.stop_apiserver()
            down.append(True)

    yield toggle
    if down:
        toggle()


def test_pushes_are_acknowledged_in_time_and_all_start_afterwards_in_order_also_by_the_next_process(cluster, start, outage, figures):
    buildhook = start(*UNLIMITED, "--secret-ttl", "1s")
    hooks = make_hooks(cluster, 2, 2)
    namespace = hooks[0][0]
    cluster.create(namespace, buildconfig("cart"))
    wait_served(buildhook, hooks)
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    quiet, during = Ledger(), Ledger()
    push_all(quiet, [buildhook], hooks, scaled(40, 400), 4)
    quiet.push(buildhook, (namespace, "cart"), secret)
    outage()
    began = time.monotonic()
    push_all(during, [buildhook], hooks, scaled(80, 800), 4)
    time.sleep(1.1)
    while True:
        during.push(buildhook, (namespace, "cart"), secret)
        for wrong in ("wrong", secret[:-1]):
            assert push(buildhook, namespace, "cart", wrong).status in (401, 503)
        if time.monotonic() > began + scaled(3, 120):
            break
        time.sleep(0.2)
    assert {(d.answer.status, d.answer.json["reason"]) for d in during.deliveries} == {(202, "Queued")}
    away = time.monotonic() - began
    assert buildhook.stop() == 0, "a clean end, in spite of what waits"
    buildhook.start(wait_ready=False)
    outage()
    began = time.monotonic()
    everything = Ledger()
    everything.deliveries = quiet.deliveries + during.deliveries
    check_one_build_each(cluster, everything)
    back = time.monotonic() - began
    p99 = [percentile([d.took for d in ledger.deliveries], 0.99) for ledger in (quiet, during)]
    assert p99[1] <= 3 * p99[0]
    figures(f"{len(during.deliveries)} pushes in {away:.0f} s without API server: p99 {p99[1]:.3f} s, quiet {p99[0]:.3f} s; all built {back:.1f} s after")


@pytest.mark.long("the API server remembers a token for 10 s")
def test_a_revoked_token_is_replaced_at_the_next_request_and_nothing_is_lost(cluster, kubeconfig, tmp_path, start, figures):
    token = tmp_path / "token"

    def rotate(number):
        """As the kubelet does: a new file in the place of the old one."""
        name = f"holds-token-{number}"
        cluster.core.create_namespaced_secret("buildhook", {"metadata": {"name": name}})
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={name}")
        (tmp_path / "new").write_text(cluster.kubectl("create", "token", "buildhook", "-n", "buildhook", *bound))
        (tmp_path / "new").rename(token)
        return name

    holder = rotate(0)
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = [{"name": "buildhook", "user": {"tokenFile": str(token)}}]
    kubeconfig.write_text(yaml.safe_dump(config))
    buildhook = start(*UNLIMITED)
    hooks = make_hooks(cluster, 1, 2)
    wait_served(buildhook, hooks)
    ledger = Ledger()
    for number in range(1, 5):
        old, holder = holder, rotate(number)
        cluster.core.delete_namespaced_secret(old, "buildhook")
        until = time.monotonic() + 15
        while time.monotonic() < until:
            ledger.push(buildhook, hooks[number % 2])
            time.sleep(0.1)
    check_one_build_each(cluster, ledger)
    assert ledger.deliveries[-1].answer.status == 200
    cluster.core.delete_namespaced_secret(holder, "buildhook")
    figures(f"4 tokens revoked, {len(ledger.deliveries)} pushes, longest answer {max(d.took for d in ledger.deliveries):.2f} s")


@pytest.fixture
def proxy(kubeconfig, tmp_path):
    (tmp_path / "proxy").mkdir()
    proxy = Proxy(kubeconfig, tmp_path / "proxy")
    yield proxy
    proxy.close()


def test_a_ca_that_is_replaced_is_used_within_a_minute_and_a_bad_file_does_no_harm(kubeconfig, cluster, proxy, tmp_path, start, figures):
    ca = tmp_path / "ca.crt"
    shutil.copy(tmp_path / "proxy" / "proxy.crt", ca)
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": config["clusters"][0]["cluster"]["server"], "certificate-authority": str(ca)}
    kubeconfig.write_text(yaml.safe_dump(config))
    buildhook = start(*UNLIMITED)
    (hook,) = make_hooks(cluster, 1, 1)
    wait_served(buildhook, [hook])
    ledger, took = Ledger(), []
    for number in range(scaled(2, 10)):
        directory = tmp_path / f"ca-{number}"
        directory.mkdir()
        make_certificate(directory)
        for bad in ("", "no certificate"):
            ca.write_text(bad)
            assert ledger.push(buildhook, hook).answer.status == 200, "the API server is known by the old CA"
        proxy.use_certificate(directory)
        proxy.go_away()
        proxy.listen()
        assert ledger.push(buildhook, hook).answer.status == 202
        assert buildhook.process.poll() is None
        (directory / "proxy.crt").rename(ca)
        began = time.monotonic()
        wait_for("the API server to be known by the new CA", lambda: buildhook.is_ready() and buildhook.is_settled(), 60)
        took.append(time.monotonic() - began)
    check_one_build_each(cluster, ledger)
    figures(f"{len(took)} changes, recovered after at most {max(took):.1f} s")


def most_in_a_second(times):
    return max((sum(begin <= t < begin + 1 for t in times) for begin in times), default=0)


def test_clients_that_an_apiserver_meets_again_do_not_come_all_at_once(kubeconfig, cluster, proxy, tmp_path, figures):
    """50 clients of a returning API server send at most 10 requests in any second."""
    n, seconds = scaled(16, 50), scaled(8, 60)
    clients = [Buildhook(kubeconfig, tmp_path / f"client-{i}", program=RELEASED, ready=False) for i in range(n)]
    try:
        for client in clients:
            wait_for("/readyz", client.is_ready)
        proxy.go_away()
        time.sleep(seconds)
        proxy.listen()
        back = time.monotonic()
        for client in clients:
            wait_for("/readyz", client.is_ready, 90)
        took = time.monotonic() - back
    finally:
        for client in clients:
            client.kill()
    peak = most_in_a_second([t for t in proxy.arrivals if t >= back])
    figures(f"{n} clients, away for {seconds} s: at most {peak} requests in a second; all back after {took:.0f} s")
    # In the short form they had less time to drift apart.
    assert peak <= (10 if seconds >= 60 else n * 3 / 4)
