"""``python -m benchmarks``: what it prints, what it saves and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.compare import close, same_frequencies
from benchmarks.measure import Effort, timings
from benchmarks.program import Program
from benchmarks.spread import ratio, spread
from benchmarks.workload import Contenders, Workload
from benchmarks.workloads import WORKLOADS

OWN = {"loopjax", "plain", "tuned"}


def _saved(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_measures_compares_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    assert command.main(["power-narrow", "triangular", "--quick", "--json", str(path)]) == 0
    assert "power-narrow" in capsys.readouterr().out

    saved = _saved(path)
    assert {"backend", "device", "jax", "python"} <= set(saved["environment"])
    assert [one["name"] for one in saved["workloads"]] == ["power-narrow", "triangular"]
    for one in saved["workloads"]:
        assert {"what", "size", "date"} <= set(one)
        assert set(one["ratios"]) == set(one["first_ratios"]) == OWN - {"loopjax"}
        for name in OWN:
            outcome = one["outcomes"][name]
            assert outcome["kind"] == "ok"
            assert 0 < outcome["milliseconds"]["low"] <= outcome["milliseconds"]["median"]
            assert outcome["first_milliseconds"]["median"] > outcome["milliseconds"]["median"]
            assert outcome["compilations"] >= 1
            assert 0 < outcome["front"] < 1


def test_a_second_run_keeps_other_workloads(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for name in ("small-call", "power-narrow", "small-call"):
        assert command.main([name, "--quick", "--repeat", "1", "--json", str(path)]) == 0
    assert [one["name"] for one in _saved(path)["workloads"]] == ["power-narrow", "small-call"]


def _constant(value: float) -> Program:
    return Program(lambda: np.float64(value))


def _raising() -> Program:
    raise NotImplementedError("no rule for 'spline'")


@pytest.mark.parametrize(
    ("loopjax", "kind", "message"),
    [
        (lambda: _constant(2.0), "differs", "Not equal to tolerance"),
        (_raising, "fails", "NotImplementedError: no rule for 'spline'"),
    ],
)
def test_a_wrong_contender_is_reported_and_the_run_goes_on(
    loopjax: Any,
    kind: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = Workload("wrong", "", lambda scale: Contenders(loopjax, lambda: _constant(1.0)))
    right = replace(wrong, name="right", make=lambda scale: Contenders(*(2 * [lambda: _constant(1.0)])))
    monkeypatch.setattr(command, "WORKLOADS", (wrong, right))
    path = tmp_path / "results.json"

    assert command.main(["--quick", "--repeat", "1", "--json", str(path)]) == 1

    first, second = _saved(path)["workloads"]
    assert first["outcomes"]["loopjax"]["kind"] == kind
    assert message in first["outcomes"]["loopjax"]["message"]
    assert first["outcomes"]["plain"]["kind"] == "ok"
    assert first["ratios"] == {}
    assert second["outcomes"]["loopjax"]["kind"] == "ok"
    assert f"wrong: loopjax {kind}" in capsys.readouterr().out


def test_list_names_every_workload_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [workload.name for workload in WORKLOADS]
    assert len(set(listed)) == len(listed)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["no-such-workload"])
    assert "no-such-workload" in capsys.readouterr().err


def test_close_sees_values_shapes_and_dtypes() -> None:
    compare = close(1e-9)
    compare([np.ones(3)], [np.ones(3) + 1e-12])
    for other in (np.ones(3) + 1e-6, np.ones(4), np.ones(3, "float32")):
        with pytest.raises(AssertionError):
            compare([np.ones(3)], [other])
    with pytest.raises(AssertionError):
        compare([np.ones(3)], [np.ones(3), np.ones(3)])


def test_same_frequencies_sees_one_unit_in_ten() -> None:
    compare = same_frequencies(mean=0.03, rms=0.13)
    p = np.linspace(0.1, 0.9, 400)
    rng = np.random.default_rng(0)
    draws = [(rng.uniform(size=(64, 400)) < p).astype("float32") for _ in range(2)]
    compare(*draws)
    flipped = draws[0].copy()
    flipped[:, :20] = 0
    flipped[:, -20:] = 1 - flipped[:, -20:]
    with pytest.raises(AssertionError):
        compare(flipped, draws[1])


def test_ratios_are_of_the_same_round() -> None:
    assert ratio([1.0, 10.0, 4.0], [2.0, 20.0, 8.0]) == spread([0.5, 0.5, 0.5])


def test_samples_of_short_calls_begin_warm() -> None:
    """As many calls as fill the time of a sample, twice; of long calls, one is a sample."""
    for seconds, expected in ((1e-3, [1, 10, 10, 10, 10]), (1.0, [1, 1, 1])):
        calls: list[int] = []

        def repeat(times: int, seconds: float = seconds, calls: list[int] = calls) -> float:
            calls.append(times)
            return times * seconds

        found = timings({"one": repeat}, Effort(rounds=2, sample=0.01, budget=10.0, builds=0))
        assert calls == expected
        assert found == {"one": pytest.approx([seconds, seconds])}
