"""Random keys as values: into and out of ``wrap_jax``, as inputs, constants, sequences, and in exported programs."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream

ONES = at.ones(2, dtype="float32")


def normal(key, x):
    return jax.random.normal(key, x.shape, x.dtype) * x


sampler = loopjax.wrap_jax(normal)
split = loopjax.wrap_jax(jax.random.split)


def test_an_input():
    key = at.TensorType("key")("key")
    f = loopjax.function([key], sampler(key, ONES))
    for seed in (0, 1, 0):
        given = jax.random.key(seed)
        np.testing.assert_array_equal(f(given), normal(given, np.ones(2, "float32")))
    with pytest.raises(TypeError, match=r"input 'key'.*expected key\(\), got 3; pass jax.random.key\(seed\)"):
        f(3)
    with pytest.raises(TypeError, match=r"expected key\(\), got Array\(\(2,\), dtype=key<fry>\)"):
        f(jax.random.split(jax.random.key(0)))
    batch = jax.random.split(jax.random.key(0), 3)
    rows = jax.vmap(loopjax.to_jax([key], sampler(key, ONES)))(batch)
    np.testing.assert_allclose(rows, [f(one) for one in batch], rtol=1e-6)


def test_a_constant():
    given = jax.random.key(4)
    np.testing.assert_array_equal(sampler(given, ONES).eval(), normal(given, np.ones(2, "float32")))


def test_keys_that_a_function_returns_are_a_sequence_of_a_loop():
    key = at.TensorType("key")("key")
    draws, _ = loopjax.scan(lambda one: sampler(one, ONES), split(key, 5))
    given = jax.random.key(7)
    expected = [normal(one, np.ones(2, "float32")) for one in jax.random.split(given, 5)]
    np.testing.assert_allclose(loopjax.function([key], draws)(given), expected, rtol=1e-6)


@pytest.mark.parametrize("stops", [False, True])
def test_keys_are_a_state_with_past_values(stops):
    """Two keys start the history of the loop, whose stack is a result; a loop that stops writes it row by row."""
    keys, following = at.TensorType("key", (2,))("keys"), loopjax.wrap_jax(lambda key: jax.random.fold_in(key, 1))

    def step(far, near):
        drawn = sampler(near, ONES)
        return ([following(far), drawn], loopjax.until(drawn[0] > 100)) if stops else [following(far), drawn]

    (states, draws), _ = loopjax.scan(step, outputs_info=[{"initial": keys, "taps": [-2, -1]}, None], n_steps=5)
    given = jax.random.split(jax.random.key(3), 2)
    rows = list(given)
    expected = []
    for _ in range(5):
        expected.append(normal(rows[-1], np.ones(2, "float32")))
        rows.append(jax.random.fold_in(rows[-2], 1))
    found = loopjax.function([keys], [states, states[-1], states[1:4], draws])(given)
    for mine, theirs in zip(found, (rows[2:], rows[-1], rows[3:6]), strict=False):
        stack = theirs if isinstance(theirs, list) else [theirs]
        np.testing.assert_array_equal(
            jax.random.key_data(mine).reshape(-1, 2), [jax.random.key_data(one) for one in stack]
        )
    np.testing.assert_allclose(found[-1], expected, rtol=1e-6)


def test_a_stream_gives_a_key_for_each_call_and_each_step():
    stream = RandomStream(3)
    f = loopjax.function([], sampler(stream.next_key(), ONES))
    assert not np.array_equal(f(), f())
    draws, updates = loopjax.scan(lambda: sampler(stream.next_key(), ONES), n_steps=4)
    g = loopjax.function([], draws, updates=updates)
    found = np.concatenate([g(), g()])
    assert len(np.unique(found)) == found.size


def test_the_gradient_of_a_drawn_value():
    stream, x = RandomStream(3), at.dvector("x")
    cost = (sampler(stream.next_key(), x) ** 2).sum()
    f = loopjax.function([x], [cost, loopjax.grad(cost, x)])
    value, slope = f([1.0, 2.0])
    np.testing.assert_allclose((slope * [1.0, 2.0]).sum(), 2 * value, rtol=1e-12)


def test_an_exported_program_draws_as_before(tmp_path):
    stream, x = RandomStream(5), at.dvector("x")
    walk, updates = loopjax.scan(
        lambda v, place: place + v * stream.normal(dtype="float64"), x, at.zeros((), dtype="float64")
    )
    f = loopjax.function([x], walk, updates=updates)
    f.export(tmp_path / "walk.npz", [np.ones(3)])
    g = loopjax.load(tmp_path / "walk.npz")
    for _ in range(3):
        np.testing.assert_allclose(g(np.ones(3)), f(np.ones(3)), rtol=1e-12)


def test_a_stream_may_be_made_while_jax_traces():
    def drawn(x):
        f = loopjax.to_jax([], RandomStream(1).normal(size=(2,)))
        return x * f(f.init())[0]

    np.testing.assert_array_equal(jax.jit(drawn)(1.0), drawn(1.0))


def test_a_function_that_draws_is_refused_while_jax_traces():
    f = loopjax.function([], RandomStream(1).normal(size=(2,)))
    with pytest.raises(
        loopjax.errors.UnsupportedError, match=r"key 0: .* would be updated with a JAX tracer; call a fun"
    ):
        jax.jit(lambda x: x + f())(1.0)
    assert f().shape == (2,)
