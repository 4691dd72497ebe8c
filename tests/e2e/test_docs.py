"""What README and docs tell people to type exists: commands, their flags, targets of make, folders; and the pictures are of this program."""

import re
import shlex
import subprocess
import xml.etree.ElementTree as xml

import pytest

from documented import PAGES, typed
from harness import RELEASED, ROOT

SVG = "{http://www.w3.org/2000/svg}"


def help_of(command):
    done = subprocess.run([RELEASED, command, "--help"], text=True, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


HELP = {}


def check_buildhook(words):
    command = next((w for w in words if not w.startswith("-")), None)
    if command in (None, "NAME", "COMMAND", "..."):
        return
    text = HELP.setdefault(command, help_of(command))
    assert text, f"no command {command}"
    for flag in re.findall(r"(?<!\S)--[a-z][a-z-]+", " ".join(words)):
        assert flag in text + "--help --version", (command, flag)


def check_make(words):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    for word in words:
        assert "=" in word or word.lstrip("[").startswith("-") or word in targets, word


def check_kubectl(words):
    """Folders and files of this repository that are applied."""
    for flag, path in zip(words, words[1:]):
        if flag in ("-k", "-f") and path.startswith(("manifests/", "hack/")) and not path.endswith("/mine"):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_page_says_to_type_exists(page):
    for line in typed(page):
        words = shlex.split(re.sub(r"\s*[&|].*$", "", line.partition(" #")[0].replace("\n", " ")).replace("'", ""))
        program = words[0]
        if program in ("kubectl", "oc") and words[1] == "buildhook":
            check_buildhook(words[2:])
        elif program in ("buildhook", "build/buildhook", "./buildhook-linux-amd64"):
            check_buildhook(words[1:])
        elif program == "make":
            check_make(words[1:])
        elif program in ("kubectl", "oc"):
            check_kubectl(words[1:])
        else:
            assert (ROOT / program).exists(), program


def test_the_pictures_of_the_readme_are_there_in_light_and_dark():
    pictures = re.findall(r"!\[[^]]{20,}\]\((\S+)\)", (ROOT / "README.md").read_text())
    assert pictures == ["docs/flow.svg", "docs/run.svg"]
    for picture in pictures:
        text = (ROOT / picture).read_text()
        assert xml.fromstring(text).tag == SVG + "svg" and "prefers-color-scheme:dark" in text and "aria-label" in text


def test_the_recording_is_of_what_make_run_shows():
    drawn = [t.text for t in xml.fromstring((ROOT / "docs" / "run.svg").read_text()).iter(SVG + "text")]
    steps = ["== " + step for step in re.findall(r'^\tsay "([^"]+)"$', (ROOT / "hack" / "run").read_text(), re.M)]
    assert steps and [line for line in drawn if line.startswith("== ")] == steps, "run: hack/record docs/run.svg hack/run up"
    assert drawn[0] == "$ make run" and any("github-state: Ready" in line for line in drawn)
