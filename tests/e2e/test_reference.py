"""docs/reference.md against the program."""

import re
import subprocess

from harness import BUILDHOOK, ROOT, push

REFERENCE = (ROOT / "docs" / "reference.md").read_text()
METRIC = r"\b(?:buildhook|controller_runtime|workqueue|rest_client|process)_[a-z_]+\b"
# The rules of promtool check metrics that a name can break.
ABBREVIATED = r"_(ms|sec|secs|kb|mb|msec|milliseconds|minutes)(_|$)"


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", REFERENCE, re.M | re.S).group(1)


def test_the_flags_are_those_of_help_with_their_defaults():
    done = subprocess.run([BUILDHOOK, "serve", "--help"], text=True, capture_output=True, check=True)
    unwrapped = re.sub(r"\n {20,}", " ", done.stdout)
    helped = dict(re.findall(r"^ +(?:-\w, )? *--([a-z-]+) *(?:[A-Z][^ ]*|[a-z|]+(?= ))? +(.*)$", unwrapped, re.M))
    rows = {}
    for line in section("Flags of `buildhook serve`").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)]
        for flag in re.findall(r"`--([a-z-]+)", cells[1]) if len(cells) > 3 else []:
            rows[flag] = cells[2].strip("`")
    assert set(rows) == set(helped)
    for flag, text in helped.items():
        default = re.search(r"\(default ([^ :;)]+)", text)
        if default:
            assert rows[flag].startswith(default.group(1)), (flag, rows[flag], text)


def test_the_reasons_are_those_that_there_are():
    source = (ROOT / "pkg" / "delivery" / "outcome.h").read_text()
    reasons = set(re.findall(r'X\([A-Z_]+, "(\w+)"\)', source))
    assert reasons - {"Queued"} == set(re.findall(r"^\| `([A-Z]\w+)` \|", section("Port `--listen`").partition("| `reason` |")[2], re.M))


def test_the_metrics_are_those_that_there_are(cluster, buildhook, hook):
    namespace, name, secret = hook
    named = set(re.findall(rf"`({METRIC})`", section("Metrics")))
    # docs/plain-kubernetes.md has those of the build controller.
    sources = [p.read_text() for top in ("pkg", "cmd") for p in (ROOT / top).rglob("*.c") if p.parent.name != "builder"]
    assert named == {m for text in sources for m in re.findall(rf'"({METRIC})"', text)}

    assert push(buildhook, namespace, name, secret).status == 200
    text = buildhook.admin_get("/metrics").body.decode()
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert set(families) <= named
    assert named - set(families) <= {"buildhook_watch_restarts_total", "buildhook_builds_failed_total"}


def test_the_metrics_are_as_promtool_wants_them(buildhook):
    text = buildhook.admin_get("/metrics").body.decode()
    assert text.endswith("\n") and "\n\n" not in text
    seen, family, kind = set(), None, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen and len(line.split(maxsplit=3)) == 4, line
            seen.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            kind = line.split()[3]
            assert (kind == "counter") == family.endswith("_total"), line
            assert not re.search(ABBREVIATED, family), line
        else:
            sample = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? [-+0-9.eInf]+', line)
            assert sample, line
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert sample.group(1) in {family + s for s in suffixes}, line


def anchor(title):
    """As GitHub and GitLab make them."""
    return re.sub(r"[^\w -]", "", title.replace("`", "").lower()).replace(" ", "-")


def test_links_between_the_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "hack" / "devcluster" / "README.md", ROOT / "tests" / "data" / "README.md"]
    for page in pages:
        for file, part in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            target = page.parent / file if file else page
            assert target.exists(), (page, file)
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if part else []
            # A picture's fragment says for which background it is.
            assert not part or target.suffix == ".svg" or part in map(anchor, titles), (page, file, part)


def test_files_that_the_pages_name_are_there():
    named = set()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        named |= set(re.findall(r"`((?:manifests|hack|tests|pkg|cmd|docs)/[\w./-]+)`", page.read_text()))
    # The reader's own overlay is not in this repository.
    named = {n for n in named if not n.startswith("manifests/overlays/mine")}
    assert named and not [n for n in named if not (ROOT / n).exists()]
