"""Windows of taps that a step joins: carried as one array, or read from a stack of all steps."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.tap_windows import CarryWindows
from loopjax.rewrite.target import Target
from tests.rewrite.compared import both
from tests.rewrite.sized import float64, rewrites, scans

T, ORDER = 23, 11
RNG = np.random.default_rng(3)


def newest_first(w, past):
    return at.dot(w, at.stack(past))


def oldest_first(w, past):
    return at.dot(w, at.stack(past[::-1]))


def last_axis(w, past):
    return at.dot(at.stack(past, axis=-1), w)


def beside_others(w, past):
    """A constant and another order within the join, and taps that are read by themselves."""
    joined = at.stack([at.ones_like(past[0]), *past[1:], past[0]])
    return 0.1 * at.dot(at.concatenate([w, w[:1]]), joined) + 0.2 * past[2] - 0.1 * at.tanh(past[-1])


def twice(w, past):
    return 0.5 * at.dot(w, at.stack(past)) + 0.3 * at.dot(w[:5], at.stack(past[:5]))


def with_a_repeat(w, past):
    """A tap that is joined twice, beside itself."""
    return at.dot(w, at.stack([*past[:-1], past[-2]]))


def in_numpy(read):
    return {
        newest_first: lambda w, past: np.dot(w, np.stack(past)),
        oldest_first: lambda w, past: np.dot(w, np.stack(past[::-1])),
        last_axis: lambda w, past: np.stack(past, axis=-1) @ w,
        beside_others: lambda w, past: (
            0.1 * np.dot([*w, w[0]], np.stack([np.ones_like(past[0]), *past[1:], past[0]]))
            + 0.2 * past[2]
            - 0.1 * np.tanh(past[-1])
        ),
        with_a_repeat: lambda w, past: np.dot(w, np.stack([*past[:-1], past[-2]])),
        twice: lambda w, past: 0.5 * np.dot(w, np.stack(past)) + 0.3 * np.dot(w[:5], np.stack(past[:5])),
    }[read]


def autoregression(read, ndim=0, taps=range(-1, -ORDER - 1, -1), **options):
    e, start = (at.tensor("float64", shape=(None,) * (ndim + 1), name=name) for name in ("e", "start"))
    w = at.dvector("w")
    outputs_info = {"initial": start, "taps": list(taps)}
    x, _ = loopjax.scan(lambda e, *past: read(w, past) + e, sequences=e, outputs_info=outputs_info, **options)
    return [e, start, w], x


def values(ndim=0, order=ORDER):
    return [RNG.normal(size=(n, *[3] * ndim)) for n in (T, order)] + [RNG.normal(size=ORDER) / ORDER]


def windows(loops):
    """True where one state is a window, which has the tap -1."""
    return [spec.taps for spec in loops[0].recurrences] == [(-1,)]


@pytest.mark.parametrize(
    ("read", "ndim"),
    [
        (newest_first, 0),
        *((read, 1) for read in (newest_first, oldest_first, last_axis, beside_others, with_a_repeat, twice)),
    ],
)
def test_values_and_gradients(read, ndim):
    inputs, x = autoregression(read, ndim)
    e, start, w = arrays = values(ndim)
    past = list(start)
    for now in e:
        past.append(in_numpy(read)(w, past[: -ORDER - 1 : -1]) + now)
    (found,), loops = both(inputs, [x], arrays, without=["tap_windows"])
    np.testing.assert_allclose(found, past[ORDER:], rtol=1e-11)
    assert windows(loops)
    assert loops[0].plan.storage[0].kind == "shifted"
    _, loops = both(inputs, loopjax.grad((x**2).sum(), inputs), arrays, rtol=1e-9, without=["tap_windows"])
    assert windows(loops)


def weighted(w, past):
    return sum(w[k] * one for k, one in enumerate(past))


def of_numbers(w, past):
    """Numbers, differences, a tap twice, one without a factor, and what is no tap."""
    return past[0] / 9 - sum(0.1 / (k + 1) * one for k, one in enumerate(past[1:])) + past[2] * w[0] - at.tanh(past[3])


@pytest.mark.parametrize("ndim", [0, 1, 2])
@pytest.mark.parametrize("read", [weighted, of_numbers])
def test_a_sum_of_weighted_taps_is_a_product_under_a_gradient(read, ndim):
    inputs, x = autoregression(read, ndim)
    _, loops = both(inputs, loopjax.grad((x**2).sum(), inputs), values(ndim), rtol=1e-9, without=["tap_windows"])
    assert windows(loops)
    assert [node.op.name for node in loops[0].body.applies].count("matmul") == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda w, past: sum(w[k] * past[0] * one for k, one in enumerate(past)),
        lambda w, past: sum(w[k] * one for k, one in enumerate(past[:4])) + at.tanh(sum(past[4:8])),
        lambda w, past: at.exp(sum(at.log(w[k] * one) for k, one in enumerate(past))),
    ],
    ids=["weights of each step", "few", "no sum of products"],
)
def test_other_sums_stay(read):
    inputs, x = autoregression(read)
    known, (x,) = sized(inputs, x)
    assert not rewrites(CarryWindows(), known, loopjax.grad(x.sum(), known))


@pytest.mark.parametrize("rows", [np.s_[-1:], np.s_[-2:], np.s_[3:9], np.s_[::4], np.s_[-ORDER - 1 :]])
def test_some_steps_are_read(rows):
    inputs, x = autoregression(newest_first)
    _, loops = both(inputs, [x[rows]], values(), without=["tap_windows"])
    assert windows(loops)


@pytest.mark.parametrize(
    "taps", [[*range(-1, -7, -1), *range(-8, -13, -1)], [*range(-1, -23, -2)], [*range(-11, -1), -15]]
)
def test_gaps_backwards_and_a_long_initial_value(taps):
    inputs, x = autoregression(newest_first, taps=taps, go_backwards=True)
    outputs = [x, *loopjax.grad((x**2).sum(), inputs)]
    _, loops = both(inputs, outputs, values(order=22), rtol=1e-9, without=["tap_windows"])
    assert windows(loops)


def test_vectors_end_to_end():
    e, start, w = at.dmatrix("e"), at.dmatrix("start"), at.dmatrix("w")
    taps = {"initial": start, "taps": [-5, -4, -3, -2, -1]}
    x, _ = loopjax.scan(lambda e, *past: at.tanh(w @ at.concatenate(past)) + e, sequences=e, outputs_info=taps)
    arrays = [RNG.normal(size=(T, 2)), RNG.normal(size=(5, 2)), RNG.normal(size=(2, 10)) / 3]
    _, loops = both([e, start, w], loopjax.grad(x.sum(), [e, start, w]), arrays, rtol=1e-9, without=["tap_windows"])
    assert windows(loops)


def test_until_and_two_states():
    e, start, w = at.dvector("e"), at.dvector("start"), at.dvector("w")

    def step(e, *past):
        one, two = past[:ORDER], past[ORDER:]
        x, y = at.dot(w, at.stack(one)) + e, 0.5 * at.dot(w, at.stack([*one[:3], *two[3:]])) - at.stack(two).sum() / 9
        return [x, y], loopjax.until(x > 2.5)

    taps = {"initial": start, "taps": list(range(-1, -ORDER - 1, -1))}
    (x, y), _ = loopjax.scan(step, sequences=e, outputs_info=[taps, taps])
    cost = x.sum() + y[-1]
    both([e, start, w], [x, y], values(), rtol=1e-9, without=["tap_windows"])
    both([e, start, w], loopjax.grad(cost, [e, start, w]), values(), rtol=1e-9, without=["tap_windows"])


def sized(inputs, x):
    """The program for inputs of known sizes."""
    known = [float64(v.name, *n) for v, n in zip(inputs, [(T,), (ORDER,), (ORDER,)], strict=True)]
    return known, [loopjax.clone_replace(x, dict(zip(inputs, known, strict=True)))]


@pytest.mark.parametrize(
    ("read", "taps"),
    [
        (lambda w, past: sum(w[k] * one for k, one in enumerate(past)), range(-1, -ORDER - 1, -1)),
        (newest_first, range(-1, -10, -1)),
        (newest_first, [*range(-1, -11, -1), -23]),
        (lambda w, past: at.dot(w, at.stack([past[k % 11] for k in range(0, 55, 5)])), range(-1, -ORDER - 1, -1)),
    ],
)
def test_few_taps_far_taps_and_taps_that_are_not_joined_in_order_stay(read, taps):
    inputs, x = autoregression(read, taps=taps)
    known = [float64(v.name, n) for v, n in zip(inputs, [T, 23, len(taps)], strict=True)]
    outputs = [loopjax.clone_replace(x, dict(zip(inputs, known, strict=True)))]
    assert not rewrites(CarryWindows(), known, outputs)


def test_on_a_gpu_taps_stay():
    inputs, x = autoregression(newest_first)
    assert rewrites(CarryWindows(), *sized(inputs, x))
    assert not rewrites(CarryWindows(Target("gpu")), *sized(inputs, x))


def test_a_stack_too_large_for_the_cache_is_not_made_twice():
    inputs, x = autoregression(newest_first, ndim=1)
    f = loopjax.function(inputs, x)
    f(np.zeros((1000, 1100)), np.zeros((ORDER, 1100)), np.zeros(ORDER))
    (loop,) = scans(f.stages[-1].programs[-1].graph)
    assert loop.plan.storage[0].kind == "window"


def moving_sum(taps, ndim=0, newest_first=False, **options):
    """A smoothed filter on taps of a sequence."""
    x, w = at.tensor("float64", (None,) * (ndim + 1), name="x"), at.dvector("w")

    def step(*values):
        *past, state, w = values
        joined = at.stack(past[::-1] if newest_first else past)
        return 0.5 * state + at.tensordot(w[: len(past)], joined, axes=[[0], [0]]) + 0.1 * past[3]

    start = at.zeros_like(x[0])
    y, _ = loopjax.scan(step, {"input": x, "taps": list(taps)}, outputs_info=start, non_sequences=w, **options)
    return [x, w], y


@pytest.mark.parametrize(
    ("taps", "options"),
    [
        (range(-12, 1), {}),
        (range(-12, 1), {"ndim": 2, "newest_first": True}),
        ([*range(-12, -2), 0, 1], {"ndim": 1}),
        ([*range(-12, -2), 0, 1], {"go_backwards": True}),
    ],
)
def test_taps_of_a_sequence(taps, options):
    inputs, y = moving_sum(taps, **options)
    values = [RNG.normal(size=(40, 3, 2)[: options.get("ndim", 0) + 1]), 0.1 * RNG.normal(size=13)]
    for outputs in ([y], loopjax.grad((y**2).sum(), inputs)):
        found = loopjax.function(inputs, outputs)(*values)
        wanted = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("tap_windows"))(*values)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_a_sequence_is_sliced_without_a_derivative_only():
    x, w = at.tensor("float64", (40,), name="x"), at.tensor("float64", (13,), name="w")

    def outputs(**options):
        (old_x, old_w), y = moving_sum(range(-12, 1), **options)
        return loopjax.clone_replace(y, {old_x: x, old_w: w})

    y = outputs()
    assert rewrites(CarryWindows(), [x, w], [y])
    assert not rewrites(CarryWindows(), [x, w], [loopjax.grad(y.sum(), w)])
    assert not rewrites(CarryWindows(Target("gpu")), [x, w], [y])
    assert not rewrites(CarryWindows(), [x, w], [outputs(go_backwards=True)])


def test_a_sum_of_taps_with_a_term_of_more_axes():
    x0, w, m = at.dmatrix("x0"), at.dvector("w"), at.dtensor3("m")

    def step(m_t, *past):
        weights = past[-1]
        return at.tanh((sum(weights[k] * one for k, one in enumerate(past[:-1])) + m_t).mean(axis=0))

    taps = {"initial": x0, "taps": list(range(-8, 0))}
    x, _ = loopjax.scan(step, sequences=m, outputs_info=taps, non_sequences=w)
    inputs, arrays = [x0, w, m], [RNG.normal(size=shape) for shape in ((8, 3), (8,), (6, 4, 3))]
    slopes = loopjax.grad(x.sum(), inputs)
    joined = loopjax.function(inputs, slopes)(*arrays)
    apart = loopjax.function(inputs, slopes, mode=loopjax.Mode().excluding("tap_windows"))(*arrays)
    for one, other in zip(joined, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
