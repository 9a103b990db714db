"""Networks that learn, by gradients and without."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

RADIUS, RATE, MEMORY = 3.0, 0.5, 400.0


def stack_network(aesara: Any, depth: int) -> Any:
    """Cost of a recurrent network with a stack that it may push to, pop from or leave (Joulin and Mikolov 2015), and
    its gradients in all weights. ``x (time, batch, width)``, float32."""
    at = aesara.tensor
    x = at.ftensor3("x")
    weights = W, U, R, A, D = [at.fmatrix(name) for name in ("W", "U", "R", "A", "D")]
    batch, width = x.shape[1], D.shape[1]

    def step(x_t: Any, h: Any, stack: Any) -> list[Any]:
        h = at.sigmoid(at.dot(x_t, W) + at.dot(h, U) + at.dot(stack[:, 0], R))
        act = at.special.softmax(at.dot(h, A), axis=1).dimshuffle(0, 1, "x", "x")
        new = at.sigmoid(at.dot(h, D)).dimshuffle(0, "x", 1)
        pushed = at.concatenate([new, stack[:, :-1]], axis=1)
        popped = at.concatenate([stack[:, 1:], at.zeros((batch, 1, width), dtype="float32")], axis=1)
        return [h, act[:, 0] * pushed + act[:, 1] * popped + act[:, 2] * stack]

    start = [
        at.zeros((batch, U.shape[0]), dtype="float32"),
        at.zeros((batch, depth, width), dtype="float32"),
    ]
    (h, _), updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = (h**2).mean()
    return aesara.function([x, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def learned_shrinkage(aesara: Any) -> Any:
    """Error of sparse codes from layers that shrink (Gregor and LeCun 2010, LISTA; each layer has weights of its own),
    and its gradients in ``B (layer, n, m)``, ``S (layer, m, m)`` and ``theta (layer, m)``. Float32."""
    at = aesara.tensor
    y, code = at.fmatrix("y"), at.fmatrix("code")
    weights = B, S, theta = at.ftensor3("B"), at.ftensor3("S"), at.fmatrix("theta")

    def layer(B_k: Any, S_k: Any, theta_k: Any, x: Any) -> Any:
        inner = at.dot(y, B_k) + at.dot(x, S_k)
        return at.sgn(inner) * at.maximum(abs(inner) - theta_k, 0.0)

    x, updates = aesara.scan(layer, sequences=[B, S, theta], outputs_info=at.zeros_like(code))
    cost = ((x[-1] - code) ** 2).mean()
    return aesara.function([y, code, *weights], [cost, *aesara.grad(cost, list(weights))], updates=updates)


def corrected_returns(aesara: Any) -> Any:
    """Targets of a value function and advantages of actions from another policy (Espeholt et al. 2018, V-trace):
    ``value`` has a row more than ``reward (time, batch)``. Float32."""
    at = aesara.tensor
    value, reward, keep, ratio = (at.fmatrix(name) for name in ("value", "reward", "keep", "ratio"))

    def step(now: Any, after: Any, reward_t: Any, keep_t: Any, ratio_t: Any, ahead: Any) -> list[Any]:
        weight = at.minimum(at.exp(ratio_t), 1.0)
        gain = reward_t + keep_t * (after + ahead) - now
        total = weight * (reward_t + keep_t * after - now) + keep_t * weight * ahead
        return [total, now + total, weight * gain]

    (_, target, advantage), updates = aesara.scan(
        step,
        sequences=[value[:-1], value[1:], reward, keep, ratio],
        outputs_info=[at.zeros_like(value[-1]), None, None],
        go_backwards=True,
    )
    return aesara.function([value, reward, keep, ratio], [target[::-1], advantage[::-1]], updates=updates)


def feature_map(aesara: Any, W: Any, count: Any) -> Any:
    """Units that win for each sample while a map organizes itself (Kohonen 1982): weights and the number of samples so
    far are shared variables; ``place`` has a row for each unit. Float64."""
    at = aesara.tensor
    W, count = aesara.shared(W), aesara.shared(count)
    x, place = at.dmatrix("x"), at.dmatrix("place")
    apart = ((place.dimshuffle(0, "x", 1) - place) ** 2).sum(axis=2)

    def step(x_t: Any) -> Any:
        winner = at.argmin(((W - x_t) ** 2).sum(axis=1))
        fade = at.exp(-count / MEMORY)
        near = at.exp(-apart[winner] / (2 * (0.5 + RADIUS * fade) ** 2))
        new = W + (RATE * fade + 0.01) * near.dimshuffle(0, "x") * (x_t - W)
        return at.cast(winner, "int32"), {W: new, count: count + 1}

    winner, updates = aesara.scan(step, sequences=x)
    return aesara.function([x, place], winner, updates=updates)
