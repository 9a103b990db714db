"""State estimation and adaptive filters, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

UKF_DT, UKF_NOISE, UKF_SEEN, UKF_SPREAD = 0.05, 0.01, 0.1, 2.0
RANGE_SEEN = 0.1
FORGETTING = 0.999
STEP_SIZE = 0.5
FORCING, L96_DT, SEEN_EVERY, ENKF_SEEN, INFLATION = 8.0, 0.02, 2, 0.5, 1.02


def kalman(aesara: Any, solve: bool) -> Any:
    """Log-likelihood of ``z (T, m)`` up to a constant and the filtered means; the gain by an inverse or ``solve``."""
    at = aesara.tensor
    z, F, Q, H, R = (make(name) for make, name in zip(5 * [at.dmatrix], "zFQHR", strict=True))

    def step(z_t: Any, m: Any, P: Any) -> list[Any]:
        m, P = at.dot(F, m), at.dot(at.dot(F, P), F.T) + Q
        S = at.dot(at.dot(H, P), H.T) + R
        error = z_t - at.dot(H, m)
        if solve:
            K = at.linalg.solve(S.T, at.dot(H, P.T)).T
            scaled = at.linalg.solve(S, error)
        else:
            inverse = at.linalg.inv(S)
            K = at.dot(at.dot(P, H.T), inverse)
            scaled = at.dot(inverse, error)
        term = -0.5 * (at.dot(error, scaled) + at.log(at.linalg.det(S)))
        return [m + at.dot(K, error), P - at.dot(at.dot(K, H), P), term]

    start = [at.zeros((F.shape[0],), dtype="float64"), at.eye(F.shape[0], dtype="float64"), None]
    (m, _, terms), updates = aesara.scan(step, sequences=z, outputs_info=start)
    return aesara.function([z, F, Q, H, R], [terms.sum(), m], updates=updates)


def smoother(aesara: Any) -> Any:
    """Means of the Rauch-Tung-Striebel smoother (Rauch, Tung and Striebel 1965) for ``z (T,)``."""
    at = aesara.tensor
    z, F, Q, h, r = at.dvector("z"), at.dmatrix("F"), at.dmatrix("Q"), at.dvector("h"), at.dscalar("r")

    def forward(z_t: Any, m: Any, P: Any) -> list[Any]:
        ahead, spread = at.dot(F, m), at.dot(at.dot(F, P), F.T) + Q
        seen = at.dot(spread, h)
        gain = seen / (at.dot(h, seen) + r)
        return [ahead + gain * (z_t - at.dot(h, ahead)), spread - at.outer(gain, seen), ahead, spread]

    start = [at.zeros_like(h), at.eye(h.shape[0], dtype="float64"), None, None]
    (m, P, ahead, spread), updates = aesara.scan(forward, sequences=z, outputs_info=start)

    def backward(m: Any, P: Any, ahead: Any, spread: Any, later: Any) -> Any:
        gain = at.linalg.solve(spread, at.dot(F, P)).T
        return m + at.dot(gain, later - ahead)

    smooth, _ = aesara.scan(
        backward, sequences=[m[:-1], P[:-1], ahead[1:], spread[1:]], outputs_info=m[-1], go_backwards=True
    )
    return aesara.function([z, F, Q, h, r], smooth, updates=updates)


def unscented(aesara: Any) -> Any:
    """Means of the unscented Kalman filter (Julier and Uhlmann 1997) of a pendulum whose sine is seen."""
    at = aesara.tensor
    z, start = at.dvector("z"), at.dvector("start")
    spread = UKF_SPREAD
    n = 2
    weight = at.constant([1 - n / spread, *(2 * n * [0.5 / spread])], dtype="float64")

    def points(m: Any, P: Any) -> Any:
        """Sigma points, one a row."""
        root = at.linalg.cholesky(spread * P).T
        return at.concatenate([m.dimshuffle("x", 0), m + root, m - root])

    def step(z_t: Any, m: Any, P: Any) -> list[Any]:
        x = points(m, P)
        x = at.stack([x[:, 0] + UKF_DT * x[:, 1], x[:, 1] - UKF_DT * 9.81 * at.sin(x[:, 0])], axis=1)
        m = at.dot(weight, x)
        P = at.dot((x - m).T * weight, x - m) + UKF_NOISE * at.eye(n, dtype="float64")
        x = points(m, P)
        seen = at.sin(x[:, 0])
        mean = at.dot(weight, seen)
        variance = at.dot(weight, (seen - mean) ** 2) + UKF_SEEN
        cross = at.dot((x - m).T, weight * (seen - mean))
        gain = cross / variance
        return [m + gain * (z_t - mean), P - at.outer(gain, gain) * variance]

    (m, _), updates = aesara.scan(step, sequences=z, outputs_info=[start, at.eye(n, dtype="float64")])
    return aesara.function([z, start], m, updates=updates)


def extended(aesara: Any) -> Any:
    """Means of the extended Kalman filter of a target of constant velocity that two stations range; derivatives of the
    ranges by ``grad``."""
    at = aesara.tensor
    z, F, Q, stations, start = (
        at.dmatrix("z"),
        at.dmatrix("F"),
        at.dmatrix("Q"),
        at.dmatrix("stations"),
        at.dvector("s"),
    )

    def step(z_t: Any, m: Any, P: Any) -> list[Any]:
        m, P = at.dot(F, m), at.dot(at.dot(F, P), F.T) + Q
        distance = at.sqrt(((m[:2] - stations) ** 2).sum(axis=1))
        H = at.stack([aesara.grad(distance[i], m) for i in range(2)])
        S = at.dot(at.dot(H, P), H.T) + RANGE_SEEN * at.eye(2, dtype="float64")
        K = at.dot(at.dot(P, H.T), at.linalg.inv(S))
        return [m + at.dot(K, z_t - distance), P - at.dot(at.dot(K, H), P)]

    (m, _), updates = aesara.scan(step, sequences=z, outputs_info=[start, at.eye(4, dtype="float64")])
    return aesara.function([z, F, Q, stations, start], m, updates=updates)


def square_root(aesara: Any) -> Any:
    """Weights of a regression, estimated row by row with Potter's square-root filter (Bierman 1977)."""
    at = aesara.tensor
    X, y, r = at.dmatrix("X"), at.dvector("y"), at.dscalar("r")

    def step(x: Any, y_t: Any, w: Any, S: Any) -> list[Any]:
        phi = at.dot(S.T, x)
        variance = at.dot(phi, phi) + r
        gain = at.dot(S, phi) / variance
        return [w + gain * (y_t - at.dot(x, w)), S - at.outer(gain, phi) / (1 + at.sqrt(r / variance))]

    start = [at.zeros((X.shape[1],), dtype="float64"), 10 * at.eye(X.shape[1], dtype="float64")]
    (w, S), updates = aesara.scan(step, sequences=[X, y], outputs_info=start)
    return aesara.function([X, y, r], [w, at.diagonal(at.dot(S[-1], S[-1].T))], updates=updates)


