"""States that are computed alike as one."""

from dataclasses import replace

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.scan import Scan
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.vectorize_states import VectorizeStates
from tests.configured import configured
from tests.differences import differences
from tests.rewrite.sized import after, lines, rewrites, scans, text

PACK = VectorizeStates(least_bytes=0)
RNG = np.random.default_rng(2)


def system(count, size=None, steps=5):
    """Starts, weights and sequences of so many states."""
    shape = () if size is None else (size,)
    inputs = [at.tensor("float64", shape=shape, name=f"h{i}") for i in range(count)]
    inputs += [at.tensor("float64", shape=shape, name=f"w{i}") for i in range(count)]
    inputs += [at.tensor("float64", shape=(steps, *shape), name=f"x{i}") for i in range(count)]
    values = [RNG.normal(size=variable.type.sizes) for variable in inputs]
    return inputs, inputs[:count], inputs[count : 2 * count], inputs[2 * count :], values


def both(inputs, outputs, values):
    results = []
    for mode in (None, loopjax.Mode().excluding("vectorize_states")):
        f = loopjax.function(inputs, outputs, mode=mode, on_unused_input="ignore")
        results.append(f(*values))
        graph = f.stages[-1].programs[-1].graph
        if mode is None:
            packed = graph
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    return results[0], scans(packed)


@pytest.fixture(autouse=True)
def small_ones_too():
    with configured(PACK):
        yield


def test_before_and_after():
    inputs, hs, ws, xs, _ = system(4)

    def step(*args):
        x, h, w = args[:4], args[4:8], args[8:]
        return [at.tanh(h[i] * w[i] + 2.0 * h[(i + 1) % 4] + x[i]) for i in range(4)]

    outs, _ = loopjax.scan(step, sequences=xs, outputs_info=hs, non_sequences=ws)
    graph = after([PACK, EliminateDeadCode()], inputs, [outs[2][-1]])
    assert text(graph)[text(graph).index("%15 = ") :] == lines("""
        %15 = scan 'step'[steps=5, sequence[0], recurrence[-1] keeps last 1](%4, %9, %14) : float64(1, 4)
            input 15.x0[t] : float64(4,)
            input 15.h0 : float64(4,)
            input 15.w0 : float64(4,)
            %15.0 = mul(15.h0, 15.w0) : float64(4,)
            %15.1 = index[1:4](15.h0) : float64(3,)
            %15.2 = index[0:1](15.h0) : float64(1,)
            %15.3 = join[axis=0](%15.1, %15.2) : float64(4,)
            %15.4 = mul(float64[2., 2., 2., 2.], %15.3) : float64(4,)
            %15.5 = add(%15.0, %15.4) : float64(4,)
            %15.6 = add(%15.5, 15.x0[t]) : float64(4,)
            %15.7 = tanh(%15.6) : float64(4,)
            return %15.7
        %16 = index[-1, :](%15) : float64(4,)
        %17 = index[2](%16) : float64()
        return %17""")
    assert any("4 states that are computed alike are one" in note for note in scans(graph)[0].notes)


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("backwards", [False, True])
def test_against_a_plain_loop_with_gradients(size, backwards):
    count = 5
    inputs, hs, ws, xs, values = system(count, size)

    def step(*args):
        x, h, w = args[:count], args[count : 2 * count], args[2 * count :]
        shared = sum(h)
        return [at.tanh(h[i] * w[i] + (i + 2.0) * h[i - 1] + x[i] * shared) for i in range(count)] + [shared * h[1]]

    outs, _ = loopjax.scan(step, sequences=xs, outputs_info=[*hs, None], non_sequences=ws, go_backwards=backwards)
    cost = sum((place + 1) * (out**2).sum() for place, out in enumerate(outs))
    results, (loop,) = both(inputs, [*outs, cost, *loopjax.grad(cost, inputs)], values)
    assert len(loop.recurrences) == 1
    state = values[:count]
    for t in range(5):
        rows = [x[::-1][t] if backwards else x[t] for x in values[2 * count :]]
        shared = sum(state)
        read = shared * state[1]
        state = [
            np.tanh(state[i] * values[count + i] + (i + 2.0) * state[i - 1] + rows[i] * shared) for i in range(count)
        ]
        for out, expected in zip(results, [*state, read], strict=False):
            np.testing.assert_allclose(out[t], expected, rtol=1e-10)
    f = loopjax.function(inputs, cost)
    for position in (0, count + 1, 2 * count + 2):
        np.testing.assert_allclose(
            results[count + 2 + position], differences(f, values, position), rtol=1e-4, atol=1e-6
        )


def test_vectors_and_scalars_in_one_expression():
    inputs, hs, ws, xs, values = system(4, 3)
    scalars = [at.tensor("float64", name=f"s{i}") for i in range(4)]

    def step(*args):
        h, s = args[:4], args[4:]
        return [at.sin(h[i]) * s[i] + 1.0 for i in range(4)]

    outs, _ = loopjax.scan(step, outputs_info=hs, non_sequences=scalars, n_steps=3)
    numbers = [np.float64(0.5 + i) for i in range(4)]
    _, (loop,) = both(
        [*hs, *scalars], [*outs, *loopjax.grad(sum(o.sum() for o in outs), scalars)], [*values[:4], *numbers]
    )
    assert len(loop.recurrences) == 1
    assert len(inputs) == len(ws) + len(xs) + 4


