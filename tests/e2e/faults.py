"""Kills the real process at one exact call, or lets that call fail; and what a Git host sees of it, process after process."""

import http.client
import os
import signal
import subprocess
import threading
import time

from harness import RELEASED, ROOT, Buildhook
from pushers import UNLIMITED, Ledger, count_builds, in_parallel, make_hooks, wait_served

KILLS = ("before", "half", "after")
JOURNAL = "/journal/journal.db"


def compile_faults(directory):
    library = directory / "faults.so"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, ROOT / "tests" / "e2e" / "faults.c"]
    subprocess.run(command, check=True)
    return library


class Fault:
    """A fault at call number AT of CALLS (default: all) on files whose path contains ON. HOW: the process is killed, or the call has an errno."""

    def __init__(self, how, at, calls=(), on="", lasts=False, from_start=False):
        self.how, self.from_start = how, from_start
        self.settings = {"FAULT_HOW": str(how), "FAULT_AT": str(at), "FAULT_ON": on}
        if calls:
            self.settings["FAULT_CALLS"] = f",{','.join(calls)},"
        if lasts:
            self.settings["FAULT_LASTS"] = "1"

    @property
    def status(self):
        """The exit status that is expected of the process."""
        return -9 if self.how in KILLS else 1

    def prepare(self, library, file):
        """The environment of a process that gets this fault."""
        self.file, self.is_armed = file, False
        file.unlink(missing_ok=True)
        if self.from_start:
            self.arm()
        return {**os.environ, "LD_PRELOAD": str(library), "FAULT_FILE": str(file), **self.settings}

    def arm(self):
        """Begins to count calls; a lasting fault of before is over."""
        self.is_armed = True
        self.file.touch()

    @property
    def has_happened(self):
        return self.is_armed and not self.file.exists()


class Endurance:
    """One journal through several processes: one for each of FAULTS, begun when the one before has ended by its fault, and a last one without."""

    def __init__(self, cluster, kubeconfig, library, directory, *faults):
        directory.mkdir()
        self.cluster, self.library, self.file = cluster, library, directory / "fault"
        self.fault, *self.faults = faults
        self.ledger, self.lock, self.ends = Ledger(), threading.Lock(), []
        (self.hook,) = make_hooks(cluster, 1, 1)
        flags = (*UNLIMITED, "--start-timeout=1s", f"--namespace={self.hook[0]}")
        env = self.fault.prepare(library, self.file)
        self.buildhook = Buildhook(kubeconfig, directory, *flags, env=env, program=RELEASED)
        wait_served(self.buildhook, [self.hook])

    def request(self, *request):
        """Sends a delivery as a Git host does."""
        try:
            return self.buildhook.request(*request)
        except (OSError, http.client.HTTPException):
            with self.lock:
                self._go_on()
            raise

    def _go_on(self):
        """Continues with the next process if this one has ended."""
        while self.buildhook.process.poll() is not None:
            self._note_end()
            self.fault = self.faults.pop(0) if self.faults else None
            self.buildhook.env = self.fault.prepare(self.library, self.file) if self.fault else dict(os.environ)
            try:
                self.buildhook.start(wait_ready=False)
            except AssertionError:
                assert self.buildhook.process.poll() is not None

    def _note_end(self):
        status, log = self.buildhook.process.wait(), self.buildhook.log()
        assert self.fault and self.fault.has_happened, f"ended by itself with {status}: {log[-2000:]}"
        # After its record "stopped" the process no longer handles SIGTERM.
        is_late = status == -signal.SIGTERM and log.endswith('"message":"stopped"}\n')
        assert is_late or status == self.fault.status, (status, self.fault.settings, log[-2000:])
        assert self.fault.how in KILLS or os.strerror(self.fault.how) in log, (self.fault.settings, log[-2000:])
        self.ends.append(status)

    def deliver(self):
        """Sends one delivery alone, whose calls meet no others, and then some at once."""
        if not self.fault.is_armed:
            self.fault.arm()
        self.ledger.push(self, self.hook)
        in_parallel(3, lambda _: self.ledger.push(self, self.hook))

    def end(self, patience):
        """Ends the process when all is built; False if that is not so after this many seconds."""
        deadline = time.monotonic() + patience
        while count_builds(self.cluster, self.hook[0]) < len(self.ledger.deliveries):
            self._go_on()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        if self.buildhook.stop() == 0:
            assert self.fault is None or self.was_spared, f"{self.fault.settings} was no reason to end: {self.buildhook.log()[-2000:]}"
            return True
        self._go_on()
        return self.end(patience)

    @property
    def was_spared(self):
        """True if the last fault was for a call that was never reached."""
        return self.fault is not None and not self.fault.has_happened
