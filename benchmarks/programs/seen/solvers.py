"""Linear algebra and regression by iteration, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until


def conjugate_gradients(aesara: Any, most: int, tolerance: float) -> Any:
    """Solution of a positive definite system by preconditioned conjugate gradients until the residual is small
    (Hestenes and Stiefel 1952), and the number of steps."""
    at = aesara.tensor
    A, b = at.dmatrix("A"), at.dvector("b")
    inverse = 1 / at.diag(A)

    def step(x: Any, r: Any, p: Any) -> Any:
        z, Ap = inverse * r, at.dot(A, p)
        alpha = at.dot(r, z) / at.dot(p, Ap)
        x, left = x + alpha * p, r - alpha * Ap
        new = inverse * left
        beta = at.dot(left, new) / at.dot(r, z)
        return [x, left, new + beta * p], until(aesara, at.sqrt(at.dot(left, left)) < tolerance)

    (x, _, _), updates = aesara.scan(step, outputs_info=[at.zeros_like(b), b, inverse * b], n_steps=most)
    return aesara.function([A, b], [x[-1], at.cast(x.shape[0], "int32")], updates=updates)


def page_rank(aesara: Any, pages: int, most: int, tolerance: float) -> Any:
    """Ranks of pages from the links between them, until they rest (Page et al. 1999)."""
    at = aesara.tensor
    source, target, damping = at.ivector("source"), at.ivector("target"), at.dscalar("damping")
    zeros = at.zeros((pages,), dtype="float64")
    out = at.inc_subtensor(zeros[source], 1.0)

    def step(rank: Any) -> Any:
        share = at.switch(out > 0, rank / at.maximum(out, 1.0), 0.0)
        lost = at.switch(out > 0, 0.0, rank).sum()
        found = at.inc_subtensor(zeros[target], share[source])
        new = (1 - damping) / pages + damping * (found + lost / pages)
        return new, until(aesara, abs(new - rank).sum() < tolerance)

    rank, updates = aesara.scan(step, outputs_info=zeros + 1 / pages, n_steps=most)
    return aesara.function([source, target, damping], rank[-1], updates=updates)


def lasso(aesara: Any, sweeps: int) -> Any:
    """Coefficients of a regression with a penalty on their size, one after the other (Friedman, Hastie and Tibshirani
    2010), and the residuals, with a loop over the coefficients in each sweep."""
    at = aesara.tensor
    X, y, penalty = at.dmatrix("X"), at.dvector("y"), at.dscalar("penalty")
    size = (X**2).sum(axis=0)

    def coefficient(x_j: Any, size_j: Any, beta_j: Any, residual: Any) -> list[Any]:
        found = at.dot(x_j, residual) + size_j * beta_j
        new = at.sgn(found) * at.maximum(abs(found) - penalty, 0.0) / size_j
        return [residual - x_j * (new - beta_j), new]

    def sweep(beta: Any, residual: Any) -> list[Any]:
        (residuals, new), _ = aesara.scan(coefficient, sequences=[X.T, size, beta], outputs_info=[residual, None])
        return [new, residuals[-1]]

    start = [at.zeros_like(X[0]), y]
    (beta, residual), updates = aesara.scan(sweep, outputs_info=start, n_steps=sweeps)
    return aesara.function([X, y, penalty], [beta[-1], residual[-1]], updates=updates)


def eigenvalues(aesara: Any, sweeps: int) -> Any:
    """Eigenvalues of a symmetric matrix in order, by rotations of each pair of rows and columns in each sweep (Jacobi
    1846); ``rows`` and ``columns`` number the pairs."""
    at = aesara.tensor
    A, rows, columns = at.dmatrix("A"), at.ivector("rows"), at.ivector("columns")

    def rotate(p: Any, q: Any, A: Any) -> Any:
        off = A[p, q]
        small = abs(off) < 1e-300
        tau = (A[q, q] - A[p, p]) / (2 * at.switch(small, 1.0, off))
        t = at.switch(tau < 0, -1.0, 1.0) / (abs(tau) + at.sqrt(1 + tau**2))
        t = at.switch(small, 0.0, t)
        c = 1 / at.sqrt(1 + t**2)
        s = t * c
        row_p, row_q = A[p], A[q]
        A = at.set_subtensor(A[p], c * row_p - s * row_q)
        A = at.set_subtensor(A[q], s * row_p + c * row_q)
        column_p, column_q = A[:, p], A[:, q]
        A = at.set_subtensor(A[:, p], c * column_p - s * column_q)
        return at.set_subtensor(A[:, q], s * column_p + c * column_q)

    def sweep(A: Any) -> Any:
        rotated, _ = aesara.scan(rotate, sequences=[rows, columns], outputs_info=A)
        return rotated[-1]

    A_last, updates = aesara.scan(sweep, outputs_info=A, n_steps=sweeps)
    return aesara.function([A, rows, columns], at.sort(at.diag(A_last[-1])), updates=updates)
