"""Marriages, topics, plans and stocks."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

ALPHA, BETA = 0.1, 0.05
TORQUE, STEP, WARMTH, NOISE = 2.0, 0.05, 1.0, 1.0
PATIENCE, AVERSION, RETURN = 0.96, 2.0, 1.03
HOLDING, UPSTREAM, LATE = 1.0, 0.4, 9.0


def stable_matching(aesara: Any, most: int) -> Any:
    """Stable marriages by proposals, one after the other (Gale and Shapley 1962; McVitie and Wilson 1971), and their
    number. ``likes (man, rank)`` lists women, ``rank (woman, man)`` is lower for better men. Int32."""
    at = aesara.tensor
    likes, rank = at.imatrix("likes"), at.imatrix("rank")
    count = likes.shape[0]

    def propose(man: Any, newest: Any, asked: Any, partner: Any) -> Any:
        woman = likes[man, asked[man]]
        rival = partner[woman]
        alone = rival < 0
        yes = at.or_(alone, rank[woman, man] < rank[woman, at.maximum(rival, 0)])
        asked = at.inc_subtensor(asked[man], 1)
        partner = at.set_subtensor(partner[woman], at.switch(yes, man, rival))
        newest = newest + at.cast(alone, "int32")
        man = at.switch(alone, newest, at.switch(yes, rival, man))
        return [man, newest, asked, partner], until(aesara, newest >= count)

    zero = at.constant(0, dtype="int32")
    start = [zero, zero, at.zeros((count,), dtype="int32"), at.full((count,), -1, dtype="int32")]
    (_, _, asked, partner), updates = aesara.scan(propose, outputs_info=start, n_steps=most)
    return aesara.function([likes, rank], [partner[-1], at.cast(asked[-1].sum(), "int32")], updates=updates)


def topics(aesara: Any, sweeps: int) -> Any:
    """Mean log-likelihood of words at the end of Gibbs sampling of their topics (Griffiths and Steyvers 2004): a loop
    over sweeps with a loop over words. ``of_document (document, topic)`` and ``of_word (word, topic)`` count those of
    the first topics ``z``. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    document, word, z = (at.ivector(name) for name in ("document", "word", "z"))
    of_document, of_word = at.dmatrix("of_document"), at.dmatrix("of_word")
    words, count = of_word.shape[0], of_word.shape[1]

    def token(i: Any, d: Any, w: Any, z: Any, of_document: Any, of_word: Any, total: Any) -> list[Any]:
        old = z[i]
        of_document = at.inc_subtensor(of_document[d, old], -1.0)
        of_word = at.inc_subtensor(of_word[w, old], -1.0)
        total = at.inc_subtensor(total[old], -1.0)
        weight = (of_document[d] + ALPHA) * (of_word[w] + BETA) / (total + BETA * words)
        below = at.cumsum(weight)
        u = trng.uniform(size=(), dtype="float64") * below[-1]
        new = at.minimum(at.cast((below < u).sum(), "int32"), at.cast(count - 1, "int32"))
        of_document = at.inc_subtensor(of_document[d, new], 1.0)
        of_word = at.inc_subtensor(of_word[w, new], 1.0)
        total = at.inc_subtensor(total[new], 1.0)
        return [at.set_subtensor(z[i], new), of_document, of_word, total]

    def sweep(*state: Any) -> Any:
        sequences = [at.arange(word.shape[0], dtype="int32"), document, word]
        results, updates = aesara.scan(token, sequences=sequences, outputs_info=list(state))
        return [result[-1] for result in results], updates

    start = [z, of_document, of_word, of_word.sum(axis=0)]
    (_, of_d, of_w, total), updates = aesara.scan(sweep, outputs_info=start, n_steps=sweeps)
    share = (of_d[-1] + ALPHA) / (of_d[-1] + ALPHA).sum(axis=1, keepdims=True)
    letter = (of_w[-1] + BETA) / (total[-1] + BETA * words)
    value = at.log((share[document] * letter[word]).sum(axis=1)).mean()
    return aesara.function([document, word, z, of_document, of_word], value, updates=updates)


