"""``associative_scan`` against loops, and its errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream


def test_matrices_and_vectors_with_gradients_for_many_lengths():
    A, b, c = at.dtensor3("A"), at.dmatrix("b"), at.dscalar("c")

    def compose(x, y):
        return {"A": y["A"] @ x["A"], "b": y["A"] @ x["b"] + y["b"], "scale": c * x["scale"] * y["scale"]}

    given = {"A": A, "b": b, "scale": b.sum(axis=1)}
    found = loopjax.associative_scan(compose, given)
    assert {key: str(x.type) for key, x in found.items()} == {key: str(x.type) for key, x in given.items()}

    def plain(A, b, c):
        scale, state, scales, states = b[0].sum(), b[0], [b[0].sum()], [b[0]]
        for t in range(1, len(A)):
            scale, state = c * scale * b[t].sum(), A[t] @ state + b[t]
            scales.append(scale)
            states.append(state)
        return jnp.stack(states), jnp.stack(scales)

    loss = (found["b"] ** 2).sum() + (found["scale"] ** 2).sum()
    f = loopjax.function([A, b, c], [found["b"], found["scale"], *loopjax.grad(loss, [A, b, c])])
    rng = np.random.default_rng(0)
    for length in (5, 1, 7, 4):
        values = 0.5 * rng.normal(size=(length, 2, 2)), rng.normal(size=(length, 2)), np.float64(0.7)
        with jax.enable_x64(True):
            arrays = [jnp.asarray(value) for value in values]
            slopes = jax.grad(lambda *a: sum((x**2).sum() for x in plain(*a)), argnums=(0, 1, 2))(*arrays)
            wanted = [np.asarray(x) for x in (*plain(*arrays), *slopes)]
        for one, other in zip(f(*values), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_the_other_direction_along_another_axis():
    x = at.dmatrix("x")
    f = loopjax.function([x], loopjax.associative_scan(at.maximum, x, reverse=True, axis=-1))
    np.testing.assert_array_equal(f([[1.0, 3.0, 2.0, 0.0]]), [[3, 3, 2, 0]])


def test_inside_of_loops_and_of_jax():
    x = at.fmatrix("x")
    ends, _ = loopjax.map(lambda row: loopjax.associative_scan(lambda a, b: a * b, row)[-1], x)
    f = loopjax.to_jax([x], ends)
    values = np.array([[2, 3], [4, 5]], "float32")
    np.testing.assert_array_equal(jax.jit(f)(values), [6, 20])
    np.testing.assert_array_equal(jax.grad(lambda v: f(v).sum())(values), values[:, ::-1])
    np.testing.assert_array_equal(jax.vmap(f)(values[None]), [[6, 20]])


@pytest.mark.parametrize(
    ("fn", "elems", "message"),
    [
        (at.add, 3.0, r"add: elems have <constant 3.* expected an array with axis 0"),
        (lambda a, b: (a, b), at.dvector("x"), r"returns \(\*, \*\); expected \*, as elems"),
        (lambda a, b: a + 1j, at.dvector("x"), r"returns complex128\(\); expected float64\(\), as an element is; cast"),
        (lambda a, b: a.sum(), at.dmatrix("x"), r"returns float64\(\); expected float64\(\?,\)"),
        (3, at.dvector("x"), "fn is int 3; expected an associative operator of two elements"),
    ],
)
def test_errors_say_what_was_expected(fn, elems, message):
    with pytest.raises((TypeError, ValueError), match=rf"{message}.*\[test_associative_scan.py:\d+\]"):
        loopjax.associative_scan(fn, elems)


def test_draws_are_refused():
    stream = RandomStream(1)
    with pytest.raises(loopjax.errors.UnsupportedError, match="draws random numbers; draw before, and pass them"):
        loopjax.associative_scan(lambda a, b: a + stream.normal() * b, at.dvector("x"))
