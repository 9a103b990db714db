"""The table, and the picture, from which a user chooses."""

import importlib.util

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.checkpoint import Budget, Comparison, Cost, compare


def build(checkpoint):
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: at.sin(h) + at.tanh(h * 2), outputs_info=h, n_steps=100, checkpoint=checkpoint)
    return loopjax.function([h], loopjax.grad(out[-1].sum(), h))


def test_less_memory_for_each_plan_in_turn():
    found = compare(build, np.ones(200), plans=[1, "sqrt", Budget(states=19)], repeats=2)
    assert [cost.plan for cost in found.costs] == ["1", "sqrt", "Budget(states=19)"]
    first, second, third = (cost.bytes / 1600 for cost in found.costs)
    assert first > 100 > 24 > second > 19.5 > third
    assert all(cost.seconds > 0 for cost in found.costs)
    assert str(found).splitlines()[0].split() == ["checkpoint", "ms", "MB"]
    assert len(str(found).splitlines()) == 4


def test_refusals():
    with pytest.raises(ValueError, match="at least one plan"):
        compare(build, np.ones(3), plans=[])


def test_a_plot_is_saved_or_names_the_extra(tmp_path):
    table = Comparison((Cost("default", 1e-3, 1000), Cost("sqrt", 2e-3, 100)))
    if importlib.util.find_spec("matplotlib") is None:
        with pytest.raises(ImportError, match=r"loopjax\[plot\]"):
            table.plot()
        return
    table.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
