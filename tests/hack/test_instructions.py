"""What tests/bench/instructions takes for a rise, and how it counts."""
import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "bench" / "instructions"
BEFORE = {"own": 10000, "all": 50000, "allocations": 100.0}
# Callgrind's format: names are given once, a line after "calls" is the cost of what is called.
PROFILE = """
ob=(1) /srv/build/instructions
fn=(1) read
10 70
cob=(2) /lib/libc.so.6
cfn=(2) malloc
calls=3 0
11 500
ob=(2)
fn=(3) realloc
20 30
cob=(2)
cfn=(2)
calls=2 0
21 40
"""


@pytest.fixture(scope="module")
def instructions():
    loader = SourceFileLoader("instructions", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("instructions", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("figure", BEFORE)
def test_a_rise_of_over_three_per_cent_is_noticed(instructions, figure):
    assert instructions.risen({**BEFORE, figure: BEFORE[figure] * 1.031}, BEFORE, True) == [figure]
    assert not instructions.risen({**BEFORE, figure: BEFORE[figure] * 1.029}, BEFORE, True)


def test_with_other_libraries_only_the_programs_own_instructions_tell(instructions):
    assert instructions.risen({k: 2 * v for k, v in BEFORE.items()}, BEFORE, False) == ["own"]


def test_a_profile_is_summed_up_by_object_without_what_is_called_and_each_allocation_once(instructions):
    assert instructions.read_profile(PROFILE) == (100, 70, 3)
