"""Batched weight gradients: one matrix product after the backward loop."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.target import REWRITES, Target
from loopjax.rewrite.weight_gradients import BatchWeightGradients
from tests.rewrite.sized import after, float64, lines, rewrites, sized_graph, text

RNG = np.random.default_rng(5)
STEPS, UNITS = 64, 16


def array(*shape):
    return RNG.normal(size=shape) / np.sqrt(shape[-1])


def only(*names):
    return loopjax.Mode(frozenset(REWRITES) - set(names))


def test_only_what_reverse_mode_alone_encloses_is_deferred():
    def deferred(graph):
        return any(isinstance(n.op, BatchedWeightGradients) or any(map(deferred, n.op.regions)) for n in graph.applies)

    x, W = at.dvector("x"), at.dmatrix("W")
    h, _ = loopjax.scan(lambda h: at.tanh(h @ W), None, x, n_steps=STEPS)
    cost = h[-1].sum()
    seen = {}
    for name, output in {
        "value": cost,
        "gradient": loopjax.grad(cost, W),
        "tangent": loopjax.Rop(cost, W, W),
        "forward over reverse": loopjax.Rop(loopjax.grad(cost, x), x, x),
        "reverse over reverse": loopjax.grad(loopjax.grad(cost, x).sum(), W),
    }.items():
        f = loopjax.function([x, W], output, on_unused_input="ignore")
        values = array(UNITS), array(UNITS, UNITS)
        result = f(*values)
        plain = loopjax.function([x, W], output, on_unused_input="ignore", mode="FAST_COMPILE")(*values)
        np.testing.assert_allclose(result, plain, rtol=1e-10, atol=1e-12)
        seen[name] = deferred(f.stages[0].programs[-1].graph)
    assert [name for name, found in seen.items() if found] == ["gradient", "reverse over reverse"]


def test_a_deferred_gradient_adds_no_product_to_the_backward_loop():
    """Of two loops, with two products forward (one hoisted) and three backward, one is taken out."""

    def in_loops(mode):
        x, W, U = at.dmatrix(), at.dmatrix(), at.dmatrix()
        h, _ = loopjax.scan(lambda x_t, h: at.tanh(x_t @ W + h @ U), x, np.zeros(UNITS))
        f = loopjax.function([x, W, U], loopjax.grad(h[-1].sum(), [W, U]), mode=mode)
        values = array(STEPS, UNITS), array(UNITS, UNITS), array(UNITS, UNITS)
        f(*values)
        with jax.enable_x64(True):
            jaxpr = jax.make_jaxpr(f.stages[0].programs[-1].call)(*values)
        return [str(eqn.params["jaxpr"]).count("dot_general") for eqn in scans(jaxpr.jaxpr)]

    assert in_loops(only("vmap", "loop_prologue", "weight_gradients")) == [1, 1]
    assert in_loops(only("vmap", "loop_prologue")) == [1, 2]


def scans(jaxpr):
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan":
            yield eqn
            continue
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from scans(inner)


def test_before_and_after() -> None:
    h, W = float64("h", 2), float64("W", 2, 2)
    out, _ = loopjax.scan(lambda h, W: at.tanh(h @ W), outputs_info=h, non_sequences=W, n_steps=4)
    assert text(sized_graph([h, W], [loopjax.grad(out[-1].sum(), W)])) == lines("""
        input h : float64(2,)
        input W : float64(2, 2)
        %0 = linearize[wrt=1, costs=1](W, h) : float64(), residual()
            input 0.W : float64(2, 2)
            input 0.h : float64(2,)
            %0.0 = scan 'scan'[steps=4, recurrence[-1] keeps last 1](0.h, 0.W) : float64(1, 2)
                input 0.0.h[t-1] : float64(2,)
                input 0.0.W : float64(2, 2)
                %0.0.0 = matmul(0.0.h[t-1], 0.0.W) : float64(2,)
                %0.0.1 = tanh(%0.0.0) : float64(2,)
                return %0.0.1
            %0.1 = index[-1, :](%0.0) : float64(2,)
            %0.2 = sum[axis=(0,), dtype=float64, keepdims=False](%0.1) : float64()
            return %0.2
        %1 = pullback(%0:1, 1.) : float64(2, 2)
        return %1""")
    assert text(after([BatchWeightGradients(least_values=0)], [h, W], [loopjax.grad(out[-1].sum(), W)])) == lines("""
        input h : float64(2,)
        input W : float64(2, 2)
        %0 = linearize[wrt=1, costs=1](W, h) : float64(), residual()
            input 0.W : float64(2, 2)
            input 0.h : float64(2,)
            %0.0 = batchedweightgradients(0.h, 0.W) : float64(1, 2)
                input 0.0.h : float64(2,)
                input 0.0.W : float64(2, 2)
                input 0.0.in2 : float64(4, 2)
                %0.0.0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps last 1, map keeps all](0.0.in2, 0.0.h, 0.0.W) : float64(1, 2), float64(4, 2)
                    input 0.0.0.in0 : float64(2,)
                    input 0.0.0.h[t-1] : float64(2,)
                    input 0.0.0.W : float64(2, 2)
                    %0.0.0.0 = matmul(0.0.0.h[t-1], 0.0.0.W) : float64(2,)
                    %0.0.0.1 = tapped(%0.0.0.0, 0.0.0.in0) : float64(2,)
                    %0.0.0.2 = tanh(%0.0.0.1) : float64(2,)
                    return %0.0.0.2, 0.0.0.h[t-1]
                return %0.0.0:0, %0.0.0:1
            %0.1 = index[-1, :](%0.0) : float64(2,)
            %0.2 = sum[axis=(0,), dtype=float64, keepdims=False](%0.1) : float64()
            return %0.2
        %1 = pullback(%0:1, 1.) : float64(2, 2)
        return %1""")  # noqa: E501 - the line of the loop


@pytest.mark.parametrize(("side", "rows"), [("right", 3), ("left", 3)])
def test_vectors_that_a_matrix_multiplies(side, rows) -> None:
    """On a CPU up to so many; their term of the gradient is added to the whole matrix."""
    right = side == "right"
    h, W = float64("h", *((rows, 2) if right else (2, rows))), float64("W", *((2, 4) if right else (4, 2)))
    out, _ = loopjax.scan(lambda h: at.tanh((h @ W)[:, 1:3] if right else (W @ h)[1:3]), outputs_info=h, n_steps=4)
    program = [h, W], [loopjax.grad(out[-1].sum(), W)]
    assert rewrites(BatchWeightGradients(least_values=0, most_rows=rows), *program)
    assert not rewrites(BatchWeightGradients(least_values=0, most_rows=rows - 1), *program)
    assert rewrites(BatchWeightGradients(Target("gpu"), most_rows=rows - 1), *program)


def test_not_outside_of_reverse_mode() -> None:
    h, W = float64("h", 2), float64("W", 2, 2)
    out, _ = loopjax.scan(lambda h: at.tanh(h @ W), outputs_info=h, n_steps=4)
    assert not rewrites(BatchWeightGradients(least_values=0), [h, W], [out])
    assert rewrites(BatchWeightGradients(Target(derivative="reverse"), least_values=0), [h, W], [out])
    assert not rewrites(BatchWeightGradients(Target(derivative="any"), least_values=0), [h, W], [out])


@pytest.mark.parametrize(("n_steps", "batches"), [(4, True), (3, False)])
def test_least_steps(n_steps, batches) -> None:
    h, W = float64("h", 2), float64("W", 2, 2)
    out, _ = loopjax.scan(lambda h: at.tanh(h @ W), outputs_info=h, n_steps=n_steps)
    assert rewrites(BatchWeightGradients(least_values=0), [h, W], [loopjax.grad(out[-1].sum(), W)]) is batches


def test_stacks_of_a_loop_that_goes_backwards_are_reversed() -> None:
    x, h, W = float64("x", 4, 2), float64("h", 2), float64("W", 2, 2)
    out, _ = loopjax.scan(lambda x, h: at.tanh(h @ W + x), sequences=x, outputs_info=h, go_backwards=True)
    graph = after([BatchWeightGradients(least_values=0)], [x, h, W], [loopjax.grad(out[-1].sum(), W)])
    assert "index[::-1, :]" in text(graph)


@pytest.mark.parametrize(("rows", "batches"), [(32, True), (33, False)])
def test_vectors_up_to_which_a_step_costs_more(rows, batches) -> None:
    h, W = float64("h", rows, 2), float64("W", 2, 2)
    out, _ = loopjax.scan(lambda h: at.tanh(h @ W), outputs_info=h, n_steps=4)
    assert rewrites(BatchWeightGradients(least_values=0), [h, W], [loopjax.grad(out[-1].sum(), W)]) is batches


@pytest.mark.parametrize(("n_steps", "batches"), [(64, True), (63, False)])
def test_values_from_which_the_product_pays(n_steps, batches) -> None:
    h, W = float64("h", 16), float64("W", 16, 16)
    out, _ = loopjax.scan(lambda h: at.tanh(h @ W), outputs_info=h, n_steps=n_steps)
    assert rewrites(BatchWeightGradients(), [h, W], [loopjax.grad(out[-1].sum(), W)]) is batches