def path_control(aesara: Any, steps: int, horizon: int, samples: int) -> Any:
    """Mean cost of a pendulum that is swung up by torques from many random plans, weighted by their costs (Williams,
    Aldrich and Theodorou 2017): a loop over time with a loop over the plan. ``start`` is angle and speed. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.dvector("start")

    def move(angle: Any, speed: Any, torque: Any) -> tuple[Any, Any, Any]:
        torque = at.clip(torque, -TORQUE, TORQUE)
        speed = speed + STEP * (15 * at.sin(angle) + 3 * torque)
        angle = angle + STEP * speed
        return angle, speed, 10 * (1 - at.cos(angle)) + 0.1 * speed**2 + 0.001 * torque**2

    def step(angle: Any, speed: Any, plan: Any) -> Any:
        noise = NOISE * trng.normal(size=(horizon, samples), dtype="float64")

        def ahead(noise_h: Any, plan_h: Any, angle: Any, speed: Any, cost: Any) -> list[Any]:
            angle, speed, paid = move(angle, speed, plan_h + noise_h)
            return [angle, speed, cost + paid]

        zeros = at.zeros((samples,), dtype="float64")
        (_, _, cost), _ = aesara.scan(
            ahead, sequences=[noise, plan], outputs_info=[zeros + angle, zeros + speed, zeros]
        )
        plan = plan + at.dot(noise, at.softmax(-(cost[-1] - cost[-1].min()) / WARMTH))
        angle, speed, paid = move(angle, speed, plan[0])
        return [angle, speed, at.concatenate([plan[1:], at.zeros((1,), dtype="float64")]), paid]

    begin = [start[0], start[1], at.zeros((horizon,), dtype="float64"), None]
    (_, _, _, paid), updates = aesara.scan(step, outputs_info=begin, n_steps=steps)
    return aesara.function([start], paid.mean(), updates=updates)


def life_cycle(aesara: Any, years: int) -> Any:
    """Consumption in each year of life for each level of saving, from the last year back, by the method of endogenous
    gridpoints (Carroll 2006). ``saved`` are levels of wealth after consumption, ``income`` and ``chance`` the incomes
    of the next year. Float64."""
    at = aesara.tensor
    saved, income, chance = at.dvector("saved"), at.dvector("income"), at.dvector("chance")
    zero = at.zeros((1,), dtype="float64")
    later = RETURN * saved.dimshuffle(0, "x") + income

    def year(wealth: Any, spent: Any) -> list[Any]:
        i = at.clip(at.searchsorted(wealth, later.flatten()), 1, wealth.shape[0] - 1)
        i = i.reshape(later.shape)
        share = (later - wealth[i - 1]) / (wealth[i] - wealth[i - 1])
        then = spent[i - 1] + share * (spent[i] - spent[i - 1])
        worth = at.dot(then**-AVERSION, chance)
        now = (PATIENCE * RETURN * worth) ** (-1 / AVERSION)
        return [at.concatenate([zero, saved + now]), at.concatenate([zero, now])]

    start = at.concatenate([zero, saved + 1e-6])
    (_, spent), updates = aesara.scan(year, outputs_info=[start, start], n_steps=years)
    return aesara.function([saved, income, chance], spent, updates=updates)


def inventory(aesara: Any, far: int, near: int) -> Any:
    """Mean cost of two stores in a row that order up to a level, one of them with a limit, and the gradient in both
    levels and the limit (Glasserman and Tayur 1995). ``demand (time, path)``; goods take ``far`` steps to the first
    store and ``near`` steps to the second. Float64."""
    at = aesara.tensor
    demand = at.dmatrix("demand")
    parameters = upper, lower, limit = [at.dscalar(name) for name in ("upper", "lower", "limit")]
    zeros = at.zeros_like(demand[0])

    def step(demand_t: Any, order_far: Any, sent_near: Any, *state: Any) -> list[Any]:
        stock, held, owed, position_up, position_low = state
        stock = stock + order_far
        held = held + sent_near
        position_low = position_low - demand_t
        position_up = position_up - demand_t
        held = held - demand_t
        wanted = at.maximum(lower - position_low, 0.0) + owed
        sent = at.minimum(wanted, stock)
        owed = wanted - sent
        stock = stock - sent
        position_low = at.maximum(position_low, lower)
        order = at.minimum(at.maximum(upper - position_up, 0.0), limit)
        position_up = position_up + order
        cost = UPSTREAM * stock + HOLDING * at.maximum(held, 0.0) + LATE * at.maximum(-held, 0.0)
        return [order, sent, stock, held, owed, position_up, position_low, cost]

    def line(delay: int) -> Any:
        return {"initial": at.zeros((delay, demand.shape[1]), dtype="float64"), "taps": [-delay]}

    start = [line(far), line(near), zeros + upper - lower, zeros + lower, zeros, zeros + upper, zeros + lower, None]
    results, updates = aesara.scan(step, sequences=demand, outputs_info=start)
    cost = results[-1].mean()
    return aesara.function([demand, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)
