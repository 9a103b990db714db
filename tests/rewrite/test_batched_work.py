"""Work that is done for all steps at once: joined products, what moves out before and behind loops, deferred
gradients."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.scan import Scan
from loopjax.rewrite.target import REWRITES
from tests.differences import differences

RNG = np.random.default_rng(5)
START = RNG.bit_generator.state
OURS = ("fuse_products", "loop_prologue", "loop_epilogue", "weight_gradients")
STEPS, UNITS = 9, 4


def array(*shape):
    return RNG.normal(size=shape) / np.sqrt(shape[-1])


def only(*names):
    return loopjax.Mode(frozenset(REWRITES) - set(names))


def square():
    return at.dmatrix(), array(UNITS, UNITS)


class Program:
    """Outputs, inputs to differentiate by, and values for them."""

    def __init__(self, outputs, inputs, updates=None):
        self.outputs, self.updates = outputs, updates
        self.inputs, self.values = [list(part) for part in zip(*inputs, strict=True)]

    def run(self, mode, gradient=True):
        cost = sum((output**2).sum() for output in self.outputs)
        grads = loopjax.grad(cost, self.inputs) if gradient else []
        f = loopjax.function(self.inputs, [*self.outputs, *grads], updates=self.updates, mode=mode)
        return f, f(*self.values)


def guide():
    """The guide's network, with an output layer besides."""
    u, x0, y0 = (at.dmatrix(), array(STEPS + 4, UNITS)), (at.dmatrix(), array(3, UNITS)), (at.dvector(), array(UNITS))
    matrices = [square() for _ in range(6)]

    def step(u_tm4, u_t, x_tm3, x_tm1, y_tm1, W, W_in_1, W_in_2, W_feedback, W_out, W_read):
        x = at.tanh(x_tm1 @ W + at.dot(u_t, W_in_1) + at.dot(u_tm4, W_in_2) - y_tm1 @ W_feedback)
        return [x, at.dot(x_tm3, W_out), at.tanh(at.dot(x * y_tm1, W_read))]

    outputs, _ = loopjax.scan(
        step,
        sequences={"input": u[0], "taps": [-4, 0]},
        outputs_info=[{"initial": x0[0], "taps": [-3, -1]}, y0[0], None],
        non_sequences=[m for m, _ in matrices],
    )
    return Program(outputs, [u, x0, y0, *matrices])


def lstm(backwards=False, batch=(2,), last=False):
    x = (at.TensorType("float64", (None,) * (len(batch) + 2))(), array(STEPS, *batch, UNITS))
    weights = [square() for _ in range(8)]
    start = np.zeros((*batch, UNITS))

    def step(x_t, h, c, *weights):
        i, f, o, g = (x_t @ weights[k] + h @ weights[4 + k] for k in range(4))
        c = at.sigmoid(f) * c + at.sigmoid(i) * at.tanh(g)
        h = at.sigmoid(o) * at.tanh(c)
        return [h, c, h @ weights[0]]

    outputs, _ = loopjax.scan(step, x[0], [start, start, None], [w for w, _ in weights], go_backwards=backwards)
    return Program([outputs[0], outputs[2][-2:] if last else outputs[2]], [x, *weights])


def left():
    """Matrices on the left of vectors, as old programs write them, and two layers."""
    x = (at.dmatrix(), array(STEPS, UNITS))
    W, U, V = square(), square(), square()

    def step(x_t, h):
        inner = at.tanh(at.dot(W[0], x_t) + at.dot(U[0], h))
        return at.tanh(at.dot(V[0], inner) + at.dot(U[0], inner))

    h, _ = loopjax.scan(step, x[0], np.zeros(UNITS))
    return Program([h], [x, W, U, V])


def left_batches():
    x, W, U = (at.dtensor3(), array(STEPS, UNITS, 3)), square(), square()
    h, _ = loopjax.scan(lambda x_t, h: at.tanh(W[0] @ x_t + U[0] @ h), x[0], np.zeros((UNITS, 3)))
    return Program([h], [x, W, U])


