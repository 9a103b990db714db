"""Linear algebra of the peers that the core has not, on ``jax.numpy.linalg`` and ``jax.scipy.linalg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np

from loopjax import tensor
from loopjax.compat.rows import result, row
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable


def eig(a: Any) -> Any:
    """Eigenvalues and right eigenvectors, complex, on the host; without derivatives."""

    def run(a: Any) -> Any:
        kind = jnp.result_type(a.dtype, jnp.complex64)
        results = result(a.shape[:-1], kind), result(a.shape, kind)

        def host(a: Any) -> Any:
            values, vectors = np.linalg.eig(a)
            return values.astype(kind), vectors.astype(kind)

        return tuple(jax.pure_callback(host, results, a, vmap_method="expand_dims"))

    return list(row(run, 1, "eig")(a))


def eigvals(a: Any) -> Variable:
    """Eigenvalues, complex."""
    found: Variable = eig(a)[0]
    return found


def lu(a: Any, permute_l: bool = False, p_indices: bool = False, **options: Any) -> Any:
    """Factors of ``a = P L U``: ``(P, L, U)``, or ``(P L, U)``; ``P`` as indices with ``p_indices``."""

    def run(a: Any) -> Any:
        p, lower, upper = jsl.lu(a)
        if permute_l:
            return p @ lower, upper
        return (jnp.argmax(p, -1).astype("int32") if p_indices else p), lower, upper

    return list(row(run, 1, "lu")(a))


def lu_factor(a: Any, **options: Any) -> Any:
    """Factors of a matrix in one, and its pivots, for ``lu_solve``."""
    return list(row(lambda a: tuple(jsl.lu_factor(a)), 1, "lu_factor")(a))


def lu_solve(LU_and_pivots: Any, b: Any, trans: Any = False, **options: Any) -> Variable:  # noqa: N803
    """Solve ``a x = b`` with the result of ``lu_factor``."""
    factors, pivots = LU_and_pivots
    solved: Variable = row(lambda f, p, b: jsl.lu_solve((f, p), b, int(trans)), 3, "lu_solve")(factors, pivots, b)
    return solved


def pivot_to_permutation(p: Any, inverse: bool = False) -> Variable:
    """Permutation that pivots describe."""

    def run(p: Any) -> Any:
        order = jax.lax.linalg.lu_pivots_to_permutation(p.astype("int32"), p.shape[-1])
        return (order if inverse else jnp.argsort(order)).astype("int64")

    made: Variable = row(run, 1, "pivot_to_permutation")(p)
    return made


def schur(a: Any, output: str = "real", **options: Any) -> Any:
    """Schur form and unitary factor: ``a = Z T Z*``; without derivatives."""
    return list(row(lambda a: tuple(jsl.schur(a, output)), 1, "schur")(a))


def tensorinv(a: Any, ind: int = 2) -> Variable:
    """Inverse of an array as a map from its last axes to its first ``ind``."""
    made: Variable = row(lambda a: jnp.linalg.tensorinv(a, ind), 1, "tensorinv")(a)
    return made


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Variable:
    """Solution of ``tensordot(a, x) = b``."""
    made: Variable = row(lambda a, b: jnp.linalg.tensorsolve(a, b, axes), 2, "tensorsolve")(a, b)
    return made


def block_diag(*arrays: Any) -> Variable:
    """Matrices along the diagonal of one."""
    made: Variable = row(lambda blocks: jsl.block_diag(*blocks), None, "block_diag")(list(arrays))
    return made


def solve_sylvester(A: Any, B: Any, Q: Any) -> Variable:  # noqa: N803
    """Solution of ``A X + X B = Q``, as one linear system."""

    def run(a: Any, b: Any, q: Any) -> Any:
        n, m = q.shape
        system = jnp.kron(a, jnp.eye(m, dtype=a.dtype)) + jnp.kron(jnp.eye(n, dtype=a.dtype), b.T)
        return jnp.linalg.solve(system, q.reshape(-1)).reshape(n, m)

    made: Variable = row(run, 3, "solve_sylvester")(A, B, Q)
    return made


def solve_continuous_lyapunov(A: Any, Q: Any) -> Variable:  # noqa: N803
    """Solution of ``A X + X A* = Q``."""
    a = as_variable(A)
    return solve_sylvester(a, tensor.conj(a.T), Q)


def solve_discrete_lyapunov(A: Any, Q: Any, method: Any = None) -> Variable:  # noqa: N803
    """Solution of ``A X A* - X + Q = 0``, as one linear system."""

    def run(a: Any, q: Any) -> Any:
        size = a.shape[0]
        system = jnp.eye(size * size, dtype=a.dtype) - jnp.kron(a, a.conj())
        return jnp.linalg.solve(system, q.reshape(-1)).reshape(q.shape)

    made: Variable = row(run, 2, "solve_discrete_lyapunov")(A, Q)
    return made


def solve_discrete_are(A: Any, B: Any, Q: Any, R: Any, **options: Any) -> Variable:  # noqa: N803
    """Solution of the discrete algebraic Riccati equation, by 60 doubling steps (Anderson 1978)."""

    def run(a: Any, b: Any, q: Any, r: Any) -> Any:
        eye = jnp.eye(a.shape[0], dtype=a.dtype)

        def step(_: Any, state: Any) -> Any:
            a, g, h = state
            inverse = jnp.linalg.solve(eye + g @ h, eye)
            return a @ inverse @ a, g + a @ inverse @ g @ a.T, h + a.T @ h @ inverse @ a

        return jax.lax.fori_loop(0, 60, step, (a, b @ jnp.linalg.solve(r, b.T), q))[2]

    made: Variable = row(run, 4, "solve_discrete_are")(A, B, Q, R)
    return made


def matvec(a: Any, x: Any) -> Variable:
    """Products of stacked matrices and vectors."""
    return tensor.matmul(a, as_variable(x)[..., None])[..., 0]


def vecmat(x: Any, a: Any) -> Variable:
    """Products of stacked vectors and matrices."""
    return tensor.matmul(tensor.conj(as_variable(x))[..., None, :], a)[..., 0, :]


def vecdot(x: Any, y: Any) -> Variable:
    """Scalar products along the last axis."""
    return tensor.sum(tensor.conj(x) * as_variable(y), axis=-1)


def matrix_transpose(x: Any) -> Variable:
    """The last two axes exchanged."""
    return tensor.swapaxes(x, -1, -2)


def batched_dot(a: Any, b: Any) -> Variable:
    """Products of matrices or vectors along a first axis of examples."""
    x, y = as_variable(a), as_variable(b)
    if x.ndim == 1 or y.ndim == 1:
        wide, thin = (y, x) if x.ndim == 1 else (x, y)
        return wide * thin.dimshuffle(0, *["x"] * (wide.ndim - 1))
    return tensor.batched_dot(x, y)


def batched_tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """``tensordot`` of each example along a first axis."""
    counts = axes if isinstance(axes, int) else tuple(tuple(np.atleast_1d(one) - 1) for one in axes)
    plain = counts if isinstance(counts, int) else tuple(tuple(int(place) for place in one) for one in counts)
    made: Variable = row(jax.vmap(lambda x, y: jnp.tensordot(x, y, plain)), 2, "batched_tensordot")(x, y)
    return made


def names() -> dict[str, Callable[..., Any]]:
    """Return the functions by name."""
    return {name: value for name, value in globals().items() if getattr(value, "__module__", "") == __name__}
