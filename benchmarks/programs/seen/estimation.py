"""Filters, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

DT, GAIN = 0.01, 0.1


def information_filter(aesara: Any) -> Any:
    """Filtered states by the square-root information filter (Dyer and McReynolds 1969): ``inverse`` is that of the
    transition, ``noise`` the upper factor of the precision of a step's noise; rows of ``H`` have noise of unit size."""
    at = aesara.tensor
    inverse, noise, H, y = at.dmatrix("inverse"), at.dmatrix("noise"), at.dmatrix("H"), at.dmatrix("y")
    n = inverse.shape[0]

    def step(y_t: Any, R: Any, z: Any) -> list[Any]:
        moved = at.dot(R, inverse)
        above = at.concatenate([noise, at.zeros((n, n + 1), dtype="float64")], axis=1)
        below = at.concatenate([-moved, moved, z.dimshuffle(0, "x")], axis=1)
        predicted = at.linalg.qr(at.concatenate([above, below], axis=0), mode="r")[n:, n:]
        seen = at.concatenate([H, y_t.dimshuffle(0, "x")], axis=1)
        found = at.linalg.qr(at.concatenate([predicted, seen], axis=0), mode="r")
        R, z = found[:n, :n], found[:n, n]
        return [R, z, at.linalg.solve_triangular(R, z, lower=False)]

    start = [at.eye(n, dtype="float64"), at.zeros((n,), dtype="float64"), None]
    (_, _, x), updates = aesara.scan(step, sequences=y, outputs_info=start)
    return aesara.function([inverse, noise, H, y], x, updates=updates)


def orientation(aesara: Any) -> Any:
    """Orientation from rates of turn and accelerations, by a filter that follows the gradient (Madgwick 2010): a row
    of the result is a quaternion."""
    at = aesara.tensor
    turn, pull = at.dmatrix("turn"), at.dmatrix("pull")

    def step(w: Any, a: Any, q: Any) -> Any:
        q0, q1, q2, q3 = q[0], q[1], q[2], q[3]
        a = a / at.sqrt((a**2).sum())
        wrong = at.stack([2 * (q1 * q3 - q0 * q2), 2 * (q0 * q1 + q2 * q3), 1 - 2 * (q1**2 + q2**2)]) - a
        zero = at.zeros_like(q0)
        J = at.stack(
            [
                at.stack([-2 * q2, 2 * q3, -2 * q0, 2 * q1]),
                at.stack([2 * q1, 2 * q0, 2 * q3, 2 * q2]),
                at.stack([zero, -4 * q1, -4 * q2, zero]),
            ]
        )
        along = at.dot(wrong, J)
        turned = at.stack(
            [
                -q1 * w[0] - q2 * w[1] - q3 * w[2],
                q0 * w[0] + q2 * w[2] - q3 * w[1],
                q0 * w[1] - q1 * w[2] + q3 * w[0],
                q0 * w[2] + q1 * w[1] - q2 * w[0],
            ]
        )
        q = q + DT * (turned / 2 - GAIN * along / at.sqrt((along**2).sum()))
        return q / at.sqrt((q**2).sum())

    start = at.set_subtensor(at.zeros((4,), dtype="float64")[0], 1.0)
    q, updates = aesara.scan(step, sequences=[turn, pull], outputs_info=start)
    return aesara.function([turn, pull], q, updates=updates)