def ensemble(aesara: Any) -> Any:
    """Mean square error of the ensemble Kalman filter with perturbed observations (Burgers, van Leeuwen and Evensen
    1998) on the model of Lorenz (1996)."""
    at, trng = aesara.tensor, stream(aesara)
    z, truth, start = at.dmatrix("z"), at.dmatrix("truth"), at.dmatrix("start")

    def slope(x: Any) -> Any:
        return (at.roll(x, -1, 1) - at.roll(x, 2, 1)) * at.roll(x, 1, 1) - x + FORCING

    def step(z_t: Any, true: Any, x: Any) -> list[Any]:
        k1 = slope(x)
        k2 = slope(x + L96_DT / 2 * k1)
        k3 = slope(x + L96_DT / 2 * k2)
        k4 = slope(x + L96_DT * k3)
        x = x + L96_DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        mean = x.mean(axis=0)
        apart = INFLATION * (x - mean)
        x = mean + apart
        seen, seen_apart = x[:, ::SEEN_EVERY], apart[:, ::SEEN_EVERY]
        count = x.shape[0] - 1
        S = at.dot(seen_apart.T, seen_apart) / count + ENKF_SEEN**2 * at.eye(z_t.shape[0], dtype="float64")
        cross = at.dot(seen_apart.T, apart) / count
        noise = ENKF_SEEN * trng.normal(size=seen.shape, dtype="float64")
        x = x + at.dot(z_t + noise - seen, at.linalg.solve(S, cross))
        return [x, ((x.mean(axis=0) - true) ** 2).mean()]

    (_, error), updates = aesara.scan(step, sequences=[z, truth], outputs_info=[start, None])
    return aesara.function([z, truth, start], error.mean(), updates=updates)


def recursive_least_squares(aesara: Any) -> Any:
    """Prediction errors of recursive least squares with forgetting."""
    at = aesara.tensor
    X, y = at.dmatrix("X"), at.dvector("y")

    def step(x: Any, y_t: Any, w: Any, P: Any) -> list[Any]:
        seen = at.dot(P, x)
        gain = seen / (FORGETTING + at.dot(x, seen))
        error = y_t - at.dot(w, x)
        return [w + gain * error, (P - at.outer(gain, seen)) / FORGETTING, error]

    start = [at.zeros((X.shape[1],), dtype="float64"), 100 * at.eye(X.shape[1], dtype="float64"), None]
    (_, _, error), updates = aesara.scan(step, sequences=[X, y], outputs_info=start)
    return aesara.function([X, y], error, updates=updates)


def adaptive(aesara: Any, taps: int) -> Any:
    """Errors of normalized least mean squares on the last ``taps`` values of ``x`` (Haykin 2002)."""
    at = aesara.tensor
    x, y = at.dvector("x"), at.dvector("y")

    def step(*values: Any) -> list[Any]:
        window, y_t, w = at.stack(values[:taps]), values[taps], values[taps + 1]
        error = y_t - at.dot(w, window)
        return [w + STEP_SIZE * error * window / (1e-3 + at.dot(window, window)), error]

    past = {"input": x, "taps": list(range(1 - taps, 1))}
    start = [at.zeros((taps,), dtype="float64"), None]
    (_, error), updates = aesara.scan(step, sequences=[past, y[taps - 1 :]], outputs_info=start)
    return aesara.function([x, y], error, updates=updates)


def biquads(aesara: Any, sections: int) -> Any:
    """Cascade of second-order sections in transposed direct form II; a row of ``b`` and ``a`` for each."""
    at = aesara.tensor
    x, b, a = at.dvector("x"), at.dmatrix("b"), at.dmatrix("a")

    def step(x_t: Any, *states: Any) -> list[Any]:
        new = []
        for i in range(sections):
            one, two = states[2 * i : 2 * i + 2]
            y = b[i, 0] * x_t + one
            new += [b[i, 1] * x_t - a[i, 0] * y + two, b[i, 2] * x_t - a[i, 1] * y]
            x_t = y
        return [*new, x_t]

    zeros = [at.zeros((), dtype="float64") for _ in range(2 * sections)]
    outputs, updates = aesara.scan(step, sequences=x, outputs_info=[*zeros, None])
    return aesara.function([x, b, a], outputs[-1], updates=updates)
