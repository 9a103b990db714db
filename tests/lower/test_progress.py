"""The progress bar of a loop."""

import importlib.util
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.lower.loops.progress import Bar


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
    np.testing.assert_allclose(found[0], found[1], rtol=1e-15)
    np.testing.assert_allclose(found[2], found[3], rtol=1e-15)
    assert {(bar.total, bar.desc, bar.n, bar.closed) for bar in bars} == {(steps, "working", steps, True)}
    assert len(bars) == 2


def summing_until(most, x, **options):
    """The sums of ``x`` until they reach ``most``, of a thousand at most, with a bar."""
    start = at.constant(0.0, dtype="float64")
    out, _ = loopjax.scan(
        lambda h, x: (h + x, loopjax.until(h + x >= most)), None, start, x, n_steps=1000, progress=True, **options
    )
    return out


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
    assert [(bar.n, bar.closed) for bar in bars] == [(501, True)]


@pytest.mark.parametrize("options", [{}, {"checkpoint": "sqrt"}, {"read": "all"}], ids=str)
def test_a_gradient_of_until_counts_as_far_as_it_goes(bars, options):
    x = at.dscalar("x")
    out = summing_until(37.0, x, checkpoint=options.get("checkpoint"))
    cost = loopjax.to_jax([x], out.sum() if "read" in options else out[-1] ** 2)
    with jax.enable_x64(True):
        for derivative in (jax.grad(cost), jax.hessian(cost)):
            derivative(1.0)
            jax.effects_barrier()
    assert {(bar.total, bar.n, bar.closed) for bar in bars} == {(1000, 37, True)}


def test_a_truncated_gradient_shows_one_bar(bars):
    x = at.dscalar("x")
    out, _ = loopjax.scan(
        lambda h, x: at.sin(h) + x,
        outputs_info=at.constant(0.0, dtype="float64"),
        non_sequences=x,
        n_steps=300,
        truncate_gradient=7,
        progress=True,
    )
    loopjax.function([x], loopjax.grad(out[-1], x))(1.0)
    jax.effects_barrier()
    assert [(bar.total, bar.n, bar.closed) for bar in bars] == [(300, 300, True)]


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


def waves(n_steps, **options):
    """The last row of a loop with a bar."""
    x = at.dvector("x")
    start = at.constant(0.0, dtype="float64")
    rows, _ = loopjax.scan(lambda h, x: at.sin(h) + x.sum(), None, start, x, n_steps, progress="waves", **options)
    return [x], rows[-1]


TRANSFORMS = {
    "jit": (jax.jit, {}, 1),
    "grad": (lambda f: jax.jit(jax.grad(f)), {}, 1),
    "grad of checkpoints": (jax.grad, {"checkpoint": "sqrt"}, 1),
    "vmap": (lambda f: lambda x: jax.vmap(f)(np.stack([x, 2 * x])), {}, 1),
    "vmap of grad": (lambda f: lambda x: jax.vmap(jax.grad(f))(np.stack([x, 2 * x])), {}, 1),
    "grad of vmap": (lambda f: jax.grad(lambda x: jax.vmap(f)(x[:, None]).sum()), {}, 1),
    "grad that runs the loop again": (lambda f: jax.grad(jax.checkpoint(f)), {}, 2),
}


@pytest.mark.parametrize(("transform", "options", "runs"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_transformations_show_one_bar_for_each_run(bars, transform, options, runs):
    assert np.isfinite(transform(loopjax.to_jax(*waves(230, **options)))(np.ones(2))).all()
    jax.effects_barrier()
    assert [(bar.total, bar.n, bar.closed) for bar in bars] == [(230, 230, True)] * runs


def test_a_batch_of_loops_with_until_shows_the_longest(bars):
    m = at.dscalar("m")
    f = loopjax.to_jax([m], summing_until(300, m)[-1], derivatives="reverse")
    jax.vmap(jax.grad(f))(np.array([3.0, 1.0, 50.0]))
    jax.effects_barrier()
    assert [(bar.n, bar.closed) for bar in bars] == [(300, True)]


def test_a_length_that_is_an_input_is_the_total(bars):
    n = at.iscalar("n")
    out, _ = loopjax.scan(
        lambda h: at.sin(h) + 1, outputs_info=at.constant(0.0, dtype="float64"), n_steps=n, progress=True
    )
    loopjax.function([n], out[-1])(431)
    jax.effects_barrier()
    assert [(bar.total, bar.n, bar.closed) for bar in bars] == [(431, 431, True)]


def test_an_inner_loop_shows_a_bar_for_each_step_around_it(bars):
    def row(total, x):
        inner, _ = loopjax.scan(lambda h: at.sin(h) + x, outputs_info=total, n_steps=40, progress="inner")
        return inner[-1]

    x = at.dscalar("x")
    out, _ = loopjax.scan(row, None, at.constant(0.0, dtype="float64"), x, 3, progress="outer")
    loopjax.function([x], loopjax.grad(out[-1], x))(0.5)
    jax.effects_barrier()
    assert [bar.desc for bar in bars] == ["inner", "outer", "inner", "inner"]
    assert all(bar.closed and bar.n == bar.total for bar in bars)


def test_reports_wait_for_the_steps(monkeypatch):
    seen = []
    monkeypatch.setattr(Bar, "_start", lambda bar, steps: seen.append(("start", steps)))
    monkeypatch.setattr(Bar, "_advance", lambda bar, steps: seen.append(("advance", steps)))
    count = loopjax.wrap_jax(lambda h: jax.experimental.io_callback(noted, h, h, ordered=False))

    def noted(h):
        seen.append("step")
        return h + 1

    out, _ = loopjax.scan(lambda h: count(h), None, at.constant(0.0, dtype="float64"), None, 4, progress=True)
    assert loopjax.function([], out[-1])() == 4
    jax.effects_barrier()
    assert seen == ["step", ("start", 1), "step", ("advance", 1), "step", ("advance", 1), "step", ("advance", 1)]


def test_a_notebook_without_widgets_shows_text(monkeypatch, capfd):
    """In a notebook ``tqdm.auto`` takes the bar of widgets, and the one of terminals where these are missing."""
    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert np.isfinite(loopjax.function(*waves(230))([1.0]))
    jax.effects_barrier()
    assert "waves: 100%" in capfd.readouterr().err
