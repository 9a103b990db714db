"""``python -m benchmarks --growth``: time by number of steps."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import growth
from benchmarks.growth import Growth, Point, plot, steepest

GROWN = Growth("one", "full", {"loopjax": [Point(100, 1.0, 300.0, 8), Point(1_000, 12.0, 310.0, 8)]})


def test_measures_each_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    assert command.main(["power-narrow", "until", "--growth", "--quick", "--json", str(path)]) == 0
    (saved,) = json.loads(path.read_text())["workloads"]  # `until` takes no number of steps
    assert set(saved["points"]) == {"loopjax", "plain", "tuned"}
    for points in saved["points"].values():
        assert [point["steps"] for point in points] == list(growth.QUICK_SIZES)
        assert all(point["milliseconds"] > 0 and point["build_milliseconds"] > 0 for point in points)
    plain, ours = (saved["points"][name] for name in ("plain", "loopjax"))
    assert plain[1]["temporaries"] > plain[0]["temporaries"]
    assert ours[1]["temporaries"] == ours[0]["temporaries"]
    assert "1,000 steps" in capsys.readouterr().out


def test_no_contender_goes_on_after_a_long_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LONGEST", 0.0)
    workload = next(one for one in command.WORKLOADS if one.name == "power-narrow")
    found = growth.grow(workload, growth.Scale(quick=True), growth.Effort(3, 0.001, 1.0, 1))
    assert [point.steps for point in found.points["loopjax"]] == [100]


def test_steepest_is_one_where_time_is_linear() -> None:
    assert steepest(GROWN.points["loopjax"]) == pytest.approx(1.2)
    assert steepest([Point(100, 1.0, 0, 0), Point(1_000, 10.0, 0, 0), Point(10_000, 50.0, 0, 0)]) == 1.0


def test_reads_what_it_saved() -> None:
    assert Growth.from_json(json.loads(json.dumps(GROWN.as_json()))) == GROWN


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs loopjax[bench]")
def test_draws_a_panel_for_each_workload(tmp_path: Path) -> None:
    plot([GROWN, GROWN], tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_text().count("steps") >= 2


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *args: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(growth, "import_module", missing)
    with pytest.raises(ImportError, match=r"loopjax\[bench\]"):
        plot([GROWN], tmp_path / "growth.svg")
