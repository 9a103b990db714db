"""Stacks of which readers take few elements of each row: values, and which stacks stay."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.saved_steps import SaveReadSteps
from loopjax.rewrite.slice_sinking import SinkSlices
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, scans

H, X = at.tensor("float64", (8, 30), "h"), at.tensor("float64", (12,), "x")
SINK = SinkSlices(least_bytes=8)
RNG = np.random.default_rng(7)


def fields():
    return loopjax.scan(lambda x, h: at.roll(h, 1, axis=1) * 0.9 + x, sequences=X, outputs_info=H)[0]


def expected(h, x):
    rows = []
    for each in x:
        h = np.roll(h, 1, axis=1) * 0.9 + each
        rows.append(h)
    return np.stack(rows)


READS = [
    lambda h: h[:, 0, -2],
    lambda h: h[:, :, 3],
    lambda h: h[:, 2:4, ::-3],
    lambda h: h[1:, 7],
    lambda h: h[::-1, :2, :10],
]


@pytest.mark.parametrize("read", READS)
def test_values_are_those_of_the_stack(read):
    h, x = RNG.normal(size=(8, 30)), RNG.normal(size=12)
    out = fields()
    f = loopjax.function([H, X], [read(out), out[-1]])
    found, last = f(h, x)
    wanted = expected(h, x)
    np.testing.assert_allclose(found, read(wanted))
    np.testing.assert_allclose(last, wanted[-1])


@pytest.mark.parametrize("read", READS)
def test_a_loop_stacks_what_is_read(read):
    out = fields()
    (op,) = scans(after([SINK], [H, X], [read(out), out[-1]]))
    assert len(op.outputs) == 2
    assert "slice_sinking: elements of states are taken at each step" in op.notes
    (op,) = scans(after([SINK, SaveReadSteps(Target())], [H, X], [read(out), out[-1]]))
    assert op.outputs[0].saved.last is not None


@pytest.mark.parametrize(
    "outputs",
    [
        lambda h: [h[:, 0, 0], h],
        lambda h: [h[:, 0, 0], h.sum(axis=1)],
        lambda h: [h[:, :5]],
        lambda h: [h[-1, 0, 0]],
        lambda h: [h[:, None, 0, 0]],
        lambda h: [h[:, at.cast(X[0], "int32"), 0]],
    ],
)
def test_other_stacks_stay(outputs):
    (op,) = scans(after([SINK], [H, X], outputs(fields())))
    assert len(op.outputs) == 1


def test_small_states_and_those_of_a_derivative_stay():
    for sink in (SinkSlices(least_bytes=8 * 30 * 8 + 1), SinkSlices(Target(derivative="reverse"), least_bytes=8)):
        (op,) = scans(after([sink], [H, X], [fields()[:, 0, 0]]))
        assert len(op.outputs) == 1
