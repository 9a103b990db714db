"""``stepper``: all steps together are the loop."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import MissingInputError, UnsupportedError
from loopjax.random import RandomStream

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 2)).astype("float32")
SCALE = np.float32(0.5)


def steps_of(stepper, rows, *parameters, before=None):
    """The outputs of a step for each of ``rows``, stacked: by ``jit`` and by ``jax.lax.scan``."""
    init, step = stepper
    state, jitted, found = init(*parameters, rows=before), jax.jit(step), []
    for row in rows:
        state, outputs = jitted(state, row)
        found.append(outputs)
    scanned = jax.lax.scan(step, init(*parameters, rows=before), rows)[1]
    stacked = jax.tree.map(lambda *values: np.stack(values), *found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), scanned, stacked)
    return stacked, state


def test_taps_of_states_and_sequences():
    x, scale = at.fmatrix("x"), at.fscalar("scale")
    weights = loopjax.shared(np.array([[0.5, -0.2], [0.1, 0.3]], "float32"), name="weights")
    (states, sums), _ = loopjax.scan(
        lambda now, before, h, old, w, scale: [at.tanh(now - before + h @ w + old) * scale, (h * now).sum()],
        sequences=[{"input": x, "taps": [0, -2]}],
        outputs_info=[{"initial": at.ones((3, 2), dtype="float32"), "taps": [-1, -3]}, None],
        non_sequences=[weights, scale],
    )
    expected = loopjax.function([x, scale], {"states": states, "sums": sums})(X, SCALE)
    made = loopjax.stepper(x, {"states": states, "sums": sums}, [scale])
    found, state = steps_of(made, X[2:], SCALE, before=X[:2])
    assert int(state.step) == 7
    for name, rows in expected.items():
        np.testing.assert_allclose(found[name], rows, rtol=1e-5, atol=1e-6)


def test_random_draws_are_those_of_the_loop():
    stream = RandomStream(7)
    v = at.fvector("v")
    walk, _ = loopjax.scan(
        lambda v_t, place: place + v_t * stream.normal(dtype="float32") + stream.uniform(dtype="float32"),
        v,
        at.zeros((), dtype="float32"),
    )
    expected = loopjax.function([v], walk, no_default_updates=True)(X[:, 0])
    found, _ = steps_of(loopjax.stepper(v, walk), X[:, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("wide", [False, True])
def test_dtypes(wide):
    x = at.dmatrix("x")
    total, _ = loopjax.scan(lambda row, total: total + row / 3, x, at.zeros(2, dtype="float64"))
    with jax.enable_x64(wide):
        found, _ = steps_of(loopjax.stepper(x, total), X.astype("float64"))
    assert found.dtype == ("float64" if wide else "float32")
    # Rows cancel: what is rounded are the terms, of size 1.
    np.testing.assert_allclose(found, np.cumsum(X.astype("float64") / 3, 0), rtol=0, atol=1e-15 if wide else 1e-6)


def test_initial_values_whose_shapes_depend_on_rows():
    x = at.fmatrix("x")
    total, _ = loopjax.scan(lambda row, total: 0.5 * total + row, x, at.zeros(x.shape[1], dtype="float32"))
    made = loopjax.stepper(x, total)
    found, _ = steps_of(made, X, before=X[:0])
    np.testing.assert_allclose(found, loopjax.function([x], total)(X), rtol=1e-6)
    with pytest.raises(TypeError, match=r"scan.init got rows of 0 sequences; expected rows=.*\['x'\].*shapes of init"):
        made.init()


def test_until_says_that_the_loop_has_stopped():
    v = at.fvector("v")
    total, _ = loopjax.scan(lambda v_t, s: (s + v_t, loopjax.until(s + v_t > 2)), v, at.zeros((), dtype="float32"))
    init, step = loopjax.stepper(v, total)
    state, stopped = init(), []
    for value in np.ones(4, "float32"):
        state, _ = step(state, value)
        stopped.append(bool(state.stopped))
    assert stopped == [False, False, True, True]


def test_a_loop_without_sequences():
    start = at.fscalar("start")
    powers, _ = loopjax.scan(lambda p: p * 2, outputs_info=start, n_steps=5)
    init, step = loopjax.stepper([], powers, [start])
    state, first = step(init(1.5))
    _, second = step(state)
    assert (float(first), float(second)) == (3.0, 6.0)


def test_many_streams_and_gradients():
    x, scale = at.fmatrix("x"), at.fscalar("scale")
    states, _ = loopjax.scan(lambda row, h, s: at.tanh(row * s + h), x, at.zeros(2, dtype="float32"), [scale])
    init, step = loopjax.stepper(x, states, [scale])

    def cost(scale, x):
        return jax.lax.scan(step, init(scale), x)[1].sum()

    expected = loopjax.function([x, scale], loopjax.grad(states.sum(), scale))
    batch = np.stack([X, 2 * X])
    found = jax.vmap(jax.grad(cost), (None, 0))(SCALE, batch)
    np.testing.assert_allclose(found, [expected(X, SCALE), expected(2 * X, SCALE)], rtol=1e-4)


def test_loops_that_cannot_be_stepped():
    x, y = at.fvector("x"), at.fvector("y")
    total, _ = loopjax.scan(lambda a, s: a + s, x, at.zeros((), dtype="float32"))
    with pytest.raises(UnsupportedError, match=r"outputs are .*expected results of one scan.*test_stepper"):
        loopjax.stepper(x, total * 2)
    with pytest.raises(UnsupportedError, match=r"sequences are \[<y: .*those of scan 'scan'.* are \[<x: "):
        loopjax.stepper(y, total)
    ahead, _ = loopjax.scan(lambda a: a, {"input": x, "taps": [1]})
    with pytest.raises(UnsupportedError, match=r"reads sequence 'x' at taps \[1\].*shift all taps by -1"):
        loopjax.stepper(x, ahead)
    back, _ = loopjax.scan(lambda a: a, x, go_backwards=True)
    with pytest.raises(UnsupportedError, match="runs backwards"):
        loopjax.stepper(x, back)
    first, _ = loopjax.scan(lambda a, s: a + s, x, x.mean())
    with pytest.raises(UnsupportedError, match=r"depends on <x: .*make it a parameter"):
        loopjax.stepper(x, first)
    scaled, _ = loopjax.scan(lambda a, s: a * s, x, None, [y.sum()])
    with pytest.raises(MissingInputError, match=r"needs <y: "):
        loopjax.stepper(x, scaled)
    init, _ = loopjax.stepper(x, loopjax.scan(lambda a, b: a - b, {"input": x, "taps": [0, -2]})[0])
    with pytest.raises(ValueError, match=r"rows of 'x' have shape \(1,\); expected at least 2 rows"):
        init(rows=X[:1, 0])
