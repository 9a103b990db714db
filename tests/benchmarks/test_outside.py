"""Libraries in a process of their own: the protocol, with LoopJAX itself on the other side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import run
from benchmarks.measure import Effort
from benchmarks.outside import Outside, OutsideError
from benchmarks.peak import peak
from benchmarks.programs.power import power
from benchmarks.programs.small_call import counter
from benchmarks.programs.triangular import triangular
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Scale
from benchmarks.workloads import WORKLOADS

HERE = Path(sys.executable)
LEAST = Effort(rounds=3, sample=0.001, budget=1.0, builds=1)
POWER = next(one for one in WORKLOADS if one.name == "power-narrow")


def test_builds_calls_and_says_what_fails() -> None:
    with Outside("loopjax", HERE) as process:
        built = process.build(Symbolic(power, (np.full(3, 2.0), np.int32(5))))
        np.testing.assert_array_equal(built.result, [np.full(3, 32.0)])
        assert built.seconds > process.repeat(1) > 0

        with pytest.raises(OutsideError, match="unexpected keyword argument"):
            process.build(Symbolic(power, options={"other": 1}))

        several = Symbolic(triangular, calls=[(np.int32(3),), (np.int32(4),)])
        assert [one.tolist() for one in process.build(several).result] == [[0, 1, 3], [0, 1, 3, 6]]

        shared = Symbolic(counter, shared=(np.int32(7),))
        assert process.build(shared).result == [7]
        process.repeat(2)


def test_a_process_that_ends_says_why() -> None:
    with Outside("no_such_library", HERE) as process, pytest.raises(OutsideError, match="No module named"):
        process.build(Symbolic(power))


def test_others_are_compared_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "python", lambda name: HERE if name == "loopjax-again" else None)
    monkeypatch.setattr(run, "Outside", lambda name, executable: Outside("loopjax", executable))

    record = run.run(POWER, Scale(quick=True), LEAST, ("loopjax-again", "aesara"))

    again: Any = record.outcomes["loopjax-again"]
    assert again.kind == "ok"
    assert again.milliseconds.count == record.ratios["loopjax-again"].count == 3
    assert record.first_ratios["loopjax-again"].count == 1
    ours, plain = record.outcomes["loopjax"], record.outcomes["plain"]
    assert sum(ours.temporaries or ()) < sum(plain.temporaries or ())
    assert record.outcomes["aesara"].kind == "skipped"
    assert "benchmarks.setup aesara" in record.outcomes["aesara"].message


def test_peak_is_of_one_process() -> None:
    assert peak("power-narrow", "plain", Scale(quick=True)) > 1_000_000
