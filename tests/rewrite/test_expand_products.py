"""Products of tiny matrices are sums of elementwise products: values, gradients, and which products."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.expand_products import ExpandProducts
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text

RNG = np.random.default_rng(3)
M, V, F = at.dmatrix("m"), at.dvector("v"), at.dmatrix("f")


def products(f):
    """How many products are left in the bodies of loops."""
    graph = f.stages[0].programs[-1].graph
    return sum(node.op.has("matmul") for op in scans(graph) for node in op.body.applies)


def agree(inputs, outputs, *values, left=0):
    f = loopjax.function(inputs, outputs, lengths="exact")
    whole = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("expand_products"), lengths="exact")
    for one, other in zip(f(*values), whole(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert products(f) == left
    assert products(whole) >= 1


def kalman(m, p, f):
    """All forms of a product: of matrices, of a matrix and a vector on either side, of vectors."""
    p = at.dot(at.dot(f, p), f.T) + at.eye(3, dtype="float64")
    seen = at.dot(p, m)
    return at.dot(m, f) / (1 + at.dot(m, seen)), p / (1 + at.dot(seen, seen))


def test_values_and_gradients():
    (m, p), _ = loopjax.scan(kalman, outputs_info=[V, M], non_sequences=F, n_steps=5)
    cost = m.sum() + (p[-1] ** 2).sum()
    values = RNG.normal(size=3), np.eye(3), RNG.normal(size=(3, 3))
    agree([V, M, F], [m, p, *loopjax.grad(cost, [V, M, F])], *values)


def test_rectangular_matrices_and_matmul():
    m, _ = loopjax.scan(
        lambda m, f: at.tanh(at.matmul(f, at.matmul(f.T, m))), outputs_info=M, non_sequences=F, n_steps=4
    )
    agree([M, F], [m, loopjax.grad(m.sum(), F)], RNG.normal(size=(5, 2)), RNG.normal(size=(5, 3)))


class TestWhich:
    def loop(self, rows, dtype="float64"):
        m, f = (at.matrix(name, dtype=dtype) for name in "mf")
        out, _ = loopjax.scan(lambda m, f: at.tanh(at.dot(f, m)), outputs_info=m, non_sequences=f, n_steps=3)
        program = loopjax.function([m, f], out)
        program(*(RNG.normal(size=(rows, rows)).astype(dtype) for _ in "mf"))
        return products(program)

    def test_by_size(self):
        assert self.loop(12) == self.loop(4, "float32") == 0
        assert self.loop(13) == 1

    def test_not_of_integers_nor_of_vectors_alone(self):
        m, f = at.lmatrix("m"), at.lmatrix("f")
        out, _ = loopjax.scan(lambda m, f: at.dot(f, m), outputs_info=m, non_sequences=f, n_steps=3)
        integers = loopjax.function([m, f], out)
        np.testing.assert_array_equal(
            integers(np.eye(2, dtype=int), np.array([[1, 2], [3, 4]]))[-1], [[37, 54], [81, 118]]
        )
        assert products(integers) == 1
        v, _ = loopjax.scan(lambda v, f: at.tanh(at.dot(f, v)), outputs_info=V, non_sequences=F, n_steps=3)
        agree([V, F], [v], RNG.normal(size=3), RNG.normal(size=(3, 3)), left=1)

    def test_not_where_steps_run_all_at_once(self):
        x = at.dtensor3("x")
        out, _ = loopjax.scan(lambda m, f: at.dot(at.dot(m, f), m), sequences=x, non_sequences=F)
        f = loopjax.function([x, F], out)
        f(RNG.normal(size=(4, 3, 3)), np.eye(3))
        assert products(f) == 2


@pytest.mark.parametrize("row", ["dot", "matmul"])
def test_a_gradient_of_one_product_is_that_of_the_sum(row):
    out, _ = loopjax.scan(lambda m, f: at.sin(getattr(at, row)(m, f)), outputs_info=M, non_sequences=F, n_steps=2)
    loopjax.verify_grad(
        lambda m, f: loopjax.clone_replace(out, {M: m, F: f}),
        [RNG.normal(size=(2, 3)), RNG.normal(size=(3, 3))],
        rng=np.random.default_rng(0),
    )


def test_before_and_after() -> None:
    m, f = float64("m", 2, 3), float64("f", 2, 2)
    out, _ = loopjax.scan(lambda m, f: at.dot(f, m), outputs_info=m, non_sequences=f, n_steps=3)
    assert text(sized_graph([m, f], [out])) == lines("""
        input m : float64(2, 3)
        input f : float64(2, 2)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all](m, f) : float64(3, 2, 3)
            input 0.m[t-1] : float64(2, 3)
            input 0.f : float64(2, 2)
            %0.0 = dot(0.f, 0.m[t-1]) : float64(2, 3)
            return %0.0
        return %0""")
    assert text(after([ExpandProducts()], [m, f], [out])) == lines("""
        input m : float64(2, 3)
        input f : float64(2, 2)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all](m, f) : float64(3, 2, 3)
            input 0.m[t-1] : float64(2, 3)
            input 0.f : float64(2, 2)
            %0.0 = dimshuffle[pattern=(0, 1, None)](0.f) : float64(2, 2, 1)
            %0.1 = dimshuffle[pattern=(None, 0, 1)](0.m[t-1]) : float64(1, 2, 3)
            %0.2 = mul(%0.0, %0.1) : float64(2, 2, 3)
            %0.3 = sum[axis=(1,), dtype=float64, keepdims=False](%0.2) : float64(2, 3)
            return %0.3
        return %0""")


@pytest.mark.parametrize(
    ("step", "expands"),
    [
        (ExpandProducts(most_rows=3), True),
        (ExpandProducts(most_rows=2), False),
        (ExpandProducts(Target("gpu")), True),
        (ExpandProducts(Target("gpu", reassociate=True)), False),
        (ExpandProducts(Target(reassociate=True)), True),
    ],
)
def test_limits(step, expands) -> None:
    m, f = float64("m", 2, 3), float64("f", 2, 2)
    out, _ = loopjax.scan(lambda m, f: at.dot(f, m), outputs_info=m, non_sequences=f, n_steps=3)
    assert rewrites(step, [m, f], [out]) is expands


@pytest.mark.parametrize(("dtype", "expands"), [("float32", True), ("complex64", False), ("int32", False)])
def test_dtypes(dtype, expands) -> None:
    m, f = (at.tensor(dtype, shape=(2, 2), name=name) for name in "mf")
    out, _ = loopjax.scan(lambda m, f: at.dot(f, m), outputs_info=m, non_sequences=f, n_steps=3)
    assert rewrites(ExpandProducts(), [m, f], [out]) is expands
