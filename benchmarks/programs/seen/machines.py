"""Machines that learn, an optimizer and a digest."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

PENALTY, NEARLY = 1.0, 1e-9
ENOUGH, SHRINK = 1e-4, 1e-3


def support_vectors(aesara: Any, most: int) -> Any:
    """Weights of the rows of a support vector machine and their number of changes, by steps in two weights each (Platt
    1998), those that violate the optimality most (Keerthi, Shevade, Bhattacharyya and Murthy 2001; Fan, Chen and Lin
    2005), until none does by more than ``tolerance``. ``y`` is 1 or -1. Float64."""
    at = aesara.tensor
    K, y, tolerance = at.dmatrix("K"), at.dvector("y"), at.dscalar("tolerance")

    def step(a: Any, error: Any, count: Any) -> Any:
        below, above = a < PENALTY - NEARLY, a > NEARLY
        can_rise = at.switch(y > 0, below, above)
        can_fall = at.switch(y > 0, above, below)
        rise, fall = at.switch(can_rise, -error, -1e30), at.switch(can_fall, -error, 1e30)
        i, j = at.argmax(rise), at.argmin(fall)
        gap = rise[i] - fall[j]
        by = gap / (K[i, i] + K[j, j] - 2 * K[i, j])
        by = at.minimum(by, at.switch(y[i] > 0, PENALTY - a[i], a[i]))
        by = at.minimum(by, at.switch(y[j] > 0, a[j], PENALTY - a[j]))
        a = at.inc_subtensor(a[i], y[i] * by)
        a = at.inc_subtensor(a[j], -y[j] * by)
        return [a, error + by * (K[i] - K[j]), count + 1], until(aesara, gap < tolerance)

    start = [at.zeros_like(y), -y, at.constant(0, dtype="int32")]
    (a, error, count), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([K, y, tolerance], [a[-1], error[-1], count[-1]], updates=updates)


def digest(aesara: Any) -> Any:
    """Digest of a message by the algorithm SHA-256 (FIPS 180-4): a loop over blocks with one over the 48 words that a
    block is extended by and one over 64 rounds. ``message (block, 16)``, ``table`` has the constants of the rounds and
    ``start`` the first digest. Uint32."""
    at = aesara.tensor
    message = at.matrix("message", dtype="uint32")
    table, start = (at.vector(name, dtype="uint32") for name in ("table", "start"))

    def power(bits: int) -> Any:
        return at.constant(2**bits, dtype="uint32")

    def shifted(x: Any, by: int) -> Any:
        return x // power(by)

    def turned(x: Any, by: int) -> Any:
        return at.bitwise_or(shifted(x, by), x * power(32 - by))

    def three(a: Any, b: Any, c: Any) -> Any:
        return at.bitwise_xor(at.bitwise_xor(a, b), c)

    def extend(w_16: Any, w_15: Any, w_7: Any, w_2: Any) -> Any:
        one = three(turned(w_15, 7), turned(w_15, 18), shifted(w_15, 3))
        other = three(turned(w_2, 17), turned(w_2, 19), shifted(w_2, 10))
        return w_16 + one + w_7 + other

    def mix(word: Any, constant: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> list[Any]:
        chosen = at.bitwise_xor(at.bitwise_and(e, f), at.bitwise_and(at.invert(e), g))
        new = h + three(turned(e, 6), turned(e, 11), turned(e, 25)) + chosen + constant + word
        most = three(at.bitwise_and(a, b), at.bitwise_and(a, c), at.bitwise_and(b, c))
        other = three(turned(a, 2), turned(a, 13), turned(a, 22)) + most
        return [new + other, a, b, c, d + new, e, f, g]

    def block(words: Any, *state: Any) -> list[Any]:
        before = {"initial": words, "taps": [-16, -15, -7, -2]}
        more, _ = aesara.scan(extend, outputs_info=before, n_steps=48)
        rounds, _ = aesara.scan(mix, sequences=[at.concatenate([words, more]), table], outputs_info=list(state))
        return [old + one[-1] for old, one in zip(state, rounds, strict=True)]

    found, updates = aesara.scan(block, sequences=message, outputs_info=[start[k] for k in range(8)])
    return aesara.function([message, table, start], at.stack([one[-1] for one in found]), updates=updates)


def clockwork(aesara: Any) -> Any:
    """Squared error of a network whose units tick at periods of 1, 2, 4, ... steps, and hear those of the same or
    longer periods (Koutnik, Greff, Gomez and Schmidhuber 2014), and its gradient. ``x (time, batch, width)``,
    ``period`` is that of each unit. Float32."""
    at = aesara.tensor
    x, target, period = at.ftensor3("x"), at.ftensor3("target"), at.ivector("period")
    names = ("W_x", "W_h", "b", "W_out")
    weights = W_x, W_h, b, W_out = [at.fvector(name) if name == "b" else at.fmatrix(name) for name in names]
    hears = at.cast(period.dimshuffle(0, "x") >= period.dimshuffle("x", 0), "float32")

    def step(t: Any, x_t: Any, h: Any) -> Any:
        new = at.tanh(at.dot(x_t, W_x) + at.dot(h, W_h * hears) + b)
        return at.switch(at.eq(t % period, 0), new, h)

    times = at.arange(x.shape[0], dtype="int32")
    start = at.zeros((x.shape[1], b.shape[0]), dtype="float32")
    h, updates = aesara.scan(step, sequences=[times, x], outputs_info=start)
    cost = ((at.dot(h, W_out) - target) ** 2).mean()
    return aesara.function([x, target, period, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def quasi_newton(aesara: Any, steps: int, memory: int) -> Any:
    """Weights of a logistic regression by a quasi-Newton method of limited memory (Nocedal 1980; Nocedal and Wright
    2006, algorithm 7.4), and the loss after each step: two loops over the last changes, and one that halves the step
    until the loss is low enough. ``y`` is 1 or -1. Float64."""
    at = aesara.tensor
    X, y = at.dmatrix("X"), at.dvector("y")
    rows, size = X.shape[0], X.shape[1]

    def loss(w: Any) -> Any:
        margin = y * at.dot(X, w)
        return at.log1p(at.exp(-margin)).mean() + SHRINK / 2 * (w**2).sum()

    def slope(w: Any) -> Any:
        return SHRINK * w - at.dot(X.T, y * at.sigmoid(-y * at.dot(X, w))) / rows

    def step(w: Any, value: Any, g: Any, S: Any, Y: Any, rho: Any) -> list[Any]:
        def back(s: Any, change: Any, r: Any, q: Any) -> list[Any]:
            a = r * at.dot(s, q)
            return [q - a * change, a]

        def forth(s: Any, change: Any, r: Any, a: Any, q: Any) -> Any:
            return q + s * (a - r * at.dot(change, q))

        (q, a), _ = aesara.scan(back, sequences=[S, Y, rho], outputs_info=[g, None], go_backwards=True)
        last = at.maximum((Y[-1] ** 2).sum(), 1e-30)
        scale = at.switch(rho[-1] > 0, at.dot(S[-1], Y[-1]) / last, 1.0)
        q, _ = aesara.scan(forth, sequences=[S, Y, rho, a[::-1]], outputs_info=scale * q[-1])
        d = -q[-1]
        down = at.dot(g, d)

        def halve(by: Any, _: Any) -> Any:
            by = by / 2
            found = loss(w + by * d)
            return [by, found], until(aesara, found <= value + ENOUGH * by * down)

        two = at.constant(2.0, dtype="float64")
        (by, found), _ = aesara.scan(halve, outputs_info=[two, value], n_steps=20)
        w_new = w + by[-1] * d
        g_new = slope(w_new)
        s, change = w_new - w, g_new - g
        S, Y = (at.concatenate([old[1:], new.dimshuffle("x", 0)]) for old, new in ((S, s), (Y, change)))
        rho = at.concatenate([rho[1:], (1 / at.maximum(at.dot(s, change), 1e-30)).dimshuffle("x")])
        return [w_new, found[-1], g_new, S, Y, rho]

    w = at.zeros((size,), dtype="float64")
    none = at.zeros((memory, size), dtype="float64")
    start = [w, loss(w), slope(w), none, none, at.zeros((memory,), dtype="float64")]
    (w, value, *_), updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([X, y], [w[-1], value], updates=updates)
