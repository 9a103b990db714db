"""Kernels of an iteration, beside the program that XLA makes of it."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.types import TensorType
from loopjax.rewrite.loop_kernels import INLINE_FLOPS, iteration
from loopjax.rewrite.pipeline import sized
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, scans

STEPS = 64
BODIES = {
    "add": (1, lambda x, h: 0.5 * h + x),
    "swap": (2, lambda x, a, b: [0.5 * b + x, 0.3 * a]),
    "three": (3, lambda x, a, b, c: [0.5 * b + x, 0.3 * c + a, at.maximum(a, c)]),
    "twice": (2, lambda x, a, b: [at.tanh(a + x) * b, at.tanh(a + x) + b]),
}
READS = {"last": lambda out: out[-1], "stack": lambda out: out, "sum": lambda out: out.sum(0)}


def program(name, read, count, unroll):
    """A loop over rows of float32 values."""
    n_states, step = BODIES[name]
    x = TensorType("float32", (STEPS, count))("x")
    h = [TensorType("float32", (count,))() for _ in range(n_states)]
    outs, _ = loopjax.scan(step, sequences=x, outputs_info=h, unroll=unroll, return_list=True)
    return [x, *h], [READS[read](out) for out in outs]


def compiled(inputs, outputs):
    arrays = [np.ones(variable.type.sizes, "float32") for variable in inputs]
    return jax.jit(loopjax.to_jax(inputs, outputs, derivatives="none")).lower(*arrays).compile()


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("read", "count", "unroll"), [("last", 1, 8), ("stack", 4, 2), ("last", 40, 2)])
def test_small_loops_are_one_function(name, read, count, unroll):
    (op,) = scans(after(sized(Target("cpu")), *program(name, read, count, None)))
    text = compiled(*program(name, read, count, unroll)).as_text()
    assert iteration(op, unroll).is_one_function == ('xla_cpu_small_call="true"' in text)


@pytest.mark.parametrize("unroll", [2, 4])
def test_ops_that_xla_counts(unroll):
    (op,) = scans(after(sized(Target("cpu")), *program("three", "last", 30, None)))
    found = sum(kernel.flops for kernel in iteration(op, unroll).kernels)
    assert compiled(*program("three", "last", 30, unroll)).cost_analysis()["flops"] == pytest.approx(found, rel=0.1)


def test_a_value_that_is_expensive_is_computed_once():
    (op,) = scans(after(sized(Target("cpu")), *program("twice", "last", 100, None)))
    assert [len(iteration(op, count).kernels) for count in (1, 2)] == [3, 4]


def test_what_a_kernel_waits_for():
    """A chain of functions takes longer per step, the more of them are in one kernel; cheap ops do not."""
    h = TensorType("float32", (4000,))()
    cheap, functions = (
        loopjax.scan(step, outputs_info=h, n_steps=STEPS)[0][-1]
        for step in (lambda h: 0.5 * h, lambda h: at.tanh(at.exp(-h) + 0.1))
    )
    (one,), (other,) = (scans(after(sized(Target("cpu")), [h], [out])) for out in (cheap, functions))
    assert iteration(one, 4).time < 2 * iteration(one, 1).time
    assert iteration(other, 4).time > 4 * iteration(other, 1).time


@pytest.mark.parametrize("count", [100, INLINE_FLOPS])
def test_a_program_of_many_ops_is_handed_over(count):
    (op,) = scans(after(sized(Target("cpu")), *program("add", "last", count, None)))
    assert iteration(op, 1).is_handed_over == (count == INLINE_FLOPS)
