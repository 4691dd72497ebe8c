"""hack/check-layers on small trees, each with one fault. Run by pytest, or as a program."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "hack" / "check-layers"
RULES = "# comment\nbase:\ndoc: base\nkube: base doc\nonly curl/: kube\nonly yaml.h: doc\n"
GOOD = {
    "hack/layers.txt": RULES,
    "pkg/base/str.h": "#pragma once\n#include <stddef.h>\nstruct str { size_t n; };\n",
    "pkg/base/str.c": '#include "base/str.h"\n',
    "pkg/doc/json.h": '#pragma once\n#include "base/str.h"\nstruct str json(void);\n',
    "pkg/doc/json.c": '#include "doc/json.h"\n#include <yaml.h>\n',
    "pkg/kube/client.h": '#pragma once\n#include "doc/json.h"\n',
    "pkg/kube/client.c": '#include "kube/client.h"\n#include "base/str.h"\n#include <curl/curl.h>\n',
    "cmd/tool/main.h": '#pragma once\n#include "kube/client.h"\n',
    "cmd/tool/main.c": '#include "main.h"\n#include "base/str.h"\n',
}

# What is added to the good tree, and what is said of it.
FAULTS = {
    "upwards": ({"pkg/base/a.c": '#include "doc/json.h"\n'}, "pkg/base/a.c:1: base may not include doc"),
    "spaced": ({"pkg/base/a.c": '\n # include  "doc/json.h"\n'}, "pkg/base/a.c:2: base may not include doc"),
    "in a header": ({"pkg/doc/a.h": '#pragma once\n#include "kube/client.h"\n'},
                    "pkg/doc/a.h:2: doc may not include kube"),
    "library": ({"pkg/doc/a.c": "#include <curl/multi.h>\n"}, "<curl/multi.h> belongs to kube only"),
    "library in cmd": ({"cmd/tool/a.c": "#include <yaml.h>\n"}, "<yaml.h> belongs to doc only"),
    "no folder named": ({"pkg/doc/a.c": '#include "json.h"\n'}, '"json.h" is no header of a folder in pkg'),
    "by a way around": ({"pkg/base/a.c": '#include "../doc/json.h"\n'}, "is no header of a folder in pkg"),
    "cmd included": ({"pkg/kube/a.c": '#include "tool/main.h"\n'}, '"tool/main.h" is no header of a folder'),
    "not alone": ({"pkg/doc/a.h": "#pragma once\nstruct str f(struct str s);\nextern size_t n;\n"},
                  "pkg/doc/a.h: does not compile alone"),
    "no guard": ({"pkg/doc/a.h": "struct twice { int a; };\n"}, "pkg/doc/a.h: does not compile alone"),
    "cmd not alone": ({"cmd/tool/a.h": "#pragma once\nextern size_t n;\n"}, "cmd/tool/a.h: does not compile alone"),
    "circle": ({"hack/layers.txt": RULES.replace("base:", "base: kube")},
               "base may include kube, which does not stand above it"),
    "unknown folder": ({"pkg/new/a.c": "\n"}, "nothing is said of pkg/new"),
    "missing folder": ({"hack/layers.txt": RULES + "gone: base\n"}, "there is no pkg/gone"),
    "unknown owner": ({"hack/layers.txt": RULES + "only x.h: gone\n"}, "only x.h: gone is no folder of pkg"),
}


def check(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = subprocess.run([PROGRAM, root], text=True, capture_output=True)
    return result.returncode, result.stdout, result.stderr


class CheckLayers(unittest.TestCase):
    def test_a_good_tree_passes(self):
        status, said, stderr = check(GOOD)
        self.assertEqual((status, stderr), (0, ""), said)

    def test_each_fault_is_named(self):
        for name, (files, message) in FAULTS.items():
            with self.subTest(name):
                status, said, stderr = check(GOOD | files)
                self.assertEqual((status, stderr), (1, ""), said)
                self.assertIn(message, said)
                self.assertEqual(len(said.splitlines()), 1, said)


if __name__ == "__main__":
    sys.exit(unittest.main())
