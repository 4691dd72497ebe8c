"""Writes to the API server, as the API server counts them: none where nothing changes, and none that conflict."""

import collections
import re
import time

import pytest

from harness import LONG, buildconfig, scaled, wait_for
from pushers import UNLIMITED, Ledger, check_one_build_each, make_hooks, push_all, wait_served


@pytest.fixture(scope="session", params=["kubernetes", "openshift"])
def cluster(request):
    return request.getfixturevalue(request.param + "_cluster")


READS = {"GET", "LIST", "WATCH", "CONNECT"}


def requests(cluster):
    """{(resource, verb, code): how many} of the resources that buildhook writes."""
    found = collections.Counter()
    for labels, n in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", cluster.kubectl("get", "--raw", "/metrics"), re.M):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if label["resource"] in ("buildconfigs", "builds", "secrets", "events"):
            found[label["resource"], label["verb"], label["code"]] += int(float(n))
    return found


def writes(cluster):
    return collections.Counter({key: n for key, n in requests(cluster).items() if key[1] not in READS})


def own_writes(buildhook):
    """The same, as buildhook counts them."""
    text = buildhook.admin_get("/metrics").body.decode()
    found = re.findall(r'^rest_client_requests_total\{.*method="(\w+)".*\} (\S+)$', text, re.M)
    return sum(float(n) for method, n in found if method != "GET")


@pytest.mark.parametrize("cluster", ["kubernetes"] if LONG else ["kubernetes", "openshift"], indirect=True)
def test_many_buildconfigs_in_which_nothing_changes_are_not_written(cluster, start, figures):
    """Their Secrets are looked at every five minutes, and everything is listed again every hour, here more often."""
    n, seconds = scaled(20, 1000), scaled(10, 1800)
    buildhook = start("--resync", f"{max(5, seconds // 3)}s")
    namespaces = [cluster.namespace() for _ in range(5)]
    names = [(namespaces[i % 5], f"bc-{i}") for i in range(n)]
    for namespace, name in names:
        cluster.create(namespace, buildconfig(name))
    for namespace, name in names:
        wait_for("Ready", lambda namespace=namespace, name=name: cluster.annotation(namespace, name, "github-state") == "Ready", 60 + n)
    time.sleep(6)  # the interval of status writes
    before, reads, own, began = writes(cluster), requests(cluster), own_writes(buildhook), time.monotonic()
    assert own >= 2 * n, "a Secret and a status each"
    while time.monotonic() < began + seconds:
        time.sleep(1)
        assert buildhook.process.poll() is None
    after = writes(cluster)
    assert not after - before, after - before
    assert own_writes(buildhook) == own
    looked = (requests(cluster) - reads)["secrets", "GET", "200"]
    figures(f"{n} BuildConfigs, {seconds} s: 0 writes; {looked} looks at Secrets")


def test_pushes_to_one_buildconfig_meet_no_conflict_of_our_own(cluster, start, figures):
    """The status is written beside the builds, and never while one is being started."""
    n = 100
    buildhook = start(*UNLIMITED, "--status-interval", "1s")
    [hook] = make_hooks(cluster, 1, 1)
    wait_served(buildhook, [hook])
    before, ledger = requests(cluster), Ledger()
    push_all(ledger, [buildhook], [hook], n // 2)
    for _ in range(n // 2):
        ledger.push(buildhook, hook)
    check_one_build_each(cluster, ledger)
    made = requests(cluster) - before
    conflicts = {key: count for key, count in made.items() if key[2] in ("409", "422")}
    text = buildhook.admin_get("/metrics").body.decode()
    refused = re.findall(r'^rest_client_requests_total\{.*code="(4\d\d)".*\} (\S+)$', text, re.M)
    statuses = sum(count for (resource, verb, _), count in made.items() if (resource, verb) == ("buildconfigs", "APPLY"))
    figures(f"{n} pushes: {sum(made.values())} requests, {statuses} status writes, conflicts {conflicts}, refused {refused}")
    assert statuses > 0 and not conflicts
    assert not [code for code, _ in refused if code in ("409", "422")]
