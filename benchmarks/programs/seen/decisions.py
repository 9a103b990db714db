"""Finance, queues and learning, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

STRIKE, RATE = 100.0, 0.05
DISCOUNT, TRACE, LEARNING = 0.95, 0.8, 0.05


def early_exercise(aesara: Any) -> Any:
    """Price of an American put by regression on paths, row by row backwards (Longstaff and Schwartz 2001); a row of
    ``S`` has the prices of all paths at one time."""
    at = aesara.tensor
    S, ridge = at.dmatrix("S"), at.dmatrix("ridge")
    keep = at.exp(-RATE / S.shape[0])

    def step(S_t: Any, value: Any) -> Any:
        value = keep * value
        gain = at.maximum(STRIKE - S_t, 0)
        weight = at.cast(gain > 0, "float64")
        x = S_t / STRIKE
        basis = at.stack([at.ones_like(x), x, x**2])
        beta = at.linalg.solve(at.dot(basis * weight, basis.T) + ridge, at.dot(basis, weight * value))
        return at.switch(at.and_(gain > 0, gain > at.dot(beta, basis)), gain, value)

    value, updates = aesara.scan(step, sequences=S[:-1], outputs_info=at.maximum(STRIKE - S[-1], 0), go_backwards=True)
    return aesara.function([S, ridge], keep * value[-1].mean(), updates=updates)


def tandem(aesara: Any) -> Any:
    """Times at which customers leave the last of several servers in a row (Glynn and Whitt 1991), with a loop over the
    servers for each customer."""
    at = aesara.tensor
    arrival, service = at.dvector("arrival"), at.dmatrix("service")

    def customer(arrives: Any, service_t: Any, free: Any) -> Any:
        def server(needs: Any, is_free: Any, comes: Any) -> Any:
            return at.maximum(is_free, comes) + needs

        leaves, _ = aesara.scan(server, sequences=[service_t, free], outputs_info=arrives)
        return leaves

    leaves, updates = aesara.scan(customer, sequences=[arrival, service], outputs_info=at.zeros_like(service[0]))
    return aesara.function([arrival, service], leaves[:, -1], updates=updates)


def traces(aesara: Any) -> Any:
    """Weights and errors of temporal-difference learning with eligibility traces (Sutton 1988): ``features`` has a row
    for each state, ``states`` one more than there are rewards."""
    at = aesara.tensor
    features, states, reward = at.dmatrix("features"), at.ivector("states"), at.dvector("reward")

    def step(state: Any, after: Any, gain: Any, w: Any, trace: Any) -> list[Any]:
        seen = features[state]
        error = gain + DISCOUNT * at.dot(w, features[after]) - at.dot(w, seen)
        trace = DISCOUNT * TRACE * trace + seen
        return [w + LEARNING * error * trace, trace, error]

    zeros = at.zeros((features.shape[1],), dtype="float64")
    (w, _, error), updates = aesara.scan(
        step, sequences=[{"input": states, "taps": [0, 1]}, reward], outputs_info=[zeros, zeros, None]
    )
    return aesara.function([features, states, reward], [w[-1], error], updates=updates)


def bandit(aesara: Any) -> Any:
    """Arms chosen by upper confidence bounds (Auer, Cesa-Bianchi and Fischer 2002); ``reward`` has what each arm would
    give at each time."""
    at = aesara.tensor
    reward = at.dmatrix("reward")
    times = at.cast(at.arange(reward.shape[0]) + 2, "float64")

    def step(reward_t: Any, t: Any, count: Any, total: Any) -> list[Any]:
        arm = at.argmax(total / count + at.sqrt(2 * at.log(t) / count))
        total = at.inc_subtensor(total[arm], reward_t[arm])
        return [at.inc_subtensor(count[arm], 1.0), total, at.cast(arm, "int32")]

    ones = at.ones_like(reward[0])
    (count, _, arm), updates = aesara.scan(step, sequences=[reward, times], outputs_info=[ones, 0 * ones, None])
    return aesara.function([reward], [arm, count[-1]], updates=updates)
