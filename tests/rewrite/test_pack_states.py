"""Loops with many scalar states."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.pack_states import PackStates
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, rewrites, scans, sized_graph

APART = Target(without=frozenset(["small_loops"]))
RNG = np.random.default_rng(6)
X = at.tensor("float64", shape=(9,), name="x")
START = at.tensor("float64", shape=(8,), name="start")


def chain(states=8, dtype="float64", **options):
    """States that are each computed in another way, from their neighbours."""

    def step(x_t, *states):
        new = [at.tanh(states[1]) * 0.5 + x_t]
        for row, state in enumerate(states[1:], 1):
            new.append(0.8 * state + 0.1 * states[row - 1] if row % 2 else at.sin(state) * new[-1])
        return new

    starts = [at.cast(START[row], dtype) for row in range(states)]
    options = {"sequences": at.cast(X, dtype), **options}
    return loopjax.scan(step, outputs_info=starts, **options)[0]


def until_large(x_t, *states):
    new = [state * 1.2 + x_t * row for row, state in enumerate(states)]
    return new, loopjax.until(new[-1] > 3)


READS = {
    "last": lambda found: [one[-1] for one in found],
    "all": lambda found: list(found),
    "some of each": lambda found: [found[0][-1], found[3], found[5][-3:], found[7].sum(), found[6][::2]],
    "one": lambda found: [found[4][-1]],
}


@pytest.mark.parametrize(
    ("read", "options"),
    [
        *((read, {}) for read in READS),
        ("all", {"go_backwards": True}),
        ("some of each", {"truncate_gradient": 4}),
        ("some of each", {"checkpoint": 3}),
    ],
)
def test_values_and_gradients(read, options):
    outputs = READS[read](chain(**options))
    cost = sum((position + 1) * (one**2).sum() for position, one in enumerate(outputs))
    outputs += loopjax.grad(cost, [X, START])
    values = [0.3 * RNG.normal(size=9), 0.3 * RNG.normal(size=8)]
    found = loopjax.function([X, START], outputs)(*values)
    wanted = loopjax.function([X, START], outputs, mode=loopjax.Mode().excluding("pack_states"))(*values)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("least", [5.0, 0.1])
def test_a_loop_that_stops(least):
    x = at.dvector()
    starts = [at.constant(0.1 * row, dtype="float64") for row in range(8)]
    found, _ = loopjax.scan(until_large, x, outputs_info=starts)
    outputs = [found[0][-1], found[7][-1], found[3]]
    values = np.full(20, least)
    packed = loopjax.function([x], outputs)(values)
    apart = loopjax.function([x], outputs, mode=loopjax.Mode().excluding("pack_states"))(values)
    for one, other in zip(packed, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("lengths", ["exact", "padded"])
def test_a_number_of_steps_that_is_a_value(lengths):
    n = at.iscalar()
    found, _ = loopjax.scan(lambda *s: chain_once(s), outputs_info=[START[row] for row in range(8)], n_steps=n)
    outputs = [one[-1] for one in found]
    packed = loopjax.function([START, n], outputs, lengths=lengths)
    apart = loopjax.function([START, n], outputs, mode=loopjax.Mode().excluding("pack_states"))
    value = 0.2 * RNG.normal(size=8)
    for steps in (1, 2, 7):
        np.testing.assert_allclose(packed(value, steps), apart(value, steps), rtol=1e-12)


def chain_once(states):
    return [0.9 * state + 0.1 * at.sin(states[row - 1]) for row, state in enumerate(states[:4])] + [
        at.tanh(state + states[row]) for row, state in enumerate(states[4:])
    ]


def test_one_vector_is_carried():
    (loop,) = scans(sized_graph([X, START], [chain()[0][-1]]))
    assert len(loop.recurrences) == 8
    assert rewrites(PackStates(APART), [X, START], [chain()[0][-1]])


def weighted(weights):
    """Past values with a scalar weight each; one weight is computed from another."""

    def step(x_t, *past):
        new = x_t + weights[0] * past[0] + (1 - weights[0]) * past[1]
        return at.tanh(new + sum(w * old for w, old in zip(weights[1:], past[2:], strict=True)))

    taps = list(range(-1, -len(weights) - 2, -1))
    return loopjax.scan(step, X, {"initial": START[: len(taps)], "taps": taps})[0]


@pytest.mark.parametrize("count", [3, 5])
def test_scalars_that_are_the_same_at_every_step(count):
    weights = [at.dscalar(f"w{position}") for position in range(count)]
    cost = (weighted(weights) ** 2).sum()
    inputs, outputs = [X, START, *weights], [cost, *loopjax.grad(cost, [X, START, *weights])]
    values = [0.3 * RNG.normal(size=9), 0.3 * RNG.normal(size=8), *RNG.uniform(0.1, 0.4, count)]
    packed = loopjax.function(inputs, outputs)
    apart = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("pack_states"))
    for one, other in zip(packed(*values), apart(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    assert not rewrites(PackStates(APART), inputs, [cost])
    (loop,) = scans(after([PackStates(APART)], inputs, outputs))
    (vector,) = loop.body_inputs(loop.body.inputs).non_sequences
    # One minus the first weight is computed by each step.
    assert vector.type.sizes == (count,)


def test_few_states_and_others_stay():
    assert not rewrites(PackStates(APART), [X, START], [chain(7)[0][-1]])
    assert not rewrites(PackStates(APART), [X, START], [loopjax.grad(chain(5)[0][-1], START)])
    assert rewrites(PackStates(APART), [X, START], [loopjax.grad(chain(7)[0][-1], START)])
    assert not rewrites(PackStates(Target("gpu")), [X, START], [chain()[0][-1]])
