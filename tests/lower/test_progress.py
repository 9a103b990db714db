"""The progress bar of a loop."""

import importlib.util

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


@pytest.fixture
def bars(monkeypatch):
    """What bars were told, instead of drawing them."""
    import tqdm.auto

    made = []

    class Recorder:
        def __init__(self, total, desc):
            self.total, self.desc, self.n, self.closed = total, desc, 0, False
            made.append(self)

        def update(self, steps):
            self.n += steps

        def close(self):
            self.closed = True

    monkeypatch.setattr(tqdm.auto, "tqdm", Recorder)
    return made


@pytest.mark.parametrize("steps", [2, 99, 250, 1003])
def test_a_bar_for_each_run_and_the_same_values(bars, steps):
    x = at.dvector("x")
    start = at.constant(0.0, dtype="float64")
    shown, _ = loopjax.scan(lambda a, h: at.sin(h) + a, sequences=x, outputs_info=start, progress="working")
    plain, _ = loopjax.scan(lambda a, h: at.sin(h) + a, sequences=x, outputs_info=start)
    value = np.linspace(-1, 1, steps)
    f = loopjax.function([x], [shown, plain, loopjax.grad(shown.sum(), x), loopjax.grad(plain.sum(), x)])
    for _ in range(2):
        found = f(value)
        jax.effects_barrier()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    assert {(bar.total, bar.desc, bar.n, bar.closed) for bar in bars} == {(steps, "working", steps, True)}
    assert len(bars) == 2


def test_until_counts_as_far_as_it_goes(bars):
    m = at.dscalar("m")
    out, _ = loopjax.scan(
        lambda h: (h + 1, loopjax.until(h >= m)),
        outputs_info=at.constant(0.0, dtype="float64"),
        n_steps=1000,
        progress=True,
    )
    assert len(loopjax.function([m], out)(500.0)) == 501
    jax.effects_barrier()
    assert [bar.n for bar in bars] == [500]


def test_a_loop_without_recurrence_shows_one_too(bars):
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda a: a * 2, sequences=x, progress=True, name="mapped")
    np.testing.assert_array_equal(loopjax.function([x], out)(np.arange(300.0)), np.arange(300.0) * 2)
    jax.effects_barrier()
    assert [(bar.desc, bar.n) for bar in bars] == [("mapped", 300)]


def test_without_tqdm_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"loopjax\[progress\]"):
        loopjax.scan(lambda h: h, outputs_info=0.0, n_steps=3, progress=True)
