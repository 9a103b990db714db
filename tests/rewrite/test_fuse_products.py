"""Horizontal GEMM fusion: products of a body that share an operand become one."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.fuse_products import FuseProducts
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text

APART = loopjax.Mode().excluding("fuse_products")


def test_before_and_after() -> None:
    x, h, W, U = float64("x", 4, 2), float64("h", 2), float64("W", 2, 2), float64("U", 2, 3)
    out, _ = loopjax.scan(lambda x, h: at.tanh(h @ W) * (h @ U).sum() + x, sequences=x, outputs_info=h)
    assert text(sized_graph([x, h, W, U], [out])) == lines("""
        input x : float64(4, 2)
        input h : float64(2,)
        input W : float64(2, 2)
        input U : float64(2, 3)
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h, W, U) : float64(4, 2)
            input 0.x[t] : float64(2,)
            input 0.h[t-1] : float64(2,)
            input 0.W : float64(2, 2)
            input 0.U : float64(2, 3)
            %0.0 = matmul(0.h[t-1], 0.W) : float64(2,)
            %0.1 = tanh(%0.0) : float64(2,)
            %0.2 = matmul(0.h[t-1], 0.U) : float64(3,)
            %0.3 = sum[axis=(0,), dtype=float64, keepdims=False](%0.2) : float64()
            %0.4 = mul(%0.1, %0.3) : float64(2,)
            %0.5 = add(%0.4, 0.x[t]) : float64(2,)
            return %0.5
        return %0""")
    assert text(after([FuseProducts()], [x, h, W, U], [out])) == lines("""
        input x : float64(4, 2)
        input h : float64(2,)
        input W : float64(2, 2)
        input U : float64(2, 3)
        %0 = join[axis=1](W, U) : float64(2, 5)
        %1 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h, W, U, %0) : float64(4, 2)
            input 1.x[t] : float64(2,)
            input 1.h[t-1] : float64(2,)
            input 1.W : float64(2, 2)
            input 1.U : float64(2, 3)
            input 1.in4 : float64(2, 5)
            %1.0 = matmul(1.h[t-1], 1.in4) : float64(5,)
            %1.1 = parts[axis=0, sizes=(2, 3)](%1.0) : float64(2,), float64(3,)
            %1.2 = tanh(%1.1:0) : float64(2,)
            %1.3 = sum[axis=(0,), dtype=float64, keepdims=False](%1.1:1) : float64()
            %1.4 = mul(%1.2, %1.3) : float64(2,)
            %1.5 = add(%1.4, 1.x[t]) : float64(2,)
            return %1.5
        return %1""")


def test_matrices_on_the_left() -> None:
    x, h, W, U = float64("x", 4, 2), float64("h", 2), float64("W", 2, 2), float64("U", 3, 2)
    out, _ = loopjax.scan(lambda x, h: at.tanh(W @ h) * (U @ h).sum() + x, sequences=x, outputs_info=h)
    assert text(after([FuseProducts()], [x, h, W, U], [out])) == lines("""
        input x : float64(4, 2)
        input h : float64(2,)
        input W : float64(2, 2)
        input U : float64(3, 2)
        %0 = join[axis=0](W, U) : float64(5, 2)
        %1 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h, W, U, %0) : float64(4, 2)
            input 1.x[t] : float64(2,)
            input 1.h[t-1] : float64(2,)
            input 1.W : float64(2, 2)
            input 1.U : float64(3, 2)
            input 1.in4 : float64(5, 2)
            %1.0 = matmul(1.in4, 1.h[t-1]) : float64(5,)
            %1.1 = parts[axis=0, sizes=(2, 3)](%1.0) : float64(2,), float64(3,)
            %1.2 = tanh(%1.1:0) : float64(2,)
            %1.3 = sum[axis=(0,), dtype=float64, keepdims=False](%1.1:1) : float64()
            %1.4 = mul(%1.2, %1.3) : float64(2,)
            %1.5 = add(%1.4, 1.x[t]) : float64(2,)
            return %1.5
        return %1""")


@pytest.mark.parametrize("left", [True, False])
def test_operands_with_two_axes_are_split_along_the_axis_of_the_matrix(left) -> None:
    x, h, W, U = float64("x", 4, 3, 3), float64("h", 3, 3), float64("W", 3, 3), float64("U", 3, 3)

    def step(x, h):
        one, other = (W @ h, U @ h) if left else (h @ W, h @ U)
        return at.tanh(one) * other + x

    out, _ = loopjax.scan(step, sequences=x, outputs_info=h)
    joined = text(after([FuseProducts()], [x, h, W, U], [out]))
    assert f"parts[axis={0 if left else 1}, sizes=(3, 3)]" in joined
    rng = np.random.default_rng(4)
    values = [rng.normal(size=shape) for shape in ((4, 3, 3), (3, 3), (3, 3), (3, 3))]
    rows, state, *matrices = values
    for row, found in zip(rows, loopjax.function([x, h, W, U], out)(*values), strict=True):
        one, other = (m @ state if left else state @ m for m in matrices)
        state = np.tanh(one) * other + row
        np.testing.assert_allclose(found, state, rtol=1e-12)


W, U, V = float64("W", 2, 2), float64("U", 2, 2), float64("V", 2, 2)


@pytest.mark.parametrize(
    "step",
    [
        lambda x, h: h @ W + x,
        lambda x, h: h @ W + h @ W + x,
        lambda x, h: h @ W + x @ U,
        lambda x, h: h @ W + U @ h,
        lambda x, h: h @ W + h @ (U * h),
        lambda x, h: at.dot(h, W) + h @ U + x,
    ],
    ids=["one product", "one matrix", "other operands", "other sides", "a matrix that varies", "other ops"],
)
def test_not(step) -> None:
    x, h = float64("x", 4, 2), float64("h", 2)
    out, _ = loopjax.scan(step, sequences=x, outputs_info=h)
    assert not rewrites(FuseProducts(), [x, h, W, U], [out])


@pytest.mark.parametrize(("limit", "fuses"), [(4, True), (5, False)])
def test_least_steps(limit, fuses) -> None:
    h = float64("h", 2)
    out, _ = loopjax.scan(lambda h: h @ W + h @ U, outputs_info=h, n_steps=4)
    assert rewrites(FuseProducts(least_steps=limit), [h, W, U], [out]) is fuses


def test_not_where_all_steps_run_at_once() -> None:
    x = float64("x", 4, 2)
    out, _ = loopjax.scan(lambda x: x @ W + x @ U, sequences=x)
    assert not rewrites(FuseProducts(), [x, W, U], [out])


def test_a_product_of_a_product() -> None:
    """The operand of the second group is computed from the first."""
    h = float64("h", 2)

    def step(h):
        g = at.tanh(h @ W + h @ U)
        return at.tanh(g @ V + g @ W)

    out, _ = loopjax.scan(step, outputs_info=h, n_steps=4)
    graph = after([FuseProducts()], [h, W, U, V], [out])
    (loop,) = scans(graph)
    assert [node.op.name for node in loop.body.applies].count("matmul") == 2
    values = [np.random.default_rng(0).normal(size=shape) for shape in ((2,), (2, 2), (2, 2), (2, 2))]
    f = loopjax.function([h, W, U, V], out)
    plain = loopjax.function([h, W, U, V], out, mode=loopjax.Mode().excluding("fuse_products"))
    np.testing.assert_allclose(f(*values), plain(*values), rtol=1e-12)


@pytest.mark.parametrize(("n_steps", "fuses"), [(4, True), (3, False)])
def test_least_steps_by_default(n_steps, fuses) -> None:
    h = float64("h", 2)
    out, _ = loopjax.scan(lambda h: h @ W + h @ U, outputs_info=h, n_steps=n_steps)
    assert rewrites(FuseProducts(), [h, W, U], [out]) is fuses


@pytest.mark.parametrize(
    ("operand", "step", "fuses"),
    [
        ((2,), FuseProducts(most_bytes=64), True),
        ((2,), FuseProducts(most_bytes=63), False),
        ((2,), FuseProducts(Target("gpu"), most_bytes=63), True),
        ((2, 2), FuseProducts(most_bytes=63), True),
    ],
    ids=["small", "large", "large on a GPU", "several vectors"],
)
def test_most_bytes(operand, step, fuses) -> None:
    h = float64("h", *operand)
    out, _ = loopjax.scan(lambda h: h @ W + h @ U, outputs_info=h, n_steps=4)
    assert rewrites(step, [h, W, U], [out]) is fuses


@pytest.mark.parametrize(("units", "fuses"), [(128, True), (129, False)])
def test_most_bytes_by_default(units, fuses) -> None:
    h, first, second = float64("h", units), float64("first", units, units), float64("second", units, units)
    out, _ = loopjax.scan(lambda h: h @ first + h @ second, outputs_info=h, n_steps=4)
    assert rewrites(FuseProducts(), [h, first, second], [out]) is fuses


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(
    "step",
    [
        lambda x, h, g, W, U, V: [at.tanh(x + h @ W + (g * x) @ U), g - at.tanh(g @ V)],
        lambda x, h, g, W, U, V: [at.tanh(h @ W - x + g @ U + (g * h) @ V + 1), at.tanh(g)],
        lambda x, h, g, W, U, V: [at.tanh((g * x) @ W + h @ U), at.sin(g + h)],
    ],
)
def test_sums_of_products_are_one(step, gradient) -> None:
    x, h, g = float64("x", 6, 3, 16), float64("h", 3, 16), float64("g", 3, 16)
    weights = [float64(name, 16, 16) for name in "WUV"]
    (a, b), _ = loopjax.scan(step, sequences=x, outputs_info=[h, g], non_sequences=weights)
    cost = (a**2).sum() + (a * b).sum()
    inputs = [x, h, g, *weights]
    outputs = [cost, *loopjax.grad(cost, inputs, disconnected_inputs="ignore")] if gradient else [a, b]
    values = [np.random.default_rng(k).normal(size=one.type.shape) for k, one in enumerate(inputs)]
    joined = loopjax.function(inputs, outputs, on_unused_input="ignore")
    apart = loopjax.function(inputs, outputs, on_unused_input="ignore", mode=APART)
    for one, other in zip(joined(*values), apart(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assert "sums of products are one product each" in str(loopjax.explain(joined))


def test_sums_of_products_of_vectors_or_of_other_shapes_stay() -> None:
    h, g, W, U = float64("h", 3, 16), float64("g", 3, 1), float64("W", 16, 16), float64("U", 1, 1)
    (a, _), _ = loopjax.scan(lambda h, g: [at.tanh(h @ W + g @ U), at.tanh(g)], outputs_info=[h, g], n_steps=5)
    v, w = float64("v", 16), float64("w", 16)
    (b, _), _ = loopjax.scan(lambda v, w: [at.tanh(v @ W + w @ W.T), at.tanh(w)], outputs_info=[v, w], n_steps=5)
    f = loopjax.function([h, g, W, U, v, w], [a, b])
    f(np.ones((3, 16)), np.ones((3, 1)), np.ones((16, 16)), np.ones((1, 1)), np.ones(16), np.ones(16))
    assert "sums of products" not in str(loopjax.explain(f))


def test_sums_stay_beside_products_that_share_an_operand() -> None:
    """What reads such a sum would no longer be one product."""
    x, h, g = float64("x", 6, 3, 16), float64("h", 3, 16), float64("g", 3, 16)
    W, U, V, T = (float64(name, 16, 16) for name in "WUVT")

    def step(x, h, g, W, U, V, T):
        a = at.tanh(x + h @ W + g @ U)
        return [a @ V, at.sin(a @ T)]

    (b, c), _ = loopjax.scan(step, sequences=x, outputs_info=[h, g], non_sequences=[W, U, V, T])
    (op,) = scans(after([FuseProducts()], [x, h, g, W, U, V, T], [b, c]))
    assert [node.op.name for node in op.body.applies if node.op.has("matmul")] == ["matmul"] * 3
    assert any(node.op.named("parts") for node in op.body.applies)


def test_products_that_are_read_elsewhere_stay() -> None:
    h, g, W, U = float64("h", 3, 16), float64("g", 3, 16), float64("W", 16, 16), float64("U", 16, 16)

    def step(h, g, W, U):
        first = h @ W
        return [at.tanh(first + g @ U), at.tanh(g), first]

    (_, _, first), _ = loopjax.scan(step, outputs_info=[h, g, None], non_sequences=[W, U], n_steps=5)
    assert not rewrites(FuseProducts(), [h, g, W, U], [first])
