"""Products, diagonals and triangles against NumPy."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

RNG = np.random.default_rng(1)


def array(*shape):
    return RNG.normal(size=shape)


PRODUCTS = [
    ("dot", at.dot, np.dot, (3,), (3,)),
    ("dot", at.dot, np.dot, (2, 3), (3,)),
    ("dot", at.dot, np.dot, (3,), (3, 4)),
    ("dot", at.dot, np.dot, (2, 3), (3, 4)),
    ("dot", at.dot, np.dot, (2, 3), (5, 3, 4)),
    ("dot", at.dot, np.dot, (), (3,)),
    ("dot", at.dot, np.dot, (2, 0), (0, 4)),
    ("x.dot", lambda x, y: x.dot(y), np.dot, (2, 3), (3, 4)),
    ("@", lambda x, y: x @ y, np.matmul, (2, 3), (3, 4)),
    ("@", lambda x, y: x @ y, np.matmul, (3,), (3,)),
    ("matmul", at.matmul, np.matmul, (5, 2, 3), (5, 3, 4)),
    ("matmul", at.matmul, np.matmul, (5, 2, 3), (3, 4)),
    ("matmul", at.matmul, np.matmul, (3,), (5, 3, 4)),
    ("matmul", at.matmul, np.matmul, (5, 2, 3), (3,)),
    ("outer", at.outer, np.outer, (3,), (4,)),
    ("outer", at.outer, np.outer, (2, 2), (3,)),
    ("inner", at.inner, np.inner, (2, 3), (4, 3)),
    ("inner", at.inner, np.inner, (), (4, 3)),
    ("vdot", at.vdot, np.vdot, (2, 3), (2, 3)),
    ("tensordot", at.tensordot, np.tensordot, (2, 3, 4), (3, 4, 5)),
    ("tensordot 1", lambda x, y: at.tensordot(x, y, 1), lambda x, y: np.tensordot(x, y, 1), (2, 3), (3, 4)),
    ("tensordot 0", lambda x, y: at.tensordot(x, y, 0), lambda x, y: np.tensordot(x, y, 0), (2,), (3,)),
    (
        "tensordot axes",
        lambda x, y: at.tensordot(x, y, [[2, 0], [0, -1]]),
        lambda x, y: np.tensordot(x, y, [[2, 0], [0, -1]]),
        (2, 3, 4),
        (4, 2),
    ),
    ("kron", at.linalg.kron, np.kron, (2, 3), (4, 5)),
    ("kron", at.linalg.kron, np.kron, (2,), (3, 2)),
    ("kron", at.linalg.kron, np.kron, (2, 3, 2), (4,)),
    ("kron", at.linalg.kron, np.kron, (2,), (3,)),
    ("matrix_dot", at.linalg.matrix_dot, np.dot, (2, 3), (3, 4)),
    ("batched_dot", at.batched_dot, np.matmul, (5, 2, 3), (5, 3, 4)),
    ("batched_dot", at.batched_dot, lambda x, y: np.einsum("bi,bi->b", x, y), (5, 3), (5, 3)),
    ("batched_dot", at.batched_dot, lambda x, y: np.einsum("bi,bij->bj", x, y), (5, 3), (5, 3, 4)),
    ("batched_dot", at.batched_dot, lambda x, y: np.einsum("bij,bj->bi", x, y), (5, 2, 3), (5, 3)),
]


@pytest.mark.parametrize(("op", "reference", "left", "right"), [row[1:] for row in PRODUCTS])
def test_products(op, reference, left, right):
    x, y = array(*left), array(*right)
    known = at.tensor("float64", left), at.tensor("float64", right)
    unknown = at.tensor("float64", (None,) * len(left)), at.tensor("float64", (None,) * len(right))
    outputs = [op(*known), op(*unknown)]
    wanted = reference(x, y)
    assert outputs[0].type.shape == np.shape(wanted)
    for found, output in zip(loopjax.function([*known, *unknown], outputs)(x, y, x, y), outputs, strict=True):
        assert found.dtype == output.dtype == "float64"
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "dtypes", [("float32", "float32"), ("float32", "int64"), ("int32", "int64"), ("int8", "float64")]
)
def test_products_meet_in_one_dtype(dtypes):
    x, y = (at.tensor(dtype, (2, 2)) for dtype in dtypes)
    a, b = (np.array([[1, 2], [3, 4]]).astype(dtype) for dtype in dtypes)
    wanted = (x + y).dtype
    for op in (at.dot, at.matmul, at.tensordot, at.outer, at.inner):
        found = loopjax.function([x, y], op(x, y))(a, b)
        assert found.dtype == op(x, y).dtype == wanted
    np.testing.assert_array_equal(loopjax.function([x, y], at.dot(x, y))(a, b), [[7, 10], [15, 22]])


def test_a_product_with_a_constant_array():
    x = at.fmatrix()
    assert at.dot(x, [[1, 2], [3, 4]]).dtype == "float32"
    assert (np.eye(2, dtype="float32") @ x).dtype == "float32"
    found = loopjax.function([x], np.ones((2, 2), "float32") @ x)(np.eye(2, dtype="float32"))
    np.testing.assert_array_equal(found, np.ones((2, 2)))


@pytest.mark.parametrize("offset", [0, 1, -1, 5])
def test_diagonals(offset):
    m, v, cube = at.dmatrix(), at.dvector(), at.dtensor3()
    a, b, c = array(3, 4), array(3), array(2, 3, 4)
    outputs = [
        at.diag(m, offset),
        at.diag(v, offset),
        m.diagonal(offset),
        at.diagonal(cube, offset, 2, 0),
        at.trace(m, offset),
        at.tril(m, offset),
        at.triu(cube, offset),
    ]
    wanted = [
        np.diag(a, offset),
        np.diag(b, offset),
        np.diagonal(a, offset),
        np.diagonal(c, offset, 2, 0),
        np.trace(a, offset),
        np.tril(a, offset),
        np.triu(c, offset),
    ]
    for found, other in zip(loopjax.function([m, v, cube], outputs)(a, b, c), wanted, strict=True):
        assert found.dtype == "float64"
        np.testing.assert_allclose(found, other, rtol=1e-14)
    known = at.tensor("float64", (3, 4))
    assert at.diag(known, offset).type.shape == wanted[0].shape
    assert at.diag(at.tensor("float64", (3,)), offset).type.shape == wanted[1].shape
    assert known.trace().ndim == 0


@pytest.mark.parametrize("offset", [0, 1, -2])
@pytest.mark.parametrize("axes", [(0, 1), (-2, -1), (2, 0), (1, 2)])
def test_alloc_diag_is_what_extract_diag_reads(offset, axes):
    x, rows = at.tensor("float64", (2, 3)), array(2, 3)
    matrices = at.alloc_diag(x, offset, *axes)
    found, back = loopjax.function([x], [matrices, at.extract_diag(matrices, offset, *axes)])(rows)
    wanted = np.moveaxis(np.stack([np.diag(row, offset) for row in rows]), (-2, -1), axes)
    assert found.shape == matrices.type.shape
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (0, -1)])
def test_alloc_diag_of_a_vector(axes):
    x = at.dvector()
    found = loopjax.function([x], at.alloc_diag(x, 1, *axes))([1.0, 2.0])
    np.testing.assert_array_equal(found, np.diag([1.0, 2.0], 1 if axes != (1, 0) else -1))


def test_matrix_dot_of_several():
    matrices = [array(2, 3), array(3, 4), array(4, 2)]
    inputs = [at.dmatrix() for _ in matrices]
    found = loopjax.function(inputs, at.linalg.matrix_dot(*inputs))(*matrices)
    np.testing.assert_allclose(found, np.linalg.multi_dot(matrices), rtol=1e-12)
    with pytest.raises(TypeError, match=r"one matrix at least \[test_products\.py:\d+\](\n|$)"):
        at.linalg.matrix_dot()


def test_gradients_of_kron_and_alloc_diag():
    loopjax.verify_grad(at.linalg.kron, [array(2, 3), array(3, 2)])
    loopjax.verify_grad(lambda x: at.alloc_diag(x, 1), [array(2, 3)])


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (lambda x, y: at.dot(x, y), r"dot: shapes \(2, 3\) and \(2, 3\) do not multiply: dimensions 3 and 2 differ"),
        (lambda x, y: x @ y, "matmul: shapes .* do not multiply"),
        (lambda x, y: x @ 2.0, "matmul of a scalar"),
        (lambda x, y: at.tensordot(x, y.T), "tensordot: .*do not multiply"),
        (lambda x, y: at.tensordot(x, y, 3), "tensordot over 3 axes"),
        (lambda x, y: at.tensordot(x, y, [[0, 1], [0]]), "tensordot sums over 2 axes of x and 1"),
        (lambda x, y: at.tensordot(x, y, [[2], [0]]), "axis 2 is outside"),
        (lambda x, y: at.inner(x, y.T), "do not multiply"),
        (lambda x, y: at.batched_dot(x[0], y), "batched_dot takes arrays of 2 or 3 dimensions"),
        (lambda x, y: at.batched_dot(x, y[:1, :2]), "do not multiply"),
        (lambda x, y: at.diag(x.dimshuffle("x", 0, 1)), "diag takes a vector or a matrix"),
        (lambda x, y: at.diagonal(x, 0, 1, 1), "a diagonal runs along two axes"),
        (lambda x, y: at.alloc_diag(1.0), "alloc_diag takes vectors"),
        (lambda x, y: at.tril(x[0]), "tril takes matrices"),
    ],
)
def test_errors_name_the_line(op, message):
    with pytest.raises(ValueError, match=rf"{message}.*\[test_products\.py:\d+\](\n|$)"):
        op(at.tensor("float64", (2, 3)), at.tensor("float64", (2, 3)))


def test_shapes_that_turn_out_wrong_name_the_line():
    x, y = at.dmatrix(), at.dvector()
    f = loopjax.function([x, y], at.dot(x, y))
    np.testing.assert_array_equal(f(np.ones((2, 3)), np.ones(3)), [3.0, 3.0])
    with pytest.raises(
        ValueError, match=r"dot: shapes \(2, 3\) and \(1,\) do not multiply.*\[test_products\.py:\d+\](\n|$)"
    ):
        f(np.ones((2, 3)), np.ones(1))
