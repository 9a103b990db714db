"""``python -m benchmarks --ablation``: what is left out, what is compared and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loopjax
from benchmarks import __main__ as command
from benchmarks.ablation import DEFAULT, MODES, NONE, Ablation, ablate, mode, report
from benchmarks.measure import Effort
from benchmarks.program import Program
from benchmarks.spread import Spread
from benchmarks.table import markdown
from benchmarks.workload import Contenders, Scale, Workload
from loopjax.rewrite.target import REWRITES

LEAST = Effort(rounds=3, sample=0.001, budget=1.0, builds=1)


def test_measures_where_the_program_differs_and_writes_a_page(tmp_path: Path) -> None:
    path, page = tmp_path / "results.json", tmp_path / "page.md"
    assert command.main(["triangular", "--ablation", "--quick", "--json", str(path)]) == 0
    (saved,) = json.loads(path.read_text())["workloads"]
    assert {"unroll", NONE} <= set(saved["without"])
    assert "far_taps" not in saved["without"]  # no far taps here: the program is the same
    assert saved["without"]["unroll"]["time"]["median"] > 0

    command.main(["--ablation", "--quick", "--read", "--json", str(path), "--markdown", str(page)])
    written = page.read_text()
    assert all(f"| {name} |" in written for name in [*REWRITES, NONE])
    assert "| triangular |" in written


def test_the_mode_is_set_for_the_build_alone() -> None:
    before = loopjax.config.mode
    with mode(MODES["cse"]):
        assert loopjax.config.mode.without == {"cse"}
    assert loopjax.config.mode is before


def _workload(wrong: str) -> Workload:
    """One whose result is another without one rewrite."""

    def build() -> Program:
        chosen: Any = loopjax.config.mode
        return Program(lambda: np.float64(chosen.without == {wrong}))

    return Workload("one", "", lambda scale: Contenders(build, build))


def test_a_result_that_differs_is_told() -> None:
    found = ablate(_workload("unroll"), Scale(), LEAST)
    assert "Not equal to tolerance" in found.without["unroll"].message
    assert found.without["cse"].time is not None
    assert "| fails |" in report([found], markdown)


def test_a_failure_of_the_default_is_an_error() -> None:
    def build() -> Program:
        raise NotImplementedError("no rule")

    with pytest.raises(NotImplementedError, match="no rule"):
        ablate(Workload("one", "", lambda scale: Contenders(build, build)), Scale(), LEAST)


def test_reads_what_it_saved() -> None:
    found = ablate(_workload("unroll"), Scale(), LEAST)
    assert Ablation.from_json(json.loads(json.dumps(found.as_json()))) == found
    assert DEFAULT not in found.without
    assert isinstance(found.without["cse"].time, Spread)