def test_last_rows_until_and_lengths_that_are_values():
    n = at.lscalar("n")
    _, hs, _, _, values = system(4)
    outs, _ = loopjax.scan(
        lambda *h: ([one * 1.5 + 1 for one in h], loopjax.until(h[0] > 20)), outputs_info=hs, n_steps=30
    )
    counted, _ = loopjax.scan(lambda *h: [at.cos(one) + 1 for one in h], outputs_info=hs, n_steps=n)
    outputs = [outs[0], outs[2][-1], outs[1][-3], outs[3][-1], *(one[-1] for one in counted)]
    results, loops = both([*hs, n], outputs, [*values[:4], 3])
    assert all(len(one.recurrences) == 1 for one in loops)
    state = np.array(values[:4])
    rows = []
    while not rows or rows[-2:][0][0] <= 20:
        state = state * 1.5 + 1
        rows.append(state)
    np.testing.assert_allclose(results[0], np.array(rows)[:, 0], rtol=1e-12)
    np.testing.assert_allclose(results[1], rows[-1][2], rtol=1e-12)


@pytest.mark.parametrize(
    "step",
    [
        lambda i, h: [at.sin, at.cos, at.tanh, at.exp][i](h[i]),
        lambda i, h: h[i] * 2 if i else h[i] + h[3],
        lambda i, h: at.sin(h[i]) + (1.0 if i < 3 else h[i]),
    ],
    ids=["other ops", "another one", "another one of four"],
)
def test_states_that_are_not_alike_stay_as_they_are(step):
    _, hs, _, _, values = system(4)
    outs, _ = loopjax.scan(lambda *h: [step(i, h) for i in range(4)], outputs_info=hs, n_steps=3)
    _, (loop,) = both(hs, list(outs), values[:4])
    assert len(loop.recurrences) == 4


def test_large_states_and_few_stay_as_they_are():
    for count, size, left in ((4, 3, 4), (3, None, 3), (4, 2, 1)):
        _, hs, _, _, values = system(count, size)
        outs, _ = loopjax.scan(lambda *h: [at.sin(one) for one in h], outputs_info=hs, n_steps=3)
        with configured(replace(PACK, most_bytes=16)):
            _, (loop,) = both(hs, list(outs), values[:count])
        assert len(loop.recurrences) == left


def test_in_a_body():
    _, hs, _, _, values = system(4)

    def outer(*h):
        inner, _ = loopjax.scan(lambda *g: [at.sin(one) * 2 for one in g], outputs_info=list(h), n_steps=3)
        return [one[-1] for one in inner]

    outs, _ = loopjax.scan(outer, outputs_info=hs, n_steps=2)
    results, loops = both(hs, [*outs, *loopjax.grad(sum(o.sum() for o in outs), hs)], values[:4])
    assert [len(one.recurrences) for one in loops] == [4, 1]
    state = np.array(values[:4])
    for _ in range(6):
        state = np.sin(state) * 2
    np.testing.assert_allclose([one[-1] for one in results[:4]], state, rtol=1e-12)


@pytest.mark.parametrize(
    ("order", "joins"),
    [((0, 1, 2, 3, 4, 5), 0), ((1, 0, 2, 3, 4, 5), 1), ((0, 1, 2, 3, 4), 1)],
    ids=["all", "in another order", "some"],
)
def test_parts_of_an_array_are_put_together_as_it_is(order, joins):
    """And rows of states are read of one row of all."""
    start, count = at.tensor("float64", shape=(6,), name="start"), len(order)

    def step(*h):
        return [at.tanh(0.9 * one) for one in h]

    outs, _ = loopjax.scan(step, outputs_info=[start[i] for i in order], n_steps=5)
    outputs = [at.stack([out[-1] for out in outs[:-1]]), outs[-1][-1]]
    graph = after([PACK, EliminateDeadCode()], [start], outputs)
    (loop,) = (place for place, node in enumerate(graph.applies) if isinstance(node.op, Scan))
    before, behind = graph.applies[:loop], graph.applies[loop + 1 :]
    assert sum(node.op.name == "join" for node in before) == joins
    reads = [node.op.arguments["pattern"] for node in behind if node.op.name == "index"]
    assert len(reads) == count + 1
    values = RNG.normal(size=6)
    found = loopjax.function([start], outputs)(values)
    expected = values[list(order)]
    for _ in range(5):
        expected = np.tanh(0.9 * expected)
    np.testing.assert_allclose(found[0], expected[:-1], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[-1], rtol=1e-12)


@pytest.mark.parametrize(
    ("count", "size", "reads_rows", "packs"),
    [
        (4, 2, False, True),
        (3, 3, False, False),
        (7, 1, False, False),
        (8, 1, False, True),
        (4, 16, True, True),
        (4, 17, True, False),
        (4, 64, False, True),
        (4, 65, False, False),
    ],
)
def test_limits(count, size, reads_rows, packs) -> None:
    """States and bytes of all from which, and bytes of one up to which it pays, the latter with sequences or not."""
    inputs, hs, _, xs, _ = system(count, size)
    rows = xs if reads_rows else []
    outs, _ = loopjax.scan(
        lambda *args: [at.tanh(h) * (args[i] if reads_rows else 2.0) for i, h in enumerate(args[-count:])],
        sequences=rows,
        outputs_info=hs,
        n_steps=5,
    )
    assert rewrites(VectorizeStates(), inputs, [out[-1] for out in outs]) is packs


@pytest.mark.parametrize(("order", "packs"), [((2, 3, 0, 1), True), ((1, 0, 3, 2), False), ((0, 2, 1, 3), False)])
def test_slices_of_neighbouring_states(order, packs) -> None:
    """Up to three slices are read of the packed past."""
    inputs, hs, *_ = system(4)
    outs, _ = loopjax.scan(lambda *h: [at.tanh(h[i]) for i in order], outputs_info=hs, n_steps=3)
    assert rewrites(PACK, inputs, [out[-1] for out in outs]) is packs
