"""The process as it is released is killed at each of its calls, or its disk fails at each: what was acknowledged is built once."""

import collections
import errno
import itertools
import json
import os
import subprocess
import time
import uuid

import pytest

from faults import JOURNAL, KILLS, Endurance, Fault, compile_faults
from harness import LONG, RELEASED, Buildhook, github_headers, github_payload, wait_for
from pushers import UNLIMITED, Ledger, check_one_build_each, make_hooks, post, wait_served

# Every how many of a process's calls are tried; in make test-long every call.
STEP = max(int(1 / LONG), 1) if LONG else 61

# The journal's calls whose failure it must report.
WRITES = ("pwrite", "fdatasync", "fsync")
FAILURES = ((errno.EIO, False), (errno.EROFS, True))
STORED = Fault("after", 1, ["fdatasync"], JOURNAL)


@pytest.fixture(scope="session", params=["kubernetes", "openshift"])
def cluster(request):
    return request.getfixturevalue(request.param + "_cluster")


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return compile_faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def waiting():
    """
    By cluster, those of which something is not built yet: a number without its Build is known to be a gap after a minute,
    on OpenShift. The last test waits for them all.
    """
    found = collections.defaultdict(list)
    yield found
    for life in itertools.chain(*found.values()):
        life.buildhook.stop()


@pytest.fixture
def live(cluster, kubeconfig, tmp_path, library, waiting):
    """The life of a journal through faults. Nothing of it is left after the test, unless it waits."""
    lives = []

    def live_one(*faults):
        lives.append(life := Endurance(cluster, kubeconfig, library, tmp_path / f"life-{len(lives)}", *faults))
        return life

    yield live_one
    for life in lives:
        if life not in waiting[cluster]:
            life.buildhook.stop()


@pytest.fixture
def sweep(cluster, live, waiting, figures):
    """Lives through the faults that each of MAKE_FAULTS gives for one of the first calls, and each STEP later, until none is reached."""

    def sweep_all(*make_faults):
        done, points, began = [], [], time.monotonic()
        for i, make in enumerate(make_faults):
            # Ends early: deliveries that meet share a commit, so the number of calls differs from run to run.
            first = 1 + i * 17 % STEP
            points.append(next(n for n in itertools.count() if not live_through(done, make(first + n * STEP))))
        assert all(points)
        check(cluster, done)
        figures(f"{points} points, {summary(done)} in {time.monotonic() - began:.0f} s; {len(waiting[cluster])} lives wait")

    def live_through(done, faults):
        life = live(*faults)
        life.deliver()
        is_built = life.end(5)
        assert is_built or cluster.openshift and not life.was_spared, life.buildhook.log()[-2000:]
        if is_built:
            done.append(life)
        else:
            wait(waiting, life)
        return not life.was_spared

    return sweep_all


def wait(waiting, life):
    """For the last test."""
    life.cluster.keep(life.hook[0])
    waiting[life.cluster].append(life)


def check(cluster, lives):
    """Each delivery has its Build."""
    ledger = Ledger()
    ledger.deliveries = [d for life in lives for d in life.ledger.deliveries]
    check_one_build_each(cluster, ledger)


def summary(lives):
    return f"{len(lives)} lives with {sum(len(life.ends) for life in lives)} ends and {sum(len(life.ledger.deliveries) for life in lives)} deliveries"


def kills(*before, **rest):
    return [lambda at, how=how: [*before, Fault(how, at, **rest)] for how in KILLS]


def failures(*before, **rest):
    return [lambda at, failure=failure: [*before, Fault(failure[0], at, WRITES, JOURNAL, failure[1], **rest)] for failure in FAILURES]


def test_killed_at_any_call_of_a_deliverys_life_it_loses_and_doubles_nothing(sweep):
    sweep(*kills())


def test_killed_at_any_call_of_the_start_that_builds_what_waits_it_loses_and_doubles_nothing(sweep):
    sweep(*kills(STORED, from_start=True))


@pytest.fixture
def front(cluster):
    """What goes wrong in the front of the cluster, until the test is over."""
    yield cluster.faults
    cluster.faults()


@pytest.mark.parametrize("cluster", ["openshift"], indirect=True, scope="session")
def test_killed_at_any_call_while_a_build_comes_late_or_never_after_its_number_it_loses_and_doubles_nothing(cluster, front, live, sweep, waiting):
    front({"fault": "gap-cut", "count": 1})
    life = live(Fault("before", 40))
    wait(waiting, life)
    life.deliver()
    front({"fault": "slow-create", "delayMs": 300})
    sweep(kills()[0])


def test_any_call_of_the_journal_that_fails_ends_it_and_loses_and_doubles_nothing(sweep):
    sweep(*failures())


def test_any_call_of_the_journal_that_fails_ends_a_start_and_loses_and_doubles_nothing(sweep):
    sweep(*failures(STORED, from_start=True))


