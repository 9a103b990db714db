"""Models that are fitted by gradients, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

STEP = 0.1


def yield_curve(aesara: Any) -> Any:
    """Log-likelihood of yields whose level, slope and curvature follow autoregressions (Diebold and Li 2006), and its
    gradient in all parameters, by a Kalman filter that takes the yields of a month one by one (Koopman and Durbin
    2000): a loop over months with a loop over terms. ``yields (month, term)``."""
    at = aesara.tensor
    yields, terms = at.dmatrix("yields"), at.dvector("terms")
    mean, log_persistence, log_noise = (at.dvector(name) for name in ("mean", "log_persistence", "log_noise"))
    log_decay, log_error = at.dscalar("log_decay"), at.dscalar("log_error")
    parameters = [mean, log_persistence, log_noise, log_decay, log_error]
    far = at.exp(log_decay) * terms
    slope = (1 - at.exp(-far)) / far
    loading = at.stack([at.ones_like(far), slope, slope - at.exp(-far)], axis=1)
    persistence, noise, error = at.exp(-at.exp(log_persistence)), at.exp(log_noise), at.exp(log_error)

    def month(yields_t: Any, state: Any, P: Any) -> list[Any]:
        def term(y: Any, z: Any, state: Any, P: Any) -> list[Any]:
            surprise = y - at.dot(z, state)
            Pz = at.dot(P, z)
            size = at.dot(z, Pz) + error
            P = P - at.outer(Pz, Pz) / size
            return [state + Pz * surprise / size, P, at.log(size) + surprise**2 / size]

        (states, Ps, lost), _ = aesara.scan(term, sequences=[yields_t, loading], outputs_info=[state, P, None])
        state = mean + persistence * (states[-1] - mean)
        P = persistence.dimshuffle(0, "x") * Ps[-1] * persistence + at.diag(noise)
        return [state, P, lost.sum()]

    start = [mean, at.diag(noise / (1 - persistence**2)), None]
    (_, _, lost), updates = aesara.scan(month, sequences=yields, outputs_info=start)
    value = -0.5 * lost.sum()
    arguments = [yields, terms, *parameters]
    return aesara.function(arguments, [value, *aesara.grad(value, parameters)], updates=updates)


def thin_films(aesara: Any) -> Any:
    """Squared error of the light that a stack of films reflects at each wavelength by characteristic matrices (Abeles
    1950), and its gradient in the films' thicknesses and indices. Real and imaginary parts are apart: those of the
    electric field and of the magnetic one that are not zero without loss."""
    at = aesara.tensor
    waves, target, ground = at.dvector("waves"), at.dvector("target"), at.dscalar("ground")
    thickness, index = at.dvector("thickness"), at.dvector("index")

    def film(d: Any, n: Any, e_re: Any, e_im: Any, h_re: Any, h_im: Any) -> list[Any]:
        phase = 2 * 3.141592653589793 * n * d / waves
        c, s = at.cos(phase), at.sin(phase)
        return [c * e_re - s * h_im / n, c * e_im + s * h_re / n, c * h_re - n * s * e_im, c * h_im + n * s * e_re]

    ones, zeros = at.ones_like(waves), at.zeros_like(waves)
    fields, updates = aesara.scan(
        film, sequences=[thickness, index], outputs_info=[ones, zeros, ground * ones, zeros], go_backwards=True
    )
    e_re, e_im, h_re, h_im = (field[-1] for field in fields)
    back = (e_re - h_re) ** 2 + (e_im - h_im) ** 2
    through = (e_re + h_re) ** 2 + (e_im + h_im) ** 2
    cost = ((back / through - target) ** 2).mean()
    slopes = aesara.grad(cost, [thickness, index])
    return aesara.function([waves, target, ground, thickness, index], [cost, *slopes], updates=updates)


def drug_levels(aesara: Any) -> Any:
    """Squared errors of logarithms of a drug's levels in patients who take doses, with a depot, a centre that saturates
    and a periphery (Beal 1982; Gabrielsson and Weiner 2000), by Runge-Kutta steps, and the gradient in the logarithms
    of all rates. ``dose``, ``seen`` and ``measured (time, patient)``."""
    at = aesara.tensor
    dose, seen, measured = (at.dmatrix(name) for name in ("dose", "seen", "measured"))
    logs = [at.dscalar(name) for name in ("absorb", "fastest", "half", "out", "back")]
    absorb, fastest, half, out, back = (at.exp(one) for one in logs)

    def slope(gut: Any, centre: Any, edge: Any) -> tuple[Any, Any, Any]:
        exchanged = out * centre - back * edge
        return -absorb * gut, absorb * gut - fastest * centre / (half + centre) - exchanged, exchanged

    def moved(state: Any, by: Any, h: float) -> list[Any]:
        return [one + h * other for one, other in zip(state, by, strict=True)]

    def step(dose_t: Any, gut: Any, centre: Any, edge: Any) -> list[Any]:
        state = [gut + dose_t, centre, edge]
        k1 = slope(*state)
        k2 = slope(*moved(state, k1, STEP / 2))
        k3 = slope(*moved(state, k2, STEP / 2))
        k4 = slope(*moved(state, k3, STEP))
        total = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
        return moved(state, total, STEP / 6)

    zeros = at.zeros_like(dose[0])
    (_, centre, _), updates = aesara.scan(step, sequences=dose, outputs_info=[zeros, zeros, zeros])
    cost = (measured * (at.log(centre + 0.01) - seen) ** 2).sum()
    return aesara.function([dose, seen, measured, *logs], [cost, *aesara.grad(cost, logs)], updates=updates)


def legendre_memory(aesara: Any) -> Any:
    """Squared error of a network whose memory has the Legendre coefficients of what it wrote (Voelker, Kajic and
    Eliasmith 2019), and its gradients. ``x (time, batch, width)``; ``A`` and ``B`` move the memory and are given."""
    at = aesara.tensor
    x, target, A, B = at.dtensor3("x"), at.dtensor3("target"), at.dmatrix("A"), at.dvector("B")
    names = ("read_x", "read_h", "read_m", "W_x", "W_h", "W_m", "W_out")
    weights = [at.dvector(name) if name.startswith("read") else at.dmatrix(name) for name in names]
    read_x, read_h, read_m, W_x, W_h, W_m, W_out = weights

    def step(x_t: Any, h: Any, m: Any) -> list[Any]:
        written = at.dot(x_t, read_x) + at.dot(h, read_h) + at.dot(m, read_m)
        m = at.dot(m, A) + at.outer(written, B)
        h = at.tanh(at.dot(x_t, W_x) + at.dot(h, W_h) + at.dot(m, W_m))
        return [h, m]

    batch = x.shape[1]
    start = [at.zeros((batch, size), dtype="float64") for size in (W_h.shape[0], A.shape[0])]
    (h, _), updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = ((at.dot(h, W_out) - target) ** 2).mean()
    return aesara.function([x, target, A, B, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)
