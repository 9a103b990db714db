"""The figures to reach, as records reach them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.figures import FIGURES, GROWTH, judged, report
from benchmarks.growth import Growth, Point
from benchmarks.record import Outcome, Record
from benchmarks.spread import Spread
from benchmarks.table import aligned


def _spread(value: float) -> Spread:
    return Spread(value, value, value, 3)


def _record(name: str, first: float = 1.0, **ratios: float) -> Record:
    ours = Outcome("ok", milliseconds=_spread(2.0), front=0.25, compilations=3, temporaries=(160_000,))
    found = {rival: _spread(value) for rival, value in ratios.items()}
    return Record(name, "", "full", "", {"loopjax": ours}, found, {rival: _spread(first) for rival in ratios})


def _answers(*records: Record, growths: tuple[Growth, ...] = ()) -> dict[str, Any]:
    return {reached.figure.what: reached for reached in judged(records, growths)}


def test_the_worst_workload_decides_and_those_above_are_named() -> None:
    found = _answers(_record("a", plain=0.5), _record("b", plain=1.2), _record("c", plain=2.0))
    plain = found["time over plain JAX"]
    assert (plain.value, plain.answer) == (2.0, "no")
    assert list(plain.short) == ["c", "b"]
    assert found["time over plain JAX, geometric mean"].value == pytest.approx((0.5 * 1.2 * 2.0) ** (1 / 3))
    assert _answers(_record("a", plain=1.05))["time over plain JAX"].answer == "yes"


def test_plain_stands_in_where_nothing_was_tuned() -> None:
    found = _answers(_record("a", plain=0.8), _record("b", plain=0.5, tuned=1.1))
    assert found["time over tuned JAX"].value == 1.1
    assert found["time over tuned JAX, geometric mean"].value == pytest.approx((0.8 * 1.1) ** 0.5)


def test_calls_are_judged_by_their_row_alone() -> None:
    found = _answers(_record("small-call", plain=1.29))
    assert found["a call over jax.jit's own"].answer == "yes"
    assert found["time over plain JAX"].answer == "not measured"


def test_the_other_rows() -> None:
    found = _answers(
        _record("deep-taps-10", plain=1.0),
        _record("deep-taps-1000", plain=1.0),
        _record("checkpoint-sqrt", plain=1.0, first=1.6),
        _record("varying-length-last-large", plain=1.0),
    )
    assert found["tap -1,000 over tap -10, forward"].value == 1.0
    assert found["checkpoint 'sqrt': states of 2,000 steps"].value == 1.0
    assert found["first result over plain JAX"].short == {"checkpoint-sqrt": 1.6}
    assert found["tracing, rewriting and lowering, share of the first result"].answer == "yes"
    assert found["the same, last value read"].answer == "no"


def test_growth() -> None:
    points = [Point(100, 1.0, 300.0, 8), Point(1_000, 20.0, 300.0, 16)]
    found = _answers(growths=(Growth("power-narrow", "full", {"loopjax": points}),))
    assert [found[figure.what].value for figure in GROWTH] == [2.0, 1.0, 2.0]


def test_every_figure_has_a_row() -> None:
    printed = report([_record("a", plain=1.2)], [], aligned).splitlines()
    assert len(printed) == 1 + len(FIGURES) + len(GROWTH)
    assert "no" in printed[1]
    assert "a 1.2" in printed[1]


def test_records_are_read_as_saved() -> None:
    record = replace(_record("a", plain=1.2), outcomes={"loopjax": Outcome("fails", "why")})
    for one in (record, _record("b", tuned=0.3)):
        assert Record.from_json(json.loads(json.dumps(one.as_json()))) == one
