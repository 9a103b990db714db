"""Elementwise loops over arrays of several axes run over vectors: values, gradients, and which loops."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.collapse_axes import CollapseAxes
from tests.rewrite.sized import after, float64, rewrites, scans

RNG = np.random.default_rng(4)
ROWS, COLUMNS, STEPS = 4, 5, 7
FIXED = at.constant(RNG.normal(size=(ROWS, COLUMNS)))

X, RATE, B, S = at.dmatrix("x"), at.dscalar("rate"), at.dvector("b"), at.dtensor3("s")
VALUES = [RNG.normal(size=(ROWS, COLUMNS)), 0.3, RNG.normal(size=COLUMNS), RNG.normal(size=(STEPS, ROWS, COLUMNS))]


def damped(row, past, last, rate, b):
    """Two taps, a row, a scalar, a vector that is repeated, a constant, a filled array and totals of all elements."""
    new = at.tanh(last * rate + b) + 0.2 * past / (2.0 + last.sum() ** 2) + FIXED * row + at.zeros_like(last)
    return [new, new.max()]


def until_small(row, last, rate, b):
    new = 0.3 * last * rate + row * 0.01 + 0.001 * b
    return [new, new.mean()], loopjax.until(at.max(abs(new)) < 0.05)


def two_taps(**options):
    start = {"initial": at.stack([X, X + 1.0]), "taps": [-2, -1]}
    return loopjax.scan(damped, S, [start, None], [RATE, B], return_updates=False, **options)


LOOPS = {
    "two taps": two_taps,
    "backwards": lambda: two_taps(go_backwards=True),
    "until": lambda: loopjax.scan(until_small, S, [X, None], [RATE, B], return_updates=False),
}
READS = {
    "stack": lambda out: out,
    "last": lambda out: out[-1],
    "sum": lambda out: out.sum(0),
    "max": lambda out: out.max(0),
    "argmax": lambda out: at.argmax(out, axis=0),
}


def notes(f):
    return [note for loop in loopjax.explain(f).loops for note in loop.notes if note.startswith("collapse_axes")]


def agree(outputs):
    """The same with the rewrite and without, where it was made."""
    f = loopjax.function([X, RATE, B, S], outputs)
    without = loopjax.function([X, RATE, B, S], outputs, mode=loopjax.Mode().excluding("collapse_axes"))
    for one, other in zip(f(*VALUES), without(*VALUES), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
        assert one.shape == other.shape
    assert notes(f) == ["collapse_axes: arrays of 4 x 5 elements are vectors"]
    assert not notes(without)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("read", READS)
def test_values(loop, read):
    stack, scalars = LOOPS[loop]()
    agree([READS[read](stack), scalars])


@pytest.mark.parametrize("loop", LOOPS)
def test_gradients(loop):
    stack, scalars = LOOPS[loop]()
    cost = (stack[-1] ** 2).sum() + scalars.sum() + stack.sum(0).prod()
    agree([cost, *loopjax.grad(cost, [X, RATE, B, S])])


def loop_of(step, shape=(ROWS, COLUMNS)):
    h = float64("h", *shape)
    return [h], [loopjax.scan(step, outputs_info=h, n_steps=STEPS)[0][-1]]


def test_the_body_holds_vectors():
    (scan,) = scans(after([CollapseAxes()], *loop_of(lambda h: 0.5 * at.tanh(h), (2, 3, 4))))
    assert {value.type.sizes for node in scan.body.applies for value in node.outputs} == {(24,)}


@pytest.mark.parametrize(
    ("step", "shape"),
    [
        (lambda h: 0.5 * h, (40,)),
        (lambda h: 0.5 * h, (40, 1)),
        (lambda h: 0.5 * h, (3, 3)),
        (lambda h: 0.5 * h, (4, 600)),
        (lambda h: at.roll(h, 1, axis=0), (4, 5)),
        (lambda h: h - h.mean(0), (4, 5)),
        (lambda h: h / h.sum(1, keepdims=True), (4, 5)),
        (lambda h: 0.1 * h + 0.1 * h.T, (4, 4)),
        (lambda h: 0.1 * at.dot(h, h), (4, 4)),
        (lambda h: 0.1 * at.dot(h, at.constant(np.ones((5, 5)))), (4, 5)),
        (lambda h: 0.5 * h + at.arange(40.0), (4, 40)),
        (lambda h: 0.5 * h + at.arange(20.0).reshape((4, 5))[:, :1] * h[0], (4, 5)),
    ],
)
def test_what_is_left(step, shape):
    assert not rewrites(CollapseAxes(), *loop_of(step, shape))


@pytest.mark.parametrize("second", [lambda b: b, lambda b: b * b, lambda b: at.zeros(5) + b.sum(), lambda b: b[:1]])
def test_an_output_that_is_the_same_at_every_step(second):
    (stack, fixed), _ = loopjax.scan(lambda h, b: [at.tanh(h * b), second(b)], None, [X, None], [B], n_steps=5)
    f = loopjax.function([X, B], [stack, fixed])
    without = loopjax.function([X, B], [stack, fixed], mode=loopjax.Mode().excluding("collapse_axes"))
    for one, other in zip(f(VALUES[0], VALUES[2]), without(VALUES[0], VALUES[2]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
