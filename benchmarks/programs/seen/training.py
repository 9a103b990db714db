"""Networks and their training by gradients, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

MOMENTUM = 0.9


def narx(aesara: Any, memory: int) -> Any:
    """Squared error of a network whose last outputs are inputs (Lin, Horne, Tino and Giles 1996), and its gradients.
    ``x`` and ``target (time, batch, width)``, ``W (tap, output, unit)``; the oldest output comes first."""
    at = aesara.tensor
    x, target = at.dtensor3("x"), at.dtensor3("target")
    weights = W, U, b, V = at.dtensor3("W"), at.dmatrix("U"), at.dvector("b"), at.dmatrix("V")

    def step(x_t: Any, *past: Any) -> Any:
        h = at.dot(x_t, U) + b
        for k in range(memory):
            h = h + at.dot(past[k], W[k])
        return at.dot(at.tanh(h), V)

    start = at.zeros((memory, target.shape[1], target.shape[2]), dtype="float64")
    taps = {"initial": start, "taps": list(range(-memory, 0))}
    y, updates = aesara.scan(step, sequences=x, outputs_info=taps)
    cost = ((y - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, list(weights))], updates=updates)


def learning_rates(aesara: Any) -> Any:
    """Loss of held-out rows after a logistic regression was trained by gradients with momentum, and its gradient in the
    logarithms of all learning rates and of the penalty (Maclaurin, Duvenaud and Adams 2015). ``X (step, row, width)``;
    ``y`` is -1 or 1."""
    at = aesara.tensor
    X, y, X_out, y_out = at.dtensor3("X"), at.dmatrix("y"), at.dmatrix("X_out"), at.dvector("y_out")
    log_rate, log_penalty = at.dvector("log_rate"), at.dscalar("log_penalty")

    def loss(w: Any, X: Any, y: Any) -> Any:
        return at.softplus(-y * at.dot(X, w)).mean()

    def step(X_t: Any, y_t: Any, log_rate_t: Any, w: Any, velocity: Any) -> list[Any]:
        slope = aesara.grad(loss(w, X_t, y_t) + 0.5 * at.exp(log_penalty) * (w**2).sum(), w)
        velocity = MOMENTUM * velocity - slope
        return [w + at.exp(log_rate_t) * velocity, velocity]

    zeros = at.zeros((X.shape[2],), dtype="float64")
    (w, _), updates = aesara.scan(step, sequences=[X, y, log_rate], outputs_info=[zeros, zeros])
    cost = loss(w[-1], X_out, y_out)
    arguments = [X, y, X_out, y_out, log_rate, log_penalty]
    return aesara.function(arguments, [cost, *aesara.grad(cost, [log_rate, log_penalty])], updates=updates)


def weighted_values(aesara: Any) -> Any:
    """Squared error of gated averages of values whose weights fade (Peng et al. 2023, RWKV), with the largest exponent
    taken out, and its gradient in keys, values, gates, fading and the weight of the newest value. ``(time, channel)``
    each."""
    at = aesara.tensor
    target = at.dmatrix("target")
    weights = key, value, gate, fade, first = [
        *(at.dmatrix(name) for name in ("key", "value", "gate")),
        *(at.dvector(name) for name in ("fade", "first")),
    ]

    def step(key_t: Any, value_t: Any, above: Any, below: Any, largest: Any) -> list[Any]:
        now = first + key_t
        most = at.maximum(largest, now)
        old, new = at.exp(largest - most), at.exp(now - most)
        average = (old * above + new * value_t) / (old * below + new)
        faded = largest - at.exp(fade)
        most = at.maximum(faded, key_t)
        old, new = at.exp(faded - most), at.exp(key_t - most)
        return [old * above + new * value_t, old * below + new, most, average]

    zeros = at.zeros_like(fade)
    start = [zeros, zeros, zeros - 1e30, None]
    (_, _, _, average), updates = aesara.scan(step, sequences=[key, value], outputs_info=start)
    cost = ((at.sigmoid(gate) * average - target) ** 2).mean()
    return aesara.function([target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)
