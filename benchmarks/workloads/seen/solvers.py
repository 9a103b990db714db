"""Linear algebra and regression by iteration."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import solvers
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _definite(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(200, quick=12)
    root = rng.normal(size=(size, size)) / size**0.5
    A = root @ root.T + np.diag(rng.uniform(0.2, 2, size))
    return inputs(A, rng.normal(size=size), most=5 * size, tolerance=1e-9)


def _conjugate_gradients(A: Any, b: Any, most: int, tolerance: float) -> list[Any]:
    inverse = 1 / jnp.diag(A)

    def step(state: Any) -> Any:
        i, x, r, p = state
        z, Ap = inverse * r, A @ p
        alpha = (r @ z) / (p @ Ap)
        x, left = x + alpha * p, r - alpha * Ap
        new = inverse * left
        return i + 1, x, left, new + (left @ new) / (r @ z) * p

    def goes_on(state: Any) -> Any:
        return (jnp.linalg.norm(state[2]) >= tolerance) & (state[0] < most)

    count, x, _, _ = lax.while_loop(goes_on, step, (jnp.int32(0), jnp.zeros_like(b), b, inverse * b))
    return [x, count]


def _links(rng: np.random.Generator, scale: Scale) -> Inputs:
    pages, links = scale.pick((300, 2_400), quick=(12, 40))
    target = np.minimum(rng.geometric(4 / pages, links) - 1, pages - 1)
    source = rng.integers(0, pages - pages // 12, links)
    ends = source.astype("int32"), target.astype("int32")
    return inputs(*ends, np.float64(0.85), pages=pages, most=300, tolerance=1e-10)


def _page_rank(source: Any, target: Any, damping: Any, pages: int, most: int, tolerance: float) -> Any:
    out = jnp.zeros(pages).at[source].add(1)

    def step(state: Any) -> Any:
        i, rank, _ = state
        share = jnp.where(out > 0, rank / jnp.maximum(out, 1), 0)
        lost = jnp.where(out > 0, 0, rank).sum()
        found = jnp.zeros(pages).at[target].add(share[source])
        new = (1 - damping) / pages + damping * (found + lost / pages)
        return i + 1, new, jnp.abs(new - rank).sum()

    start = jnp.int32(0), jnp.full(pages, 1 / pages), jnp.float64(jnp.inf)
    return lax.while_loop(lambda state: (state[2] >= tolerance) & (state[0] < most), step, start)[1]


def _page_rank_tuned(source: Any, target: Any, damping: Any, pages: int, most: int, tolerance: float) -> Any:
    """Shares before the loop; no test of places."""
    out = jnp.zeros(pages).at[source].add(1)
    share = jnp.where(out > 0, damping / jnp.maximum(out, 1), 0)
    loses = jnp.where(out > 0, 0.0, damping / pages)
    base = jnp.full(pages, (1 - damping) / pages)

    def step(state: Any) -> Any:
        i, rank, _ = state
        moved = (rank * share).at[source].get(mode="promise_in_bounds")
        new = (base + (rank * loses).sum()).at[target].add(moved, mode="promise_in_bounds")
        return i + 1, new, jnp.abs(new - rank).sum()

    start = jnp.int32(0), jnp.full(pages, 1 / pages), jnp.float64(jnp.inf)
    return lax.while_loop(lambda state: (state[2] >= tolerance) & (state[0] < most), step, start)[1]


def _regression(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, size, sweeps = scale.pick((100, 40, 60), quick=(12, 5, 20))
    X = rng.normal(size=(rows, size)) + 0.5 * rng.normal(size=(rows, 1))
    y = X @ (rng.normal(size=size) * (rng.uniform(size=size) < 0.3)) + rng.normal(size=rows)
    return inputs(X, y, np.float64(0.1 * rows), sweeps=scale.steps(sweeps))


def _lasso(X: Any, y: Any, penalty: Any, sweeps: int) -> list[Any]:
    size = (X**2).sum(0)

    def coefficient(residual: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        x_j, size_j, beta_j = now
        found = x_j @ residual + size_j * beta_j
        new = jnp.sign(found) * jnp.maximum(jnp.abs(found) - penalty, 0) / size_j
        return residual - x_j * (new - beta_j), new

    def sweep(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        beta, residual = carry
        residual, beta = lax.scan(coefficient, residual, (X.T, size, beta))
        return (beta, residual), None

    (beta, residual), _ = lax.scan(sweep, (jnp.zeros(X.shape[1]), y), None, length=sweeps)
    return [beta, residual]


def _lasso_tuned(X: Any, y: Any, penalty: Any, sweeps: int) -> list[Any]:
    """Products of the columns with each other and with the residual instead of the residual, which is computed at the
    end."""
    G, count = X.T @ X, X.shape[1]
    size = jnp.diag(G)
    columns = jnp.arange(count, dtype="int32"), G, size, 1 / size

    def coefficient(with_residual: Any, now: Any) -> tuple[Any, Any]:
        j, row, size_j, inverse_j, before = now
        found = lax.dynamic_index_in_dim(with_residual, j, keepdims=False) + size_j * before
        new = (found - jnp.clip(found, -penalty, penalty)) * inverse_j
        return with_residual - row * (new - before), new

    def sweep(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        beta, with_residual = carry
        with_residual, beta = lax.scan(coefficient, with_residual, (*columns, beta))
        return (beta, with_residual), None

    (beta, _), _ = lax.scan(sweep, (jnp.zeros(count), X.T @ y), None, length=sweeps)
    return [beta, y - X @ beta]


def _symmetric(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, sweeps = scale.pick((16, 7), quick=(4, 6))
    root = rng.normal(size=(size, size))
    rows, columns = np.triu_indices(size, 1)
    return inputs(root + root.T, rows.astype("int32"), columns.astype("int32"), sweeps=sweeps)


def _eigenvalues(A: Any, rows: Any, columns: Any, sweeps: int) -> Any:
    def rotate(A: Any, pair: tuple[Any, Any]) -> tuple[Any, None]:
        p, q = pair
        off = A[p, q]
        small = jnp.abs(off) < 1e-300
        tau = (A[q, q] - A[p, p]) / (2 * jnp.where(small, 1, off))
        t = jnp.where(tau < 0, -1, 1) / (jnp.abs(tau) + jnp.sqrt(1 + tau**2))
        t = jnp.where(small, 0, t)
        c = 1 / jnp.sqrt(1 + t**2)
        s = t * c
        row_p, row_q = A[p], A[q]
        A = A.at[p].set(c * row_p - s * row_q).at[q].set(s * row_p + c * row_q)
        column_p, column_q = A[:, p], A[:, q]
        return A.at[:, p].set(c * column_p - s * column_q).at[:, q].set(s * column_p + c * column_q), None

    def sweep(A: Any, _: None) -> tuple[Any, None]:
        return lax.scan(rotate, A, (rows, columns))

    return jnp.sort(jnp.diag(lax.scan(sweep, A, None, length=sweeps)[0]))


def _eigenvalues_tuned(A: Any, rows: Any, columns: Any, sweeps: int) -> Any:
    """Pairs in an order in which half of the rows turn at once against the other half (Brent and Luk 1985)."""
    size = len(A)
    half = size // 2
    top, bottom = np.arange(half), np.arange(half, size)
    # The first row stays; all others move round by one place.
    order = np.concatenate([top[:1], bottom[:1], top[1:-1], bottom[1:], top[-1:]])

    def turned(A: Any, c: Any, s: Any) -> Any:
        one, two = A[:half], A[half:]
        return jnp.concatenate([c * one - s * two, s * one + c * two])

    def rotate(A: Any, _: None) -> tuple[Any, None]:
        diagonal, off = jnp.diagonal(A), jnp.diagonal(A, half)
        small = jnp.abs(off) < 1e-300
        tau = (diagonal[half:] - diagonal[:half]) / (2 * jnp.where(small, 1, off))
        t = jnp.where(tau < 0, -1, 1) / (jnp.abs(tau) + jnp.sqrt(1 + tau**2))
        t = jnp.where(small, 0, t)[:, None]
        c = 1 / jnp.sqrt(1 + t**2)
        A = turned(turned(A, c, t * c).T, c, t * c)
        return A[order[:, None], order], None

    return jnp.sort(jnp.diag(lax.scan(rotate, A, None, length=sweeps * (size - 1))[0]))


WORKLOADS = (
    task(
        "conjugate-gradients",
        "conjugate gradients with a 200 x 200 matrix until the residual is 1e-9",
        solvers.conjugate_gradients,
        _definite,
        _conjugate_gradients,
        compare=close(1e-7),
    ),
    task(
        "page-rank",
        "ranks of 300 pages with 2,400 links until they rest",
        solvers.page_rank,
        _links,
        _page_rank,
        _page_rank_tuned,
        close(1e-6),
    ),
    task(
        "lasso",
        "regression with a penalty, 40 coefficients one by one, 100 rows, 60 sweeps, nested loops",
        solvers.lasso,
        _regression,
        _lasso,
        _lasso_tuned,
        close(1e-7),
    ),
    task(
        "eigenvalues",
        "eigenvalues of a 16 x 16 matrix by 7 sweeps of Jacobi's rotations, nested loops",
        solvers.eigenvalues,
        _symmetric,
        _eigenvalues,
        _eigenvalues_tuned,
        close(1e-8),
    ),
)
