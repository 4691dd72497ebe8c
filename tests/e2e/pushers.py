"""Many Git hosts at once, which record the answers; and the checks afterwards: no delivery lost, none built twice, all in order."""

import collections
import http.client
import itertools
import json
import threading
import time
import uuid

from harness import GROUP, VERSION, buildconfig, github_payload, github_headers, wait_for

INLINE = [{"type": "GitHub", "github": {"secret": "inline"}}]
UNLIMITED = ("--builds-per-minute", "0")


class Delivery:
    """A delivery as a Git host knows it: first SENT at, ANSWERED at (None: not yet), and the answer."""

    def __init__(self, hook, id):
        self.hook, self.id = hook, id
        self.sent = time.monotonic()
        self.answered = self.answer = None

    @property
    def took(self):
        return self.answered - self.sent


class Ledger:
    """All deliveries of a test. A failed one is sent again with its id until it is acknowledged, as patient hosts do."""

    def __init__(self, needs_answers=False):
        """With NEEDS_ANSWERS a request that gets none is a failure."""
        self.deliveries = []
        self.refused = 0
        self.needs_answers = needs_answers

    def push(self, buildhook, hook, secret="inline", id=None, ref="refs/heads/main", patience=90.0):
        delivery = Delivery(hook, id or str(uuid.uuid4()))
        self.deliveries.append(delivery)
        body = json.dumps(github_payload(ref=ref)).encode()
        headers = github_headers(secret, body, delivery.id)
        while True:
            answer = post(buildhook, hook, body, headers)
            if answer and answer.status != 503:
                break
            assert answer or not self.needs_answers, "a request was not answered"
            self.refused += 1
            assert time.monotonic() < delivery.sent + patience, f"not acknowledged: {answer and answer.body}"
            time.sleep(0.02)
        delivery.answered, delivery.answer = time.monotonic(), answer
        assert answer.status in (200, 202), (answer.status, answer.body)
        return delivery

    def by_hook(self):
        found = collections.defaultdict(list)
        for delivery in self.deliveries:
            found[delivery.hook].append(delivery)
        return found


def post(buildhook, hook, body, headers):
    """The answer; None if none came, for example after a kill."""
    namespace, name = hook
    try:
        return buildhook.request(f"/hooks/{namespace}/{name}/github", body, headers)
    except (OSError, http.client.HTTPException):
        return None


def in_parallel(n, work):
    """WORK(i) in N threads; the first failure is the caller's."""
    failures = []

    def run(i):
        try:
            work(i)
        except BaseException as failure:  # noqa: BLE001 - it is raised again below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def push_all(ledger, buildhooks, hooks, total, clients=16):
    """TOTAL deliveries over HOOKS in turn, by CLIENTS at once, each to one of BUILDHOOKS."""
    numbers = itertools.count()

    def work(i):
        while (n := next(numbers)) < total:
            ledger.push(buildhooks[i % len(buildhooks)], hooks[n % len(hooks)])

    in_parallel(clients, work)


def make_hooks(cluster, namespaces, each, annotations=None):
    """BuildConfigs with the secret "inline", EACH in as many NAMESPACES."""
    hooks = [(namespace, f"bc-{i}") for namespace in (cluster.namespace() for _ in range(namespaces)) for i in range(each)]
    for namespace, name in hooks:
        cluster.create(namespace, buildconfig(name, triggers=INLINE, annotations=annotations))
    return hooks


def wait_served(buildhook, hooks, timeout=20.0):
    body = b'{"zen":"Design for failure.","hook_id":1}'
    for namespace, name in hooks:
        ping = github_headers("inline", body, event="ping")
        answers = lambda: (a := post(buildhook, (namespace, name), body, ping)) and a.status == 200
        wait_for(f"{namespace}/{name} to be served", answers, timeout)


def count_builds(cluster, namespace):
    found = cluster.custom.list_namespaced_custom_object(GROUP, VERSION, namespace, "builds", limit=1)
    return len(found["items"]) + (found["metadata"].get("remainingItemCount") or 0)


def builds_of(cluster, namespace):
    """{BuildConfig: its Builds in the order of their numbers}"""
    found = collections.defaultdict(list)
    for build in cluster.builds(namespace):
        found[build["metadata"]["annotations"]["openshift.io/build-config.name"]].append(build)
    return found


def ids_of(builds):
    return [b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in builds]


def check_order(deliveries, ids):
    """A push that was sent after another was answered is built after it."""
    known = {d.id: d for d in deliveries}
    first_answered = float("inf")
    for delivery in (known[id] for id in reversed(ids)):
        assert delivery.sent <= first_answered, f"{delivery.id} was built before one that had been answered when it was sent"
        first_answered = min(first_answered, delivery.answered)


def check_one_build_each(cluster, ledger, timeout=120.0, ordered=True):
    """Each delivery has exactly one Build when nothing waits any more."""
    wanted = ledger.by_hook()
    of_namespace = collections.Counter(namespace for (namespace, _), found in wanted.items() for _ in found)
    deadline = time.monotonic() + timeout
    for namespace, n in of_namespace.items():
        left = max(deadline - time.monotonic(), 1)
        wait_for(f"{n} builds in {namespace}", lambda: count_builds(cluster, namespace) >= n, left, 0.2)
    time.sleep(1)
    for namespace in of_namespace:
        built = builds_of(cluster, namespace)
        for hook, deliveries in wanted.items():
            if hook[0] == namespace:
                ids = ids_of(built[hook[1]])
                times = collections.Counter(ids)
                lost = [d.id for d in deliveries if not times.pop(d.id, 0)]
                assert not lost and set(collections.Counter(ids).values()) == {1} and not times, (hook, lost, times)
                if ordered:
                    check_order(deliveries, ids)


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
