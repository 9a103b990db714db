"""Each step combinator against a plain Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from loopjax.lower.loops import combinators as c

X = jnp.arange(1, 8, dtype="int32")


def step(carry, x):
    """A running sum of ``2 * carry + x``, stacked."""
    after = 2 * carry + x
    return after, (after,)


def python_loop(inputs, carry=0):
    rows = []
    for x in np.asarray(inputs):
        carry = 2 * carry + int(x)
        rows.append(carry)
    return carry, rows


LOOPS = {
    "looped": c.looped(step),
    "unroll": c.looped(step, unroll=3),
    "unrolled": c.unrolled(*[step] * 7),
    "in turn": c.in_turn((c.looped(step), 4), (c.unrolled(step, step, step), 3)),
    "chunks that divide": c.chunked(c.looped(step), 7),
    "chunks with a rest": c.chunked(c.looped(step), 3),
    "a chunk longer than the loop": c.chunked(c.looped(step), 20),
    "chunks of chunks": c.chunked(c.chunked(c.looped(step), 2), 3),
    "followed by": c.followed_by(c.looped(step), step),
    "rematerialised": c.looped(c.rematerialised(step)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_of_seven_steps(name):
    carry, (rows,) = jax.jit(LOOPS[name])(jnp.int32(0), X)
    expected, stacked = python_loop(X)
    assert int(carry) == expected
    np.testing.assert_array_equal(rows, stacked)


def test_followed_by_stacks_only_the_last_row_of_a_run_without_rows():
    silent = c.looped(lambda carry, x: (step(carry, x)[0], ()))
    carry, (rows,) = c.followed_by(silent, step)(jnp.int32(0), X)
    expected, _ = python_loop(X)
    assert int(carry) == expected
    np.testing.assert_array_equal(rows, [expected])


@pytest.mark.parametrize("limit", [0, 5, 1000])
def test_steps_past_the_end_change_nothing(limit):
    """Predicated and skipped steps: until the carry reaches the limit."""

    def active(carry):
        return carry < limit

    carry = 0
    for x in np.asarray(X):
        carry = 2 * carry + int(x) if carry < limit else carry
    masked, _ = c.looped(c.predicated(step, active))(jnp.int32(0), X)
    skipped, _ = c.looped(c.skipping(lambda carry, x: (step(carry, x)[0], ()), active))(jnp.int32(0), X)
    assert int(masked) == int(skipped) == carry


def test_a_report_after_each_run():
    class Bar:
        told = ()

        def report(self, steps, is_first, result):
            jax.debug.callback(lambda first, carry: self.tell(steps, bool(first), int(carry)), is_first, result[0])

        def tell(self, *report):
            self.told = (*self.told, report)

    class Slices:
        def __init__(self, t):
            self.t = t

    jax.tree_util.register_pytree_node(Slices, lambda one: ((one.t,), None), lambda _, leaves: Slices(*leaves))
    bar = Bar()
    run = c.reporting(c.looped(lambda carry, slices: step(carry, slices.t + 1)), bar)
    carry, _ = c.chunked(run, 3)(jnp.int32(0), Slices(X - 1))
    jax.effects_barrier()
    wanted = [(3, True, python_loop(X[:3])[0]), (3, False, python_loop(X[:6])[0]), (1, False, int(carry))]
    assert sorted(bar.told) == sorted(wanted)
    assert c.reporting(step, None) is step