def truncated():
    x, W, U, V = (at.dmatrix(), array(STEPS, UNITS)), square(), square(), square()
    (h, y), _ = loopjax.scan(
        lambda x_t, h: [at.tanh(x_t @ W[0] + h @ U[0]), h @ V[0]], x[0], [np.zeros(UNITS), None], truncate_gradient=4
    )
    return Program([h[-1], y[-1]], [x, W, U, V])


def nested():
    x, W, U = (at.dtensor3(), array(3, STEPS, UNITS)), square(), square()

    def outer(rows, h):
        inner, _ = loopjax.scan(lambda row, h: at.tanh(row @ W[0] + h @ U[0]), rows, h)
        return inner[-1]

    h, _ = loopjax.scan(outer, x[0], np.zeros(UNITS))
    return Program([h], [x, W, U])


def with_state():
    x, W = (at.dmatrix(), array(STEPS, UNITS)), square()
    total = loopjax.shared(np.zeros(UNITS))
    stream = at.random.RandomStream(3)

    def step(x_t, h):
        h = at.tanh(x_t @ W[0] + h @ W[0] + stream.normal(size=(UNITS,)))
        return [h, at.dot(h, W[0])], {total: total + h}

    (h, y), updates = loopjax.scan(step, x[0], [np.zeros(UNITS), None])
    return Program([h, y], [x, W], updates)


PROGRAMS = {
    "guide": guide,
    "lstm": lstm,
    "lstm backwards": lambda: lstm(backwards=True),
    "lstm of vectors": lambda: lstm(batch=()),
    "lstm of which last rows are read": lambda: lstm(last=True),
    "left": left,
    "left of batches": left_batches,
    "truncated": truncated,
    "nested": nested,
    "with state": with_state,
}


def run(name, mode):
    """What a program gives, made anew: calls change its shared variables."""
    RNG.bit_generator.state = START
    return PROGRAMS[name]().run(mode)[1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_those_without(name):
    expected = run(name, "FAST_COMPILE")
    for mode in (*(only(one) for one in OURS), loopjax.Mode()):
        found = run(name, mode)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_guides_gradients_are_differences():
    program = guide()
    _, found = program.run(None)
    cost = loopjax.function(program.inputs, sum((output**2).sum() for output in program.outputs))
    for position, grad in enumerate(found[3:]):
        np.testing.assert_allclose(grad, differences(cost, program.values, position), rtol=1e-6, atol=1e-7)


def loops(graph):
    """The loops of a graph and of its regions."""
    for node in graph.applies:
        if isinstance(node.op, Scan):
            yield node.op
        for region in node.op.regions:
            yield from loops(region)


def products(op):
    return sum(node.op.name in ("dot", "matmul") for node in op.body.applies)


def sequential(f):
    """The loops whose steps need one another, as compiled."""
    (stage,) = f.stages
    return [op for op in loops(stage.programs[-1].graph) if op.recurrences]


def test_what_each_does_to_the_guides_network():
    counts = {}
    for name in ("FAST_COMPILE", *OURS):
        f, _ = guide().run("FAST_COMPILE" if name == "FAST_COMPILE" else only(name), gradient=False)
        counts[name] = [products(op) for op in sequential(f)]
    assert counts == {
        "FAST_COMPILE": [6],
        "fuse_products": [6],
        "loop_prologue": [4],
        "loop_epilogue": [5],
        "weight_gradients": [6],
    }


def test_the_gates_of_an_lstm_are_one_product():
    f, _ = lstm().run(only("fuse_products"), gradient=False)
    assert [products(op) for op in sequential(f)] == [3]
    f, _ = lstm().run(loopjax.Mode().excluding("expand_products"), gradient=False)
    assert [products(op) for op in sequential(f)] == [1]
    assert [products(op) for op in loops(f.stages[0].programs[-1].graph) if not op.recurrences] == [4, 1]
