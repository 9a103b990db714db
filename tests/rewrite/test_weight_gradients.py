"""Batched weight gradients: one matrix product after the backward loop."""

import jax
import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.target import REWRITES

RNG = np.random.default_rng(5)
STEPS, UNITS = 9, 4


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
