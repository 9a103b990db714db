"""Networks that learn to learn, cells whose pace their inputs set, particles that push each other and a system that is
learned from what was seen of it."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

RATE = 0.01
PART = 0.1
PRIOR, PACE, SMALL = 1.0, 0.1, 1e-6


def meta_learning(aesara: Any, steps: int) -> Any:
    """Mean square error on new points of tasks for each of which a network of three layers takes some steps along its
    gradient from the same weights, and its gradients in these (Finn, Abbeel and Levine 2017). ``x`` and ``y (task,
    point, 1)``. Float32."""
    at = aesara.tensor
    x, y, new_x, new_y = [at.ftensor3(name) for name in ("x", "y", "new_x", "new_y")]
    kinds = {"W_1": "m", "b_1": "v", "W_2": "m", "b_2": "v", "W_3": "m", "b_3": "v"}
    weights = [at.fmatrix(name) if kind == "m" else at.fvector(name) for name, kind in kinds.items()]

    def loss(x: Any, y: Any, W_1: Any, b_1: Any, W_2: Any, b_2: Any, W_3: Any, b_3: Any) -> Any:
        h = at.maximum(at.batched_dot(x, W_1) + b_1.dimshuffle(0, "x", 1), 0)
        h = at.maximum(at.batched_dot(h, W_2) + b_2.dimshuffle(0, "x", 1), 0)
        out = at.batched_dot(h, W_3) + b_3.dimshuffle(0, "x", 1)
        return ((out - y) ** 2).mean(axis=(1, 2)).sum()

    def step(*now: Any) -> list[Any]:
        slopes = aesara.grad(loss(x, y, *now), list(now))
        return [one - RATE * slope for one, slope in zip(now, slopes, strict=True)]

    tasks = at.zeros_like(x[:, 0, 0])
    matrix, vector = tasks.dimshuffle(0, "x", "x"), tasks.dimshuffle(0, "x")
    start = [one + (matrix if one.ndim == 2 else vector) for one in weights]
    found, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    cost = loss(new_x, new_y, *(one[-1] for one in found)) / x.shape[0]
    arguments = [x, y, new_x, new_y, *weights]
    return aesara.function(arguments, [cost, *aesara.grad(cost, weights)], updates=updates)


def liquid_network(aesara: Any, parts: int) -> Any:
    """Mean square error of a network of cells whose time constants depend on inputs and states, by a few implicit parts
    of each step (Hasani, Lechner, Amini, Rus and Grosu 2021), and its gradients. ``x (time, batch, input)``.
    Float32."""
    at = aesara.tensor
    x, wanted = at.ftensor3("x"), at.ftensor3("wanted")
    names = ("W", "U", "b", "pull", "leak", "W_out")
    weights = W, U, b, pull, leak, W_out = [
        at.fmatrix(name) if name.startswith(("W", "U")) else at.fvector(name) for name in names
    ]
    pace = at.softplus(leak)

    def step(x_t: Any, h: Any) -> Any:
        def part(h: Any) -> Any:
            gate = at.sigmoid(at.dot(x_t, W) + at.dot(h, U) + b)
            return (h + PART * gate * pull) / (1 + PART * (pace + gate))

        h, _ = aesara.scan(part, outputs_info=h, n_steps=parts)
        return h[-1]

    start = at.zeros((x.shape[1], U.shape[0]), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = ((at.dot(h, W_out) - wanted) ** 2).mean()
    return aesara.function([x, wanted, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def pushed_particles(aesara: Any, steps: int) -> Any:
    """Weights of logistic regressions that go up the gradient of the posterior and push each other apart, with a kernel
    as wide as their median distance says (Liu and Wang 2016), and the mean chance of each row. Float64."""
    at = aesara.tensor
    X, y, start = at.dmatrix("X"), at.dvector("y"), at.dmatrix("start")
    count = start.shape[0]
    many = at.cast(count, "float64")

    def step(w: Any, past: Any) -> list[Any]:
        slope = at.dot(y - at.sigmoid(at.dot(w, X.T)), X) - PRIOR * w
        square = (w**2).sum(axis=1)
        apart = at.maximum(square.dimshuffle(0, "x") + square - 2 * at.dot(w, w.T), 0.0)
        width = at.sort(apart.flatten())[count * count // 2] / at.log(many + 1)
        K = at.exp(-apart / width)
        push = at.dot(K, slope) + 2 / width * (w * K.sum(axis=1, keepdims=True) - at.dot(K, w))
        push = push / many
        past = past + push**2
        return [w + PACE * push / (SMALL + at.sqrt(past)), past]

    (w, _), updates = aesara.scan(step, outputs_info=[start, at.zeros_like(start)], n_steps=steps)
    chance = at.sigmoid(at.dot(w[-1], X.T)).mean(axis=0)
    return aesara.function([X, y, start], [w[-1], chance], updates=updates)


def gaps(aesara: Any, most: int) -> Any:
    """How a linear system moves, the noise that moves it and that of what is seen, where some values are missing
    (Shumway and Stoffer 1982): by expectations from a filter forth and a smoother back, until the log-likelihood
    rests, which comes last. ``y`` and ``seen (time, value)``: values, 0 where one is missing, and 1 or 0. Float64."""
    at = aesara.tensor
    y, seen, C = at.dmatrix("y"), at.dmatrix("seen"), at.dmatrix("C")
    A, Q, R = at.dmatrix("A"), at.dmatrix("Q"), at.dvector("R")
    x_0, P_0, tolerance = at.dvector("x_0"), at.dmatrix("P_0"), at.dscalar("tolerance")
    times = at.cast(y.shape[0], "float64")

    def round_of(A: Any, Q: Any, R: Any, last: Any) -> Any:
        def forth(y_t: Any, seen_t: Any, x: Any, P: Any) -> list[Any]:
            x, P = at.dot(A, x), at.dot(at.dot(A, P), A.T) + Q
            H = C * seen_t.dimshuffle(0, "x")
            S = at.dot(at.dot(H, P), H.T) + at.diag(R * seen_t + 1 - seen_t)
            error = y_t - at.dot(H, x)
            gain = at.dot(at.dot(P, H.T), at.linalg.inv(S))
            score = -(at.log(at.linalg.det(S)) + at.dot(error, at.linalg.solve(S, error))) / 2
            return [x + at.dot(gain, error), P - at.dot(at.dot(gain, H), P), x, P, score]

        outputs = [x_0, P_0, None, None, None]
        (x, P, x_before, P_before, score), _ = aesara.scan(forth, sequences=[y, seen], outputs_info=outputs)

        def back(x_t: Any, P_t: Any, x_next: Any, P_next: Any, x: Any, P: Any) -> list[Any]:
            J = at.dot(at.dot(P_t, A.T), at.linalg.inv(P_next))
            both = at.dot(P, J.T)
            x = x_t + at.dot(J, x - x_next)
            return [x, P_t + at.dot(at.dot(J, P - P_next), J.T), both]

        sequences = [x[:-1], P[:-1], x_before[1:], P_before[1:]]
        outputs = [x[-1], P[-1], None]
        (xs, Ps, both), _ = aesara.scan(back, sequences=sequences, outputs_info=outputs, go_backwards=True)
        xs = at.concatenate([xs[::-1], x[-1:]])
        Ps = at.concatenate([Ps[::-1], P[-1:]])

        before = Ps[:-1].sum(axis=0) + at.dot(xs[:-1].T, xs[:-1])
        after = Ps[1:].sum(axis=0) + at.dot(xs[1:].T, xs[1:])
        cross = both.sum(axis=0) + at.dot(xs[1:].T, xs[:-1])
        new_A = at.dot(cross, at.linalg.inv(before))
        new_Q = (after - at.dot(new_A, cross.T)) / (times - 1)
        spread = (at.dot(C, Ps) * C.dimshuffle(0, "x", 1)).sum(axis=2).T
        square = (y - at.dot(xs, C.T)) ** 2 + spread
        new_R = at.switch(seen > 0, square, R).mean(axis=0)
        total = score.sum()
        rests = abs(total - last) < tolerance * abs(total)
        return [new_A, (new_Q + new_Q.T) / 2, new_R, total], until(aesara, rests)

    outputs = [A, Q, R, at.constant(-1e9, dtype="float64")]
    found, updates = aesara.scan(round_of, outputs_info=outputs, n_steps=most)
    arguments = [y, seen, C, A, Q, R, x_0, P_0, tolerance]
    return aesara.function(arguments, [one[-1] for one in found], updates=updates)
