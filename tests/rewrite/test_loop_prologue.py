"""Loop distribution: what depends on sequences or keys only, before the loop."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.loop_prologue import DistributePrologue
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(6, 3), name="x")
W = at.tensor("float64", shape=(3, 2), name="W")
U = at.tensor("float64", shape=(2, 2), name="U")
START = at.constant(np.zeros(2))
GPU = Target(backend="gpu")


def network(**options):
    return loopjax.scan(lambda x, h: at.tanh(h @ U + x @ W), sequences=X, outputs_info=START, name="rnn", **options)[0]


def loops(step, h, inputs=(X, W, U)):
    """How many steps each loop has, and whether it is recurrent."""
    return [(op.n_steps, bool(op.recurrences)) for op in scans(after([step], list(inputs), [h]))]


BEFORE, WHOLE = [(6, False), (6, True)], [(6, True)]


def test_before_and_after():
    assert text(after([DistributePrologue()], [X, W, U], [network()])) == lines("""
        input x : float64(6, 3)
        input W : float64(3, 2)
        input U : float64(2, 2)
        %0 = scan 'rnn'[steps=6, sequence[0], map keeps all](x, W) : float64(6, 2)
            input 0.x[t] : float64(3,)
            input 0.W : float64(3, 2)
            %0.0 = matmul(0.x[t], 0.W) : float64(2,)
            return %0.0
        %1 = scan 'rnn'[steps=6, sequence[0], recurrence[-1] keeps all](%0, float64[0., 0.], U) : float64(6, 2)
            input 1.in0 : float64(2,)
            input 1.h : float64(2,)
            input 1.U : float64(2, 2)
            %1.0 = matmul(1.h, 1.U) : float64(2,)
            %1.1 = add(%1.0, 1.in0) : float64(2,)
            %1.2 = tanh(%1.1) : float64(2,)
            return %1.2
        return %1""")


def test_backwards_the_stack_is_turned_to_the_order_of_sequences():
    graph = after([DistributePrologue()], [X, W, U], [network(go_backwards=True)])
    assert "index[::-1, :](%0)" in text(graph)
    f, g = (loopjax.function([X, W, U], network(go_backwards=True), mode=mode) for mode in (None, "FAST_COMPILE"))
    values = [np.arange(18.0).reshape(6, 3) / 18, np.ones((3, 2)) / 3, np.eye(2)]
    np.testing.assert_allclose(f(*values), g(*values), rtol=1e-12)


def test_the_terms_of_a_sum_are_one_sequence():
    h, _ = loopjax.scan(lambda x, y, h: (h @ U + x @ W) - y @ W, sequences=[X, X * 2], outputs_info=START)
    front, loop = scans(after([DistributePrologue()], [X, W, U], [h]))
    assert len(front.maps) == len(loop.sequences) == 1
    assert [node.op.name for node in loop.body.applies] == ["matmul", "add"]
    assert [node.op.name for node in front.body.applies] == ["matmul", "matmul", "sub"]


@pytest.mark.parametrize(("size", "steps"), [(32, BEFORE), (31, WHOLE)])
def test_short_inner_products_stay(size, steps):
    x = at.tensor("float64", shape=(6, size), name="x")
    h, _ = loopjax.scan(lambda x, h: at.tanh(h + at.dot(x, x)), sequences=x, outputs_info=START)
    assert loops(DistributePrologue(), h, [x]) == steps


@pytest.mark.parametrize(("count", "steps"), [(4, BEFORE), (3, WHOLE)])
def test_rows_that_a_step_joins_are_one_sequence(count, steps):
    taps = list(range(-count + 1, 1))
    step = lambda *given: at.tanh(given[-1] + at.concatenate(given[:-1])[::2].sum())  # noqa: E731
    x = at.tensor("float64", shape=(count + 5, 3), name="x")
    h, _ = loopjax.scan(step, sequences={"input": x, "taps": taps}, outputs_info=START)
    assert loops(DistributePrologue(), h, [x]) == steps
    f, g = (loopjax.function([x], h, mode=mode) for mode in (None, "FAST_COMPILE"))
    value = np.random.default_rng(0).normal(size=(count + 5, 3))
    np.testing.assert_allclose(f(value), g(value), rtol=1e-12)


def test_elementwise_work_follows_unless_it_grows():
    h, _ = loopjax.scan(lambda x, h: h @ U + at.tanh(x @ W), sequences=X, outputs_info=START)
    front, _ = scans(after([DistributePrologue()], [X, W, U], [h]))
    assert [node.op.name for node in front.body.applies] == ["matmul", "tanh"]
    h, _ = loopjax.scan(lambda x, h: h @ U + at.sin(x).sum(), sequences=X, outputs_info=START)
    assert loops(DistributePrologue(), h) == WHOLE
    wide = at.constant(np.ones((2, 2)))
    h, _ = loopjax.scan(lambda x, h: h @ ((x @ W) * wide), sequences=X, outputs_info=START)
    front, loop = scans(after([DistributePrologue()], [X, W, U], [h]))
    assert [node.op.name for node in front.body.applies] == ["matmul"]
    assert loop.sequences[0].taps == (0,)


@pytest.mark.parametrize(
    ("limits", "moves"),
    [
        ({"least_steps": 6}, True),
        ({"least_steps": 7}, False),
        ({"most_rows": 1}, True),
        ({"most_rows": 0}, False),
        ({"most_bytes": 6 * 2 * 8}, True),
        ({"most_bytes": 6 * 2 * 8 - 1}, False),
        ({"most_gpu_bytes": 0}, True),
    ],
)
def test_thresholds(limits, moves):
    assert loops(DistributePrologue(**limits), network()) == (BEFORE if moves else WHOLE)


def test_thresholds_on_a_gpu():
    assert loops(DistributePrologue(GPU, most_rows=0, most_bytes=0), network()) == BEFORE
    assert loops(DistributePrologue(GPU, most_gpu_bytes=6 * 2 * 8), network()) == BEFORE
    assert loops(DistributePrologue(GPU, most_gpu_bytes=6 * 2 * 8 - 1), network()) == WHOLE


@pytest.mark.parametrize("options", [{"checkpoint": 2}, {"n_steps": 3}])
def test_few_steps_and_checkpoints_stay(options):
    steps = options.get("n_steps", 6)
    assert loops(DistributePrologue(), network(**options)) == [(steps, True)]


def test_a_draw_and_its_transform():
    stream = at.random.RandomStream(2)
    h, updates = loopjax.scan(lambda h: 0.5 * h + stream.normal(h, 1.0, dtype="float64"), outputs_info=START, n_steps=6)
    (key,) = updates
    front, loop = scans(after([DistributePrologue()], [key], [h]))
    assert [node.op.name for node in front.body.applies] == ["draw_standard_normal", "mul"]
    assert not any(node.op.has("draw") for node in loop.body.applies)
    (loop,) = scans(after([DistributePrologue(Target(draws_apart=False))], [key], [h]))
    assert any(node.op.has("draw") for node in loop.body.applies)


@pytest.mark.parametrize(
    ("limits", "moves"),
    [
        ({"most_draw_bytes": 6 * 2 * 8}, True),
        ({"most_draw_bytes": 6 * 2 * 8 - 1}, False),
        ({"most_step_draw_bytes": 2 * 8}, True),
        ({"most_step_draw_bytes": 2 * 8 - 1}, False),
    ],
)
def test_thresholds_of_draws(limits, moves):
    stream = at.random.RandomStream(2)
    h, updates = loopjax.scan(
        lambda h: 0.5 * h + stream.normal(size=(2,), dtype="float64"), outputs_info=START, n_steps=6
    )
    assert loops(DistributePrologue(**limits), h, list(updates)) == (BEFORE if moves else WHOLE)


def test_a_checked_index_stays_in_its_step():
    i = at.tensor("int64", shape=(6,), name="i")
    h, _ = loopjax.scan(lambda i, h: h @ U + at.tanh(U @ U[i]), sequences=i, outputs_info=START)
    f = loopjax.function([i, U], h, check="index")
    with pytest.raises(IndexError):
        f(np.array([0, 1, 0, 1, 0, 5]), np.eye(2))


@pytest.mark.parametrize(("differentiated", "kinds"), [(True, ["vmap", "stored_while"]), (False, ["while"])])
def test_a_padded_loop_under_a_derivative(differentiated, kinds):
    """Rows past the length are copies of the first one there, and at most as many as steps; elsewhere they are more."""
    x, w, u = at.dmatrix("x"), at.dmatrix("w"), at.dmatrix("u")
    h, _ = loopjax.scan(lambda x, h: at.tanh(h @ u + at.log(x) @ w), sequences=x, outputs_info=START)
    cost = (h**2).mean()
    outputs = [cost, *(loopjax.grad(cost, [x, w, u]) if differentiated else ())]
    f, g = (loopjax.function([x, w, u], outputs, lengths=lengths) for lengths in ("padded", "exact"))
    for n in (5, 12, 9, 16, 1):
        arguments = np.random.default_rng(n).uniform(1, 2, size=(n, 3)), np.ones((3, 2)) / 3, np.eye(2) / 2
        for one, other in zip(f(*arguments), g(*arguments), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    assert [loop.plan.kind for loop in loopjax.explain(f).loops] == kinds
