"""Loop distribution: what no later step reads, after the loop."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.loop_epilogue import DistributeEpilogue
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(6, 2), name="x")
U = at.tensor("float64", shape=(2, 2), name="U")
START = at.constant(np.zeros(2))


def readout(**options):
    return loopjax.scan(
        lambda x, h: [at.tanh(x + h), (h * 2) @ U], sequences=X, outputs_info=[START, None], name="readout", **options
    )[0]


def loops(step, outputs):
    """How many steps each loop has, and whether it is recurrent."""
    return [(op.n_steps, bool(op.recurrences)) for op in scans(after([step], [X, U], outputs))]


AFTER, WHOLE = [(6, True), (6, False)], [(6, True)]


def test_before_and_after():
    assert text(after([DistributeEpilogue()], [X, U], readout())) == lines("""
        input x : float64(6, 2)
        input U : float64(2, 2)
        %0 = scan 'readout'[steps=6, sequence[0], recurrence[-1] keeps all, map keeps all](x, float64[0., 0.]) \
: float64(6, 2), float64(6, 2)
            input 0.x[t] : float64(2,)
            input 0.h : float64(2,)
            %0.0 = add(0.x[t], 0.h) : float64(2,)
            %0.1 = tanh(%0.0) : float64(2,)
            return %0.1, 0.h
        %1 = scan 'readout'[steps=6, sequence[0], map keeps all](%0:1, U) : float64(6, 2)
            input 1.h : float64(2,)
            input 1.U : float64(2, 2)
            %1.0 = mul(1.h, 2.) : float64(2,)
            %1.1 = matmul(%1.0, 1.U) : float64(2,)
            return %1.1
        return %0:0, %1""")


def test_last_rows_are_computed_of_last_rows():
    h, y = readout()
    assert loops(DistributeEpilogue(), [h, y[-2:]]) == [(6, True), (2, False)]
    assert loops(DistributeEpilogue(), [h, y[-2:], y[-1]]) == [(6, True), (2, False)]


def test_a_stack_that_is_there_is_read():
    (h, y), _ = loopjax.scan(lambda x, h: [v := at.tanh(x + h), v @ U], sequences=X, outputs_info=[START, None])
    loop, late = scans(after([DistributeEpilogue()], [X, U], [h, y]))
    assert not loop.maps
    assert [node.op.name for node in late.body.applies] == ["matmul"]


@pytest.mark.parametrize("options", [{"go_backwards": True}, {}])
def test_values_and_order(options):
    values = [np.arange(12.0).reshape(6, 2) / 12, np.array([[1.0, 2.0], [0.5, -1.0]])]
    found, expected = (loopjax.function([X, U], readout(**options), mode=m)(*values) for m in (None, "FAST_COMPILE"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("limits", "moves"),
    [
        ({"least_steps": 6}, True),
        ({"least_steps": 7}, False),
        ({"most_rows": 0}, False),
        ({"most_bytes": 6 * 2 * 8 - 1}, False),
    ],
)
def test_thresholds(limits, moves):
    assert loops(DistributeEpilogue(**limits), readout()) == (AFTER if moves else WHOLE)
    assert loops(DistributeEpilogue(Target(backend="gpu"), most_rows=0), readout()) == AFTER


@pytest.mark.parametrize("options", [{"truncate_gradient": 2}, {"checkpoint": 2}])
def test_truncated_and_checkpointed_loops_stay(options):
    assert loops(DistributeEpilogue(), readout(**options)) == WHOLE


def test_elementwise_outputs_draws_and_what_a_state_needs_stay():
    h, _ = loopjax.scan(lambda x, h: [at.tanh(x + h), at.exp(h)], sequences=X, outputs_info=[START, None])
    assert loops(DistributeEpilogue(), h) == WHOLE
    h, _ = loopjax.scan(lambda x, h: [x + h @ U, h @ U], sequences=X, outputs_info=[START, None])
    assert loops(DistributeEpilogue(), h) == WHOLE
    stream = at.random.RandomStream(1)
    h, updates = loopjax.scan(
        lambda x, h: [at.tanh(x + h), h @ U + stream.normal(size=(2,), dtype="float64")],
        sequences=X,
        outputs_info=[START, None],
    )
    loop = scans(after([DistributeEpilogue()], [X, U, *updates], h))
    assert [bool(op.recurrences) for op in loop] == [True]


def test_matrices_that_differ_from_step_to_step_are_not_stored_for_a_product():
    def step(t, memory):
        return [at.set_subtensor(memory[t], X[t]), memory @ X[t]]

    def outputs():
        return loopjax.scan(step, sequences=at.arange(6), outputs_info=[at.zeros((6, 2), dtype="float64"), None])[0]

    memory, read = outputs()
    assert loops(DistributeEpilogue(), [memory[-1], read]) == WHOLE
    assert loops(DistributeEpilogue(Target("gpu")), [memory[-1], read]) == AFTER
    batch, _ = loopjax.scan(lambda h: [at.tanh(h), h @ U], outputs_info=[X, None], n_steps=6)
    assert loops(DistributeEpilogue(), [batch[0][-1], batch[1]]) == AFTER
