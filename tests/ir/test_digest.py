"""Digests: equal for equal graphs in every process, different for all else."""

import subprocess
import sys

import pytest

import loopjax.tensor as at
from loopjax.ir.digest import NoDigestError, digest
from loopjax.ir.graph import Graph

PROGRAM = """
import loopjax.tensor as at
from loopjax.ir.digest import digest
from loopjax.ir.graph import Graph
x = at.dvector("any name")
print(digest(Graph([x], [at.sin(x) * 2]), {"b", "a", "c"}))
"""


def test_equal_in_another_process():
    x = at.dvector("x")
    ours = digest(Graph([x], [at.sin(x) * 2]), {"a", "b", "c"})
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ours


def test_what_python_calls_equal_differs():
    assert len({digest(value) for value in (1, 1.0, True, "1", b"1", (1,), [1], None)}) == 8
    assert digest((1, 2), 3) != digest(1, (2, 3))


def test_functions_have_none():
    with pytest.raises(NoDigestError, match="function"):
        digest(lambda: None)