@pytest.mark.parametrize("cluster", ["kubernetes"], indirect=True, scope="session")
def test_a_write_that_fails_as_the_process_stops_is_an_error_and_loses_nothing(cluster, live):
    for at in itertools.count(1):
        life = live(Fault(errno.EIO, at, WRITES, JOURNAL))
        life.ledger.push(life, life.hook)
        life.fault.arm()
        status = life.buildhook.stop()
        if life.was_spared:
            break
        assert status == 1 and os.strerror(errno.EIO) in life.buildhook.log(), (at, status, life.buildhook.log()[-2000:])
        life.buildhook.env = dict(os.environ)
        life.buildhook.start()
        check(cluster, [life])
    assert status == 0 and at > 3


def push_once(buildhook, hook, id):
    """The answer to one try."""
    body = json.dumps(github_payload()).encode()
    return post(buildhook, hook, body, github_headers("inline", body, id))


def is_refused(answer):
    return answer is None or answer.status == 503


def settled(life):
    """One delivery behind it, and quiet."""
    life.ledger.push(life, life.hook)
    wait_for("it to be quiet", life.buildhook.is_settled)
    return life


@pytest.mark.parametrize("cluster", ["kubernetes"], indirect=True, scope="session")
@pytest.mark.parametrize("call, number", [("fdatasync", errno.EIO), ("pwrite", errno.EIO), ("pwrite", errno.EROFS)])
def test_a_delivery_that_a_failing_disk_does_not_take_is_not_acknowledged(cluster, live, call, number):
    life, id = settled(live(Fault(number, 1, [call], JOURNAL))), str(uuid.uuid4())
    life.fault.arm()
    assert is_refused(push_once(life.buildhook, life.hook, id))
    assert life.buildhook.process.wait(20) == 1
    assert "the journal failed; nothing more is acknowledged\",\"error\":\"journal: write: disk I/O error" in life.buildhook.log()
    life.ledger.push(life, life.hook, id=id)
    assert life.end(30) and life.ends == [1]
    check(cluster, [life])


@pytest.mark.parametrize("cluster", ["kubernetes"], indirect=True, scope="session")
@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG])
def test_a_limit_of_ones_own_is_answered_as_a_full_disk_is(cluster, live, number):
    life, id = settled(live(Fault(number, 1, ["pwrite"], JOURNAL, lasts=True))), str(uuid.uuid4())
    life.fault.arm()
    wait_for("503", lambda: is_refused(push_once(life.buildhook, life.hook, id)))
    assert life.fault.has_happened and life.buildhook.process.poll() is None
    life.fault.arm()
    life.ledger.push(life, life.hook, id=id)
    assert life.end(30) and not life.ends
    check(cluster, [life])


@pytest.fixture
def real_disk(tmp_path):
    """A file system that can be mounted again; the journal of what is started in this folder."""
    folder, image = tmp_path / "disk" / "journal", tmp_path / "image"
    folder.mkdir(parents=True)
    subprocess.run(["truncate", "-s", "16M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)

    def mount():
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
        folder.chmod(0o700)

    def mount_anew():
        subprocess.run(["umount", folder], check=True)
        subprocess.run(["e2fsck", "-p", image], check=False, stdout=subprocess.DEVNULL)
        mount()

    mount()
    yield folder, mount_anew
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long("needs a loop device")
def test_a_file_system_that_becomes_read_only_acknowledges_nothing_more(cluster, kubeconfig, real_disk, figures):
    folder, mount_anew = real_disk
    hooks, ledger, id = make_hooks(cluster, 1, 2), Ledger(), str(uuid.uuid4())
    buildhook = Buildhook(kubeconfig, folder.parent, *UNLIMITED, program=RELEASED)
    wait_served(buildhook, hooks)
    for i in range(20):
        ledger.push(buildhook, hooks[i % 2])
    # Makes the file system read-only as the kernel does after an error; a plain remount is refused while files are open for writing.
    subprocess.run(["mount", "-o", "remount,abort", folder], check=True)
    assert is_refused(push_once(buildhook, hooks[0], id))
    assert buildhook.process.wait(20) == 1
    assert "the journal failed; nothing more is acknowledged" in buildhook.log() and "Read-only file system" in buildhook.log()
    refused = subprocess.run(buildhook.command, text=True, capture_output=True, timeout=20, check=False)
    assert refused.returncode == 1 and "Read-only file system" in refused.stderr
    mount_anew()
    buildhook.start()
    ledger.push(buildhook, hooks[0], id=id)
    check_one_build_each(cluster, ledger)
    assert buildhook.stop() == 0
    figures(refused.stderr.strip())


@pytest.mark.last
@pytest.mark.usefixtures("kubeconfig")
def test_what_was_not_built_at_once_after_a_fault_is_built_once(cluster, waiting, figures):
    began = time.monotonic()
    assert all(life.end(100) for life in waiting[cluster])
    check(cluster, waiting[cluster])
    figures(f"{summary(waiting[cluster])}, {time.monotonic() - began:.0f} s later")
