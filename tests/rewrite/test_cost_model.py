"""Estimates of what a step computes and touches."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.rewrite.cost_model import (
    SMALL_BODY_OPS,
    Kernel,
    body_bytes,
    bytes_of,
    cost,
    is_expensive,
    is_pointwise,
    is_small_body,
    kernel,
)
from tests.rewrite.sized import scans, sized_graph

H = at.tensor("float64", shape=(4,), name="h")
W = at.tensor("float64", shape=(4, 4), name="W")
X = at.tensor("float64", shape=(4,), name="x")
BODY = Graph([H, W, X], [at.tanh(H @ W + X)])


def test_of_the_body_in_the_modules_docstring():
    assert cost(BODY) == (40, 288)
    # Inputs and all three results.
    assert body_bytes(BODY) == 32 + 128 + 32 + 3 * 32


@pytest.mark.parametrize(
    ("build", "flops"),
    [
        (lambda: H @ X, 2 * 4),
        (lambda: W @ W, 2 * 64),
        (lambda: at.tensordot(W, W, axes=2), 2 * 16),
        (lambda: at.linalg.cholesky(W), 64),
        (lambda: W.sum(), 16),
        (lambda: W.T, 0),
        (lambda: at.exp(W), 16),
    ],
)
def test_flops(build, flops):
    assert cost(Graph([H, W, X], [build()])).flops == flops


def test_inner_loops_count_with_all_their_steps():
    def body(steps):
        out, _ = loopjax.scan(lambda h: at.sin(h), outputs_info=H, n_steps=steps)
        return sized_graph([H], [out[-1]])

    assert cost(body(7)).flops - cost(body(2)).flops == 5 * 4
    assert cost(body(7)).bytes - cost(body(2)).bytes == 5 * 64
    assert body_bytes(body(7)) - body_bytes(body(2)) == 5 * 64


def test_bodies():
    def loop(count):
        def step(h):
            for _ in range(count):
                h = at.sin(h)
            return h

        out, _ = loopjax.scan(step, outputs_info=H, n_steps=5)
        (op,) = scans(sized_graph([H], [out]))
        return op

    assert is_small_body(loop(SMALL_BODY_OPS))
    assert not is_small_body(loop(SMALL_BODY_OPS + 1))
    assert not is_pointwise(BODY)
    assert bytes_of([H, W]) == 32 + 128


def test_expensive_ops():
    stream = at.random.RandomStream(1)
    expensive = [H @ X, at.linalg.cholesky(W), stream.normal(size=(4,))]
    cheap = [at.exp(H), W.T, W.sum(), H[0]]
    assert [is_expensive(v.owner) for v in expensive] == [True] * 3
    assert [is_expensive(v.owner) for v in cheap] == [False] * 4


def test_kernels_of_xla_on_cpu():
    value = at.exp(H * 2.0 + X)
    found = kernel(Graph([H, X], [value]).applies, 24, 8)
    assert found == Kernel(operations=3, cheap=2, touched=24, written=8)
    assert found.cost == 2 + 2 * 1 + 10 * 24
    assert not found.is_compute_bound
    assert found.single_thread_elements == (2 * 2**18 - 1) // 8
    heavy = Kernel(operations=40, cheap=30, touched=24, written=8)
    assert heavy.is_compute_bound
    assert heavy.single_thread_elements == (200_000 - 1) // (30 + 20 + 240)


def test_keys_have_no_bytes():
    key = loopjax.shared(np.float64(0)).type
    assert bytes_of([at.random.RandomStream(1).normal().owner.inputs[0]]) == 0
    assert key.bytes == 8
