"""hack/check-circles on small folders of objects. Run by pytest, or as a program."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "hack" / "check-circles"
# Roof calls middle and ground, middle calls ground.
GOOD = {
    "kube/ground.c": "int ground(void) { return 1; }",
    "kube/middle.c": "int ground(void); int middle(void) { return ground(); }",
    "kube/roof.c": "int ground(void); int middle(void); int roof(void) { return ground() + middle(); }",
    "net/http_conn.c": "int request(void); int conn(void) { return request(); }",
    "net/http_request.c": "int conn(void); int request(void) { return conn(); }",
}
FAULTS = {
    "a call back up": ({"kube/ground.c": "int middle(void); int ground(void) { return middle(); }"}, "ground, middle"),
    "over a third": ({"kube/ground.c": "int roof(void); int ground(void) { return roof(); }"}, "ground, middle, roof"),
    "by a table": ({"kube/ground.c": "int roof(void); int (*const table[])(void) = {roof}; int ground(void) { return 1; }"},
                   "ground, middle, roof"),
    "the same pair elsewhere": ({"kube/http_conn.c": "int b(void); int a(void) { return b(); }",
                                 "kube/http_request.c": "int a(void); int b(void) { return a(); }"}, "http_conn, http_request"),
}


def check(files):
    with tempfile.TemporaryDirectory() as root:
        objects = []
        for name, text in files.items():
            path = Path(root, name)
            objects.append(path.with_suffix(".o"))
            path.parent.mkdir(exist_ok=True)
            subprocess.run(["gcc", "-x", "c", "-", "-c", "-o", objects[-1]], input=text, text=True, check=True)
        result = subprocess.run([PROGRAM, *objects], text=True, capture_output=True)
    return result.returncode, result.stdout, result.stderr


class CheckCircles(unittest.TestCase):
    def test_layers_and_the_documented_pair_pass(self):
        status, said, stderr = check(GOOD)
        self.assertEqual((status, stderr), (0, ""), said)

    def test_each_call_back_up_is_named(self):
        for name, (files, members) in FAULTS.items():
            with self.subTest(name):
                status, said, stderr = check(GOOD | files)
                self.assertEqual((status, stderr), (1, ""), said)
                self.assertIn(f"pkg/kube: {members} call each other", said)
                self.assertEqual(len(said.splitlines()), 1, said)


if __name__ == "__main__":
    sys.exit(unittest.main())
