"""Gradients where one length depends on another loop, and indices checked under a gradient."""

import time

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax import function, grad, scan, until


@pytest.fixture(autouse=True)
def in_double(monkeypatch):
    monkeypatch.setattr(loopjax.config, "floatX", "float64")


def growing(y):
    return scan(lambda h: (h * y + 0.1, until(h > 2)), outputs_info=1.0, n_steps=50)[0]


def turning(x, start, n_steps, **options):
    return scan(lambda h: at.sin(h * x), outputs_info=start, n_steps=n_steps, **options)[0][-1]


def slope(f, *values):
    first, *rest = values
    return (float(f(first + 1e-6, *rest)) - float(f(first - 1e-6, *rest))) / 2e-6


def same(cost, inputs, *values):
    found = function(inputs, grad(cost, inputs[0]))(*values)
    np.testing.assert_allclose(found, slope(function(inputs, cost), *values), rtol=1e-6)


def test_with_respect_to_what_a_length_depends_on():
    x = at.dscalar("x")
    y = x * 1.05
    cost = (growing(y) ** 2).sum()
    found = function([x], grad(cost, [x, y]))(1.2)
    np.testing.assert_allclose(found[0], slope(function([x], cost), 1.2), rtol=1e-6)
    np.testing.assert_allclose(float(found[1]) * 1.05, found[0], rtol=1e-12)


def test_a_gradient_that_decides_the_length_of_another_loop():
    x = at.dscalar("x")
    inner = grad((growing(x) ** 2).sum(), x)
    out = scan(lambda h: (h * 1.1 + 0.001 * inner, until(h > 30)), outputs_info=x, n_steps=30)[0]
    same((out * out).sum(), [x], 1.2)


def test_no_outer_step():
    x, ks = at.dscalar("x"), at.lvector("ks")
    out = scan(lambda k, a: turning(x, a, k), sequences=ks, outputs_info=0.5)[0]
    f = function([x, ks], grad(out.sum(), x))
    assert float(f(0.9, [])) == 0.0
    same(out.sum(), [x, ks], 0.9, [1, 4])


def test_a_loop_that_varies_inside_of_one_that_varies():
    x, ks = at.dscalar("x"), at.lvector("ks")

    def outer(k, a):
        (_, mid), _ = scan(lambda s, m: [s + 1, m + turning(x, m, s)], outputs_info=[np.int64(1), a], n_steps=k)
        return mid[-1]

    same(scan(outer, sequences=ks, outputs_info=0.5)[0].sum(), [x, ks], 0.9, [1, 3, 2])


def test_the_largest_limit_there_is():
    x, ks = at.dscalar("x"), at.lvector("ks")
    out = scan(lambda k: scan(lambda h: (h * x + 0.1, until(h > 2)), outputs_info=1.0, n_steps=k)[0][-1], sequences=ks)[
        0
    ]
    same(out.sum(), [x, ks], 1.2, [2**31 - 1, 5])


def test_a_checkpoint_on_an_inner_loop_that_varies():
    x, ks = at.dscalar("x"), at.lvector("ks")
    out = scan(lambda k, a: turning(x, a, k, checkpoint="sqrt"), sequences=ks, outputs_info=0.5)[0]
    same(out.sum(), [x, ks], 0.9, [1, 4])


def test_loops_that_stop_by_until_in_a_map_run_no_further_than_they_need():
    xs = at.dvector("xs")
    out = scan(
        lambda a: scan(lambda h: (h * a + 0.1, until(h > 2)), outputs_info=1.0, n_steps=1_000_000)[0][-1], sequences=xs
    )[0]
    f = function([xs], grad(out.sum(), xs))
    values = np.linspace(1.01, 1.2, 10)
    jax.block_until_ready(f(values))
    begin = time.perf_counter()
    jax.block_until_ready(f(values))
    assert time.perf_counter() - begin < 1.0, "a million steps each would take many seconds"
    assert loopjax.explain(f).loops[0].plan.kind == "scan"


@pytest.mark.parametrize("checkpoint", [None, 4, "sqrt", "log"])
def test_an_index_out_of_bounds_is_found_under_a_gradient(checkpoint):
    v, j = at.dvector("v"), at.lscalar("j")
    out = scan(lambda i, q: at.sin(q * v[i + j]), sequences=at.arange(20), outputs_info=0.3, checkpoint=checkpoint)[0]
    first = grad(out[-1], v)
    for result in (first, grad(first.sum(), v) + grad(out.sum(), v)) if checkpoint in (None, "log") else (first,):
        f = function([v, j], result, check="index")
        assert f(np.ones(21), 1).shape == (21,)
        with pytest.raises(IndexError, match="out of bounds for an axis of size 20"):
            f(np.ones(20), 1)


def test_an_index_out_of_bounds_is_found_under_a_gradient_through_until():
    v, j = at.dvector("v"), at.lscalar("j")
    out = scan(lambda q: (at.sin(q * v[j]) + 0.5, until(q > 10)), outputs_info=0.3, n_steps=40)[0]
    f = function([v, j], grad(out[-1], v), check="index")
    assert f(np.ones(3), 1).shape == (3,)
    with pytest.raises(IndexError, match="out of bounds for an axis of size 3"):
        f(np.ones(3), 30)


def test_a_length_that_floats_decide_of_a_loop_of_shared_variables_alone():
    """Nothing but its last values is read, and it is compiled for its length all the same."""
    x, total = at.dscalar("x"), loopjax.shared(np.array(3.0), name="total")
    count = at.floor(x * x).astype("int64")
    _, updates = loopjax.scan(lambda: {total: total * x}, n_steps=count)
    last = updates[total]
    f = loopjax.function([x], [last, loopjax.grad(last, total)])
    value, slope = f(1.5)
    assert value == pytest.approx(3 * 1.5**2)
    assert slope == pytest.approx(1.5**2)


def test_sizes_that_an_inner_loop_checks_at_every_step():
    """Whether all of an inner loop's sizes fit is a result of a differentiated loop."""
    k, start = at.lvector("k"), at.dscalar("start")

    def outer(n):
        taken = at.minimum(n, k.shape[0])

        def inner(u, h):
            return [at.tanh(-h), at.set_subtensor(at.zeros(4, dtype="float64")[:u], at.arange(u)).sum()]

        (h, _), _ = loopjax.scan(inner, sequences=k, outputs_info=[start, None], n_steps=taken)
        return at.set_subtensor(at.zeros(4, dtype="float64")[:taken], h)

    h, _ = loopjax.scan(outer, sequences=k)
    f = loopjax.function([k, start], [at.sin(h).sum(), loopjax.grad(at.sin(h).sum(), start)])
    numbers, by = [1, 3, 2, 1], 1e-5
    expected = (f(numbers, 0.3 + by)[0] - f(numbers, 0.3 - by)[0]) / (2 * by)
    np.testing.assert_allclose(f(numbers, 0.3)[1], expected, rtol=1e-7)
