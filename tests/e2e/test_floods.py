"""Many deliveries at once: to one BuildConfig, the same one in copies, and more than a BuildConfig may build."""

import threading
import time
import uuid

import pytest

from harness import LONG, scaled, wait_for
from pushers import UNLIMITED, Ledger, builds_of, check_one_build_each, ids_of, in_parallel, make_hooks, push_all, wait_served


@pytest.fixture(scope="session", params=["kubernetes", "openshift"])
def cluster(request):
    return request.getfixturevalue(request.param + "_cluster")


def test_of_many_pushes_by_16_clients_to_one_buildconfig_each_is_built_once_and_in_order(cluster, start, figures):
    buildhook = start(*UNLIMITED)
    hooks = make_hooks(cluster, 1, 1)
    wait_served(buildhook, hooks)
    ledger = Ledger()
    began = time.monotonic()
    push_all(ledger, [buildhook], hooks, scaled(40, 500))
    acked = time.monotonic() - began
    check_one_build_each(cluster, ledger)
    figures(f"{len(ledger.deliveries)} acknowledged in {acked:.1f} s, built in {time.monotonic() - began:.1f} s")


def test_copies_of_a_delivery_start_one_build_also_after_a_restart_and_at_another_replica(cluster, start, figures):
    replicas = [start(*UNLIMITED, name=name) for name in ("one", "other")]
    hooks = make_hooks(cluster, 1, scaled(1, 10), {"buildhook.io/refs": "*"})
    for buildhook in replicas:
        wait_served(buildhook, hooks)
    ids = [str(uuid.uuid4()) for _ in range(scaled(3, 100))]
    copies = scaled(50, 100)
    for i, id in enumerate(ids):
        in_parallel(copies, lambda n: Ledger().push(replicas[n % 2], hooks[i % len(hooks)], id=id, ref=f"refs/heads/{i}"))
    wait_for("the builds", lambda: len(cluster.builds(hooks[0][0])) >= len(ids), 60)
    for buildhook in replicas:
        buildhook.kill()
        buildhook.start()
        wait_served(buildhook, hooks)
        for i, id in enumerate(ids):
            again = Ledger().push(buildhook, hooks[i % len(hooks)], id=id, ref=f"refs/heads/{i}")
            assert again.answer.status == 200 and again.answer.json["reason"] == "Duplicate", again.answer.body
    time.sleep(1)
    assert sorted(ids_of(cluster.builds(hooks[0][0]))) == sorted(ids)
    figures(f"{len(ids)} ids x {copies} copies at 2 replicas and a replay at each: {len(ids)} builds")


def count_rows(buildhook):
    states = ("accepted", "starting", "started", "failed", "superseded", "ignored")
    return {state: int(n) for state in states if (n := buildhook.metric(f'buildhook_journal_rows{{state="{state}"}}'))}


def check_ends(buildhook, flood, built, elsewhere):
    """Each push of the flood has been built or superseded; ELSEWHERE were built for others."""
    ids = {d.id for d in flood.deliveries}
    assert len(ids) == len(flood.deliveries)
    assert len(built) == len(set(built)) and set(built) <= ids
    wait_for("all to have ended", buildhook.is_settled)
    assert count_rows(buildhook) == {"started": len(built) + elsewhere, "superseded": len(ids) - len(built)}


def test_a_push_that_ended_superseded_builds_when_it_is_delivered_again(cluster, start):
    """A redelivery that was asked for after a newer push starts after it."""
    buildhook = start("--build-burst", "1", "--builds-per-minute", "15")
    (hook,) = make_hooks(cluster, 1, 1)
    wait_served(buildhook, [hook])
    ledger = Ledger()
    first, old, new = (ledger.push(buildhook, hook) for _ in range(3))
    assert (old.answer.status, old.answer.json["reason"]) == (202, "Queued")
    built = lambda: ids_of(builds_of(cluster, hook[0])[hook[1]])
    wait_for("the newest to be built", lambda: built() == [first.id, new.id])
    wait_for("all to have ended", buildhook.is_settled)
    assert count_rows(buildhook) == {"started": 2, "superseded": 1}
    again = ledger.push(buildhook, hook, id=old.id)
    assert again.answer.status == 200 and again.answer.json["kind"] == "Build" or again.answer.json["reason"] == "Queued"
    wait_for("the older one to be built", lambda: built() == [first.id, new.id, old.id])
    wait_for("all to have ended", buildhook.is_settled)
    assert count_rows(buildhook) == {"started": 3}
    answer = ledger.push(buildhook, hook, id=old.id).answer
    assert answer.json["reason"] == "Duplicate" and f"{hook[1]}-3" in answer.json["message"], answer.body


@pytest.mark.parametrize("cluster", ["kubernetes", "openshift"] if LONG else ["kubernetes"], indirect=True)
def test_a_flood_builds_what_the_limit_allows_and_the_last_push_and_delays_no_neighbour(cluster, start, figures):
    buildhook = start()
    flooded, neighbour = make_hooks(cluster, 1, 2)
    wait_served(buildhook, [flooded, neighbour])
    quiet, during, stop = Ledger(), Ledger(), threading.Event()
    quiet.push(buildhook, neighbour)
    flood = Ledger()
    began = time.monotonic()

    def push_beside():
        for _ in range(4):
            during.push(buildhook, neighbour)
            if stop.wait(0.5):
                return

    beside = threading.Thread(target=push_beside)
    beside.start()
    push_all(flood, [buildhook], [flooded], scaled(300, 1000))
    last = flood.push(buildhook, flooded)
    flooding = time.monotonic() - began
    stop.set()
    beside.join()
    built = lambda: ids_of(builds_of(cluster, flooded[0])[flooded[1]])
    wait_for("the last push to be built", lambda: last.id in built(), 30)
    took = time.monotonic() - began
    time.sleep(1)
    assert len(built()) <= 5 + 1 + 12 * (took + 1) / 60
    assert built()[-1] == last.id
    check_ends(buildhook, flood, built(), len(quiet.deliveries) + len(during.deliveries))
    outcomes = {Ledger().push(buildhook, flooded, id=d.id).answer.json["reason"] for d in flood.deliveries if d.id in built()}
    assert outcomes == {"Duplicate"}
    assert all(d.took < 2 for d in during.deliveries)
    assert all(d.answer.status == 200 for d in during.deliveries), "the neighbour's builds were started at once"
    worst = max(d.took for d in during.deliveries)
    figures(f"{len(flood.deliveries)} pushes in {flooding:.1f} s: {len(built())} builds in {took:.1f} s; neighbour {worst:.2f} s")
