"""Kalman filter: a linear state, observed through one noisy number per step."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any


def kalman(aesara: Any, gradient: bool) -> Any:
    """Log-likelihood of ``z (T,)`` and the filtered means, or its gradient with respect to ``F``, ``Q`` and ``r``.

    Inputs are ``z``, the transition ``F`` and its noise ``Q``, both ``(n, n)``, the observation weights ``H (n,)`` and
    the observation variance ``r``.
    """
    at = aesara.tensor
    z, F, Q, H, r = at.dvector("z"), at.dmatrix("F"), at.dmatrix("Q"), at.dvector("H"), at.dscalar("r")

    def step(z_t: Any, m: Any, P: Any, F: Any, Q: Any, H: Any, r: Any) -> list[Any]:
        m = at.dot(F, m)
        P = at.dot(at.dot(F, P), F.T) + Q
        seen = at.dot(P, H)
        variance = at.dot(H, seen) + r
        error = z_t - at.dot(H, m)
        gain = seen / variance
        return [m + gain * error, P - at.outer(gain, seen), -0.5 * (error**2 / variance + at.log(variance))]

    (m, _, terms), updates = aesara.scan(
        fn=step,
        sequences=z,
        outputs_info=[at.zeros_like(H), at.eye(H.shape[0], dtype="float64"), None],
        non_sequences=[F, Q, H, r],
    )
    outputs = aesara.grad(terms.sum(), [F, Q, r]) if gradient else [terms.sum(), m]
    return aesara.function([z, F, Q, H, r], outputs, updates=updates)
