"""Plans of a car, of an economy with a climate and of a robot's arm, and heat by turns, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

DT, EFFORT, GOAL, PART = 0.05, 0.1, 100.0, 0.8
CAPITAL_SHARE, KEPT, DAMAGE, AVERSION, BACKSTOP = 0.3, 0.59049, 0.00236, 1.45, 2.6
FORCING, BEFORE, YEARS = 3.6813, 588.0, 5.0
FALL = 9.81


def trajectory(aesara: Any, iterations: int) -> Any:
    """Speeds up and turns of a car that bring it to a place and to rest, and the cost after each iteration, by
    quadratic models of the cost back in time and the plan forth in time (Li and Todorov 2004; Tassa, Erez and Todorov
    2012): a loop with two loops. ``U (time, control)`` is the first plan, ``B`` what controls do to the state."""
    at = aesara.tensor
    start, goal, U, B = at.dvector("start"), at.dvector("goal"), at.dmatrix("U"), at.dmatrix("B")
    steps = U.shape[0]
    weight, effort = GOAL * at.eye(4, dtype="float64"), EFFORT * at.eye(2, dtype="float64")

    def move(x: Any, u: Any) -> Any:
        way = at.stack([x[3] * at.cos(x[2]), x[3] * at.sin(x[2])])
        return x + at.concatenate([DT * way, at.zeros((2,), dtype="float64")]) + at.dot(B, u)

    def back(A: Any, u: Any, V_x: Any, V_xx: Any) -> list[Any]:
        Q_x, Q_u = at.dot(A.T, V_x), EFFORT * u + at.dot(B.T, V_x)
        Q_ux, Q_uu = at.dot(at.dot(B.T, V_xx), A), effort + at.dot(at.dot(B.T, V_xx), B)
        inverse = at.linalg.inv(Q_uu)
        k, K = -at.dot(inverse, Q_u), -at.dot(inverse, Q_ux)
        return [Q_x + at.dot(K.T, Q_u), at.dot(at.dot(A.T, V_xx), A) + at.dot(Q_ux.T, K), k, K]

    def forth(k: Any, K: Any, u: Any, planned: Any, x: Any) -> list[Any]:
        u = u + PART * k + at.dot(K, x - planned)
        return [move(x, u), u]

    def iteration(X: Any, U: Any) -> list[Any]:
        before = at.concatenate([start.dimshuffle("x", 0), X[:-1]], axis=0)
        cosine, sine, speed = at.cos(before[:, 2]), at.sin(before[:, 2]), before[:, 3]
        A = at.zeros((steps, 1, 1), dtype="float64") + at.eye(4, dtype="float64")
        A = at.set_subtensor(A[:, 0, 2], -DT * speed * sine)
        A = at.set_subtensor(A[:, 0, 3], DT * cosine)
        A = at.set_subtensor(A[:, 1, 2], DT * speed * cosine)
        A = at.set_subtensor(A[:, 1, 3], DT * sine)
        last = [GOAL * (X[-1] - goal), weight, None, None]
        (_, _, k, K), _ = aesara.scan(back, sequences=[A, U], outputs_info=last, go_backwards=True)
        (X, U), _ = aesara.scan(forth, sequences=[k[::-1], K[::-1], U, before], outputs_info=[start, None])
        return [X, U, 0.5 * EFFORT * (U**2).sum() + 0.5 * GOAL * ((X[-1] - goal) ** 2).sum()]

    first, _ = aesara.scan(lambda u, x: move(x, u), sequences=U, outputs_info=start)
    (_, U_t, cost), updates = aesara.scan(iteration, outputs_info=[first, U, None], n_steps=iterations)
    return aesara.function([start, goal, U, B], [cost, U_t[-1]], updates=updates)


def climate_economy(aesara: Any) -> Any:
    """Mean welfare of an economy that warms its climate, over draws of how sensitive the climate is, and its gradient
    in the shares of emissions that are avoided and of output that is invested (Nordhaus 1992, 2017). Sequences are by
    periods of five years, ``sensitivity`` is in degrees, ``carbon (to, from)`` are shares that move between air,
    upper and lower ocean."""
    at = aesara.tensor
    avoided, invested, sensitivity = at.dvector("avoided"), at.dvector("invested"), at.dvector("sensitivity")
    names = ("people", "skill", "intensity", "price", "other", "land", "patience")
    given = [at.dvector(name) for name in names]
    carbon = at.dmatrix("carbon")

    def period(*state: Any) -> list[Any]:
        avoided_t, invested_t, people_t, skill_t, intensity_t, price_t, other_t, land_t, patience_t, *stocks = state
        capital, air, upper, lower, warmth, depth = stocks
        gross = skill_t * people_t ** (1 - CAPITAL_SHARE) * capital**CAPITAL_SHARE
        net = gross * (1 - price_t * avoided_t**BACKSTOP) / (1 + DAMAGE * warmth**2)
        emitted = intensity_t * (1 - avoided_t) * gross + land_t
        spent = (1 - invested_t) * net / people_t
        welfare = patience_t * people_t * (spent ** (1 - AVERSION) - 1) / (1 - AVERSION)
        forcing = FORCING * at.log2(air / BEFORE) + other_t
        new_warmth = warmth + 0.1005 * (forcing - FORCING / sensitivity * warmth - 0.088 * (warmth - depth))
        new_depth = depth + 0.025 * (warmth - depth)
        new_air = carbon[0, 0] * air + carbon[0, 1] * upper + YEARS * emitted / 3.666
        new_upper = carbon[1, 0] * air + carbon[1, 1] * upper + carbon[1, 2] * lower
        new_lower = carbon[2, 1] * upper + carbon[2, 2] * lower
        capital = KEPT * capital + YEARS * invested_t * net
        return [capital, new_air, new_upper, new_lower, new_warmth, new_depth, welfare]

    same = at.zeros_like(sensitivity)
    start = [same + value for value in (223.0, 851.0, 460.0, 1740.0, 0.85, 0.0068)]
    results, updates = aesara.scan(period, sequences=[avoided, invested, *given], outputs_info=[*start, None])
    value = results[-1].sum(axis=0).mean()
    slopes = aesara.grad(value, [avoided, invested])
    arguments = [avoided, invested, sensitivity, *given, carbon]
    return aesara.function(arguments, [value, *slopes], updates=updates)


def robot_arm(aesara: Any) -> Any:
    """Mean square of the torques that move an arm along a path, and its gradient in the coefficients of the path: a
    loop over links outward for speeds and forces, and one inward for torques (Luh, Walker and Paul 1980; Featherstone
    2008, table 5.1). ``basis (order, time, coefficient)`` gives angles, their speeds and accelerations. ``moves (3,
    link, 6, 6)`` are parts of what takes speeds to the next link: those times the cosine and the sine of its angle, and
    the rest; ``inertia (link, 6, 6)``."""
    at = aesara.tensor
    basis, coefficient = at.dtensor3("basis"), at.dmatrix("coefficient")
    moves, inertia = at.dtensor4("moves"), at.dtensor3("inertia")
    angle, speed, growth = (at.dot(basis[order], coefficient).T for order in range(3))
    axis = at.constant([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], dtype="float64")
    across, along, rest = (moves[k].dimshuffle(0, "x", 1, 2) for k in range(3))
    X = at.cos(angle).dimshuffle(0, 1, "x", "x") * across + at.sin(angle).dimshuffle(0, 1, "x", "x") * along + rest

    def cross(a: Any, b: Any) -> Any:
        a_0, a_1, a_2, b_0, b_1, b_2 = *(a[:, k] for k in range(3)), *(b[:, k] for k in range(3))
        return at.stack([a_1 * b_2 - a_2 * b_1, a_2 * b_0 - a_0 * b_2, a_0 * b_1 - a_1 * b_0], axis=1)

    def outward(X_l: Any, speed_l: Any, growth_l: Any, I: Any, v: Any, a: Any) -> list[Any]:  # noqa: E741
        speed_l, growth_l = speed_l.dimshuffle(0, "x"), growth_l.dimshuffle(0, "x")
        v = at.batched_dot(X_l, v) + speed_l * axis
        zero = at.zeros_like(v[:, 0])
        turning = at.stack([v[:, 1], -v[:, 0], zero, v[:, 4], -v[:, 3], zero], axis=1)
        a = at.batched_dot(X_l, a) + growth_l * axis + speed_l * turning
        h = at.dot(v, I)
        moment = cross(v[:, :3], h[:, :3]) + cross(v[:, 3:], h[:, 3:])
        gyration = at.concatenate([moment, cross(v[:, :3], h[:, 3:])], axis=1)
        return [v, a, at.dot(a, I) + gyration]

    def inward(X_l: Any, force_l: Any, force: Any) -> list[Any]:
        force = force + force_l
        return [at.batched_dot(X_l.dimshuffle(0, 2, 1), force), force[:, 2]]

    still = at.zeros((basis.shape[1], 6), dtype="float64")
    falls = still + FALL * at.constant([0.0, 0.0, 0.0, 0.0, 0.0, 1.0], dtype="float64")
    sequences, start = [X, speed, growth, inertia], [still, falls, None]
    (_, _, force), _ = aesara.scan(outward, sequences=sequences, outputs_info=start)
    (_, torque), updates = aesara.scan(inward, sequences=[X, force], outputs_info=[still, None], go_backwards=True)
    cost = (torque**2).mean()
    slope = aesara.grad(cost, coefficient)
    return aesara.function([basis, coefficient, moves, inertia], [cost, slope], updates=updates)


def alternating_directions(aesara: Any, steps: int) -> Any:
    """Heat in a plate whose cells conduct differently, by half steps that are implicit along columns and along rows in
    turn (Peaceman and Rachford 1955): a loop over time with loops down and up of elimination (Thomas 1949). No heat
    leaves the plate."""
    at = aesara.tensor
    u, conducts, rate = at.dmatrix("u"), at.dmatrix("conducts"), at.dscalar("rate")

    def sides(conducts: Any) -> tuple[Any, Any]:
        between = rate * (conducts[1:] + conducts[:-1]) / 2
        none = at.zeros_like(between[:1])
        return at.concatenate([none, between], axis=0), at.concatenate([between, none], axis=0)

    above, below = sides(conducts)
    left, right = (side.T for side in sides(conducts.T))

    def down(above_r: Any, below_r: Any, known_r: Any, factor: Any, known: Any) -> list[Any]:
        pivot = 1 + above_r + below_r - above_r * factor
        return [below_r / pivot, (known_r + above_r * known) / pivot]

    def solve(above: Any, below: Any, known: Any) -> Any:
        none = at.zeros_like(known[0])
        (factor, known), _ = aesara.scan(down, sequences=[above, below, known], outputs_info=[none, none])
        found, _ = aesara.scan(
            lambda factor_r, known_r, next_r: known_r + factor_r * next_r,
            sequences=[factor, known],
            outputs_info=none,
            go_backwards=True,
        )
        return found[::-1]

    def flow(first: Any, second: Any, u: Any) -> Any:
        before = at.concatenate([u[:1], u[:-1]], axis=0)
        after = at.concatenate([u[1:], u[-1:]], axis=0)
        return u + first * (before - u) + second * (after - u)

    def step(u: Any) -> Any:
        u = solve(above, below, flow(left.T, right.T, u.T).T)
        return solve(left.T, right.T, flow(above, below, u).T).T

    u_t, updates = aesara.scan(step, outputs_info=u, n_steps=steps)
    return aesara.function([u, conducts, rate], u_t[-1], updates=updates)
