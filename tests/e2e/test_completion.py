"""Completion as a person meets it: the tab key in bash, zsh and fish."""

import os
import pty
import select
import time

import pytest

from cli import cluster, owner  # noqa: F401
from harness import BUILDHOOK, buildconfig, wait_for

# How each shell is started without a user's settings, and its first commands.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='> '; bind 'set bell-style none'; source <(buildhook completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "PS1='> '; autoload -U compinit; compinit -u -D; unsetopt beep; source <(buildhook completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "function fish_prompt; echo '> '; end; buildhook completion fish | source"),
}


class Terminal:
    def __init__(self, command, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)
        self.shown = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, text, timeout=60):
        deadline = time.monotonic() + timeout
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.fd], [], [], 1)[0]:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="module")
def cluster(kubernetes_cluster):  # noqa: F811
    return kubernetes_cluster


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tab_key_completes_commands_flags_and_buildconfigs(shell, cluster, namespace, owner, tmp_path):  # noqa: F811
    for name in ("cart", "order-service", "order-mailer"):
        cluster.create(namespace, buildconfig(name))
    (tmp_path / "buildhook").symlink_to(BUILDHOOK)
    command, first = SHELLS[shell]
    terminal = Terminal(command, {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb", "LANG": "C.UTF-8", "COLUMNS": "500",
        "KUBECONFIG": str(owner.kubeconfig)})
    try:
        terminal.type(f"{first}; echo loaded by {shell} | tr a-z A-Z\n")
        terminal.read_until(f"LOADED BY {shell.upper()}")
        for typed, completed in (("buildhook hist\t", "buildhook history"), ("buildhook url ca\t", "buildhook url cart"),
                                 ("buildhook url order-s\t git\tl\t", "buildhook url order-service gitlab"),
                                 ("buildhook status --namesp\t", "buildhook status --namespace"),
                                 ("buildhook rotate car\t gen\t", "buildhook rotate cart generic")):
            # Echo shows the completed words; in capitals, so that what was typed is not taken for them.
            terminal.type(f"{typed}\x01echo \x05 | tr a-z A-Z\n")
            terminal.read_until(completed.upper())
    finally:
        terminal.close()
