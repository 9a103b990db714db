"""Draws and updates inside of loops, nested ones too: which key each step draws with, and what comes back."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random.distributions import LAST_STEP


def stream(seed=7):
    return at.random.RandomStream(seed)


def test_step_t_draws_with_the_key_folded_with_t():
    source = stream()
    out, updates = loopjax.scan(lambda: source.uniform(size=(2,)), n_steps=4)
    (key,) = updates
    before = key.value
    f = loopjax.function([], out, updates=updates)
    for _ in range(2):
        start = key.value
        expected = [jax.random.uniform(jax.random.fold_in(start, t), (2,), "float32") for t in range(4)]
        np.testing.assert_array_equal(f(), expected)
        after = jax.random.key_data(jax.random.fold_in(start, LAST_STEP))
        np.testing.assert_array_equal(jax.random.key_data(key.value), after)
    assert not np.array_equal(jax.random.key_data(before), jax.random.key_data(key.value))


def test_a_loop_that_only_draws_is_a_map():
    source = stream()
    out, updates = loopjax.scan(lambda: source.normal(), n_steps=50)
    f = loopjax.function([], out, updates=updates)
    f()
    assert [loop.plan.kind for loop in loopjax.explain(f).loops] == ["vmap"]


def test_without_updates_the_same_draws_every_call():
    source = stream()
    out, updates = loopjax.scan(lambda h: h + source.normal(), outputs_info=at.constant(0.0), n_steps=5)
    fixed, moving = loopjax.function([], out), loopjax.function([], out, updates=updates)
    np.testing.assert_array_equal(fixed(), fixed())
    first = moving()
    assert not np.array_equal(first, moving())


@pytest.mark.parametrize("recurrent", [False, True])
def test_no_two_draws_are_equal_across_streams_steps_and_calls(recurrent):
    source = stream()

    def fn(*past):
        a, b = source.uniform(size=(3,)), source.uniform(size=(3,))
        return (a, b + 0 * past[0]) if recurrent else (a, b)

    info = [None, at.zeros(3)] if recurrent else None
    outputs, updates = loopjax.scan(fn, outputs_info=info, n_steps=20)
    outside = source.uniform(size=(60,))
    f = loopjax.function([], [*outputs, outside], updates=updates)
    drawn = np.concatenate([np.ravel(value) for _ in range(3) for value in f()])
    assert len(np.unique(drawn)) == len(drawn)


def test_nested_draws_reach_the_outer_state_by_themselves():
    source = stream()

    def row():
        inner, _ = loopjax.scan(lambda: source.uniform(), n_steps=3)
        return inner

    table, updates = loopjax.scan(row, n_steps=4)
    assert len(updates) == 1
    f = loopjax.function([], table, updates=updates)
    drawn = np.concatenate([np.ravel(f()) for _ in range(3)])
    assert len(np.unique(drawn)) == 36


def test_nested_scans_fold_the_key_again():
    source = stream()
    table, updates = loopjax.scan(lambda: loopjax.scan(lambda: source.uniform(), n_steps=3)[0], n_steps=2)
    (key,) = updates
    start = key.value
    outer = [jax.random.fold_in(start, t) for t in range(2)]
    expected = [[jax.random.uniform(jax.random.fold_in(one, s), (), "float32") for s in range(3)] for one in outer]
    np.testing.assert_array_equal(loopjax.function([], table, updates=updates)(), expected)
    after = jax.random.key_data(jax.random.fold_in(start, LAST_STEP))
    np.testing.assert_array_equal(jax.random.key_data(key.value), after)


def test_nested_explicit_updates_count_only_where_fn_returns_them():
    a = loopjax.shared(0)

    def silent():
        _, _ = loopjax.scan(lambda: {a: a + 1}, n_steps=3)
        return a * 1

    def passing():
        _, inner = loopjax.scan(lambda: {a: a + 1}, n_steps=3)
        return a * 1, inner

    out, updates = loopjax.scan(silent, n_steps=2)
    assert not updates
    np.testing.assert_array_equal(out.eval(), [0, 0])
    out, updates = loopjax.scan(passing, n_steps=2)
    np.testing.assert_array_equal(out.eval(), [0, 3])
    assert int(updates[a].eval()) == 6


def test_a_draw_made_outside_is_a_constant_in_the_loop():
    source = stream()
    outside = source.normal()
    out, updates = loopjax.scan(lambda: outside * 1, n_steps=3)
    assert not updates
    f = loopjax.function([], out)
    first, second = f(), f()
    assert len(np.unique(first)) == 1
    assert first[0] != second[0]


def test_a_default_update_acts_once_a_call():
    count = loopjax.shared(0)
    count.default_update = count + 1
    out, _ = loopjax.scan(lambda: count * 1, n_steps=3)
    f = loopjax.function([], out)
    np.testing.assert_array_equal(f(), [0, 0, 0])
    np.testing.assert_array_equal(f(), [1, 1, 1])


def test_draws_with_until_and_updates():
    source, total = stream(), loopjax.shared(np.float32(0))

    def fn():
        value = source.uniform()
        return value, {total: total + value}, loopjax.until(value > 0.9)

    out, updates = loopjax.scan(fn, n_steps=500)
    f = loopjax.function([], out, updates=updates)
    seen, expected = [], np.float32(0)
    for _ in range(10):
        row = np.asarray(f())
        assert (row[:-1] <= 0.9).all()
        assert row[-1] > 0.9
        for value in row:
            expected = np.float32(expected + value)
        seen.append(row)
    np.testing.assert_allclose(total.get_value(), expected, rtol=1e-5)
    drawn = np.concatenate(seen)
    assert len(np.unique(drawn)) == len(drawn)


def test_gradients_flow_through_draws_and_recompute_the_same():
    source = stream()
    mu, sigma = at.dscalar("mu"), at.dscalar("sigma")

    def fn(h, mu, sigma):
        return h * 0.5 + mu + sigma * source.normal(dtype="float64")

    def gradients(checkpoint):
        start = at.constant(0.0, dtype="float64")
        out, _ = loopjax.scan(fn, outputs_info=start, non_sequences=[mu, sigma], n_steps=12, checkpoint=checkpoint)
        f = loopjax.function([mu, sigma], [out[-1], *loopjax.grad(out[-1], [mu, sigma])])
        return [float(value) for value in f(0.3, 0.7)]

    value, by_mu, by_sigma = gradients(None)
    weights = 0.5 ** np.arange(12)[::-1]
    np.testing.assert_allclose(by_mu, weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(by_sigma, (value - 0.3 * weights.sum()) / 0.7, rtol=1e-9)
    source = stream()
    np.testing.assert_allclose(gradients(5), [value, by_mu, by_sigma], rtol=1e-12)


def test_a_failing_fn_leaves_no_trace():
    source = stream()

    def fn():
        source.normal()
        raise RuntimeError("in fn")

    with pytest.raises(RuntimeError, match="in fn"):
        loopjax.scan(fn, n_steps=3)
    draw = source.normal()
    f = loopjax.function([], draw)
    assert float(f()) != float(f())


def test_an_inner_loop_whose_updates_fn_returns_still_draws_afresh():
    source = stream()

    def middle(j):
        return loopjax.scan(lambda k: source.uniform(), sequences=at.arange(2))

    def outer(i):
        return loopjax.scan(middle, sequences=at.arange(2))[0]

    table, updates = loopjax.scan(outer, sequences=at.arange(3))
    assert len(updates) == 1
    f = loopjax.function([], table, updates=updates)
    assert len(np.unique(np.concatenate([np.ravel(f()) for _ in range(2)]))) == 24
