"""Marriages, topics, plans and stocks. Draws differ between contenders, so their results are compared up to chance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import TIGHT, close, near
from benchmarks.programs.seen import choices
from benchmarks.programs.seen.choices import (
    ALPHA,
    AVERSION,
    BETA,
    HOLDING,
    LATE,
    NOISE,
    PATIENCE,
    RETURN,
    STEP,
    TORQUE,
    UPSTREAM,
    WARMTH,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _people(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(400, quick=10)
    likes, loved = (np.argsort(rng.uniform(size=(count, count)), axis=1) for _ in range(2))
    return inputs(likes.astype("int32"), np.argsort(loved, axis=1).astype("int32"), most=count**2)


def _stable_matching(likes: Any, rank: Any, most: int) -> list[Any]:
    count = len(likes)

    def propose(state: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, man, newest, asked, partner = state
        woman = likes[man, asked[man]]
        rival = partner[woman]
        alone = rival < 0
        yes = alone | (rank[woman, man] < rank[woman, jnp.maximum(rival, 0)])
        asked = asked.at[man].add(1)
        partner = partner.at[woman].set(jnp.where(yes, man, rival))
        newest = newest + alone
        man = jnp.where(alone, newest, jnp.where(yes, rival, man))
        return steps + 1, man, newest, asked, partner

    def goes_on(state: tuple[Any, ...]) -> Any:
        return (state[2] < count) & (state[0] < most)

    zero = jnp.int32(0)
    start = (zero, zero, zero, jnp.zeros(count, "int32"), jnp.full(count, -1, "int32"))
    *_, asked, partner = lax.while_loop(goes_on, propose, start)
    return [partner, asked.sum(dtype="int32")]


def _stable_matching_tuned(likes: Any, rank: Any, most: int) -> list[Any]:
    """One number for each marriage, the woman's rank of the man and the man together, which a proposal must undercut;
    four proposals a step, where those after the end change nothing; no test of places."""
    count = len(likes)
    bits = count.bit_length()
    mask, none = (1 << bits) - 1, jnp.int32(count << bits)
    likes, rank = likes.ravel(), rank.ravel()

    def propose(state: tuple[Any, ...]) -> tuple[Any, ...]:
        man, newest, asked, best = state
        place = man * count + asked.at[man].get(mode="promise_in_bounds")
        woman = likes.at[place].get(mode="clip")
        new = (rank.at[woman * count + man].get(mode="clip") << bits) | man
        old = best.at[woman].get(mode="promise_in_bounds")
        going = newest < count
        alone, yes = going & (old == none), going & (new < old)
        newest = newest + alone
        rival = jnp.where(alone, newest, old & mask)
        asked = asked.at[man].add(1, mode="promise_in_bounds")
        best = best.at[woman].set(jnp.where(yes, new, old), mode="promise_in_bounds")
        return jnp.where(yes, rival, man), newest, asked, best

    def four(state: tuple[Any, ...]) -> tuple[Any, ...]:
        return propose(propose(propose(propose(state))))

    start = (jnp.int32(0), jnp.int32(0), jnp.zeros(count + 1, "int32"), jnp.full(count, none))
    _, _, asked, best = lax.while_loop(lambda state: state[1] < count, four, start)
    return [best & mask, asked[:count].sum(dtype="int32")]


def _text(rng: np.random.Generator, scale: Scale) -> Inputs:
    documents, length, words, count = scale.pick((30, 50, 200, 10), quick=(4, 20, 12, 3))
    true_share = rng.dirichlet(np.full(count, 0.2), documents)
    letters = rng.dirichlet(np.full(words, 0.05), count)
    document = np.repeat(np.arange(documents), length)
    topic = np.array([rng.choice(count, p=true_share[d]) for d in document])
    word = np.array([rng.choice(words, p=letters[k]) for k in topic])
    z = rng.integers(0, count, len(word))
    of_document, of_word = np.zeros((documents, count)), np.zeros((words, count))
    np.add.at(of_document, (document, z), 1.0)
    np.add.at(of_word, (word, z), 1.0)
    whole = (array.astype("int32") for array in (document, word, z))
    return inputs(*whole, of_document, of_word, sweeps=scale.steps(10, quick=20))


def _likelihood(document: Any, word: Any, of_document: Any, of_word: Any) -> Any:
    share = (of_document + ALPHA) / (of_document + ALPHA).sum(axis=1, keepdims=True)
    letter = (of_word + BETA) / (of_word + BETA).sum(axis=0)
    return jnp.log((share[document] * letter[word]).sum(axis=1)).mean()


def _topics(key: Any, document: Any, word: Any, z: Any, of_document: Any, of_word: Any, sweeps: int) -> Any:
    words, count = of_word.shape

    def token(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, None]:
        z, of_document, of_word, total = carry
        i, d, w, key = now
        old = z[i]
        of_document, of_word = of_document.at[d, old].add(-1), of_word.at[w, old].add(-1)
        total = total.at[old].add(-1)
        weight = (of_document[d] + ALPHA) * (of_word[w] + BETA) / (total + BETA * words)
        below = jnp.cumsum(weight)
        u = random.uniform(key) * below[-1]
        new = jnp.minimum((below < u).sum(dtype="int32"), count - 1)
        of_document, of_word = of_document.at[d, new].add(1), of_word.at[w, new].add(1)
        return (z.at[i].set(new), of_document, of_word, total.at[new].add(1)), None

    def sweep(carry: tuple[Any, ...], key: Any) -> tuple[Any, None]:
        keys = random.split(key, len(word))
        return lax.scan(token, carry, (jnp.arange(len(word)), document, word, keys))[0], None

    start = (z, of_document, of_word, of_word.sum(axis=0))
    (_, of_document, of_word, _), _ = lax.scan(sweep, start, random.split(key, sweeps))
    return _likelihood(document, word, of_document, of_word)


def _topics_tuned(key: Any, document: Any, word: Any, z: Any, of_document: Any, of_word: Any, sweeps: int) -> Any:
    """Draws before the loop, a time for each topic, the shortest of which wins, so that nothing is summed; topics of
    words as a sequence in and out of each sweep; rows of the tables read and written whole."""
    words, count = of_word.shape
    every = jnp.arange(count, dtype="int32")

    def token(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        of_document, of_word, total = carry
        d, w, old, wait = now
        gone = (every == old).astype(total.dtype)
        row_d = of_document.at[d].get(mode="promise_in_bounds") - gone
        row_w = of_word.at[w].get(mode="promise_in_bounds") - gone
        total = total - gone
        new = jnp.argmax((row_d + ALPHA) * (row_w + BETA) / ((total + BETA * words) * wait)).astype("int32")
        come = (every == new).astype(total.dtype)
        of_document = of_document.at[d].set(row_d + come, mode="promise_in_bounds")
        of_word = of_word.at[w].set(row_w + come, mode="promise_in_bounds")
        return (of_document, of_word, total + come), new

    def sweep(carry: tuple[Any, ...], key: Any) -> tuple[Any, None]:
        z, *tables = carry
        wait = random.exponential(key, (len(word), count), "float32").astype(of_word.dtype)
        tables, z = lax.scan(token, tuple(tables), (document, word, z, wait), unroll=4)
        return (z, *tables), None

    start = (z, of_document, of_word, of_word.sum(axis=0))
    (_, of_document, of_word, _), _ = lax.scan(sweep, start, random.split(key, sweeps))
    return _likelihood(document, word, of_document, of_word)


def _pendulum(rng: np.random.Generator, scale: Scale) -> Inputs:
    horizon, samples = scale.pick((20, 128), quick=(10, 64))
    return inputs(np.array([np.pi, 0.0]), steps=scale.steps(100, quick=40), horizon=horizon, samples=samples)


def _path_control(key: Any, start: Any, steps: int, horizon: int, samples: int) -> Any:
    def move(angle: Any, speed: Any, torque: Any) -> tuple[Any, Any, Any]:
        torque = jnp.clip(torque, -TORQUE, TORQUE)
        speed = speed + STEP * (15 * jnp.sin(angle) + 3 * torque)
        angle = angle + STEP * speed
        return angle, speed, 10 * (1 - jnp.cos(angle)) + 0.1 * speed**2 + 0.001 * torque**2

    def step(carry: tuple[Any, Any, Any], key: Any) -> tuple[Any, Any]:
        angle, speed, plan = carry
        noise = NOISE * random.normal(key, (horizon, samples))

        def ahead(carry: tuple[Any, Any, Any], now: tuple[Any, Any]) -> tuple[Any, None]:
            angle, speed, cost = carry
            noise_h, plan_h = now
            angle, speed, paid = move(angle, speed, plan_h + noise_h)
            return (angle, speed, cost + paid), None

        zeros = jnp.zeros(samples)
        (_, _, cost), _ = lax.scan(ahead, (zeros + angle, zeros + speed, zeros), (noise, plan))
        plan = plan + noise @ jax.nn.softmax(-cost / WARMTH)
        angle, speed, paid = move(angle, speed, plan[0])
        return (angle, speed, jnp.concatenate([plan[1:], jnp.zeros(1)])), paid

    begin = (start[0], start[1], jnp.zeros(horizon))
    return lax.scan(step, begin, random.split(key, steps))[1].mean()


def _path_control_tuned(key: Any, start: Any, steps: int, horizon: int, samples: int) -> Any:
    """Draws before the loop; sine and cosine of the angle turned by a short series for each small move, so that no step
    needs more than products; 32 bits."""
    noise = NOISE * random.normal(key, (steps, horizon, samples), "float32")

    def ahead(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, None]:
        sine, cosine, speed, cost = carry
        noise_h, plan_h = now
        torque = jnp.clip(plan_h + noise_h, -TORQUE, TORQUE)
        speed = speed + STEP * (15 * sine + 3 * torque)
        by = STEP * speed
        square = by * by
        s = by * (1 - square * (1 / 6 - square * (1 / 120 - square / 5_040)))
        c = 1 - square * (1 / 2 - square * (1 / 24 - square * (1 / 720 - square / 40_320)))
        sine, cosine = sine * c + cosine * s, cosine * c - sine * s
        return (sine, cosine, speed, cost + 10 * (1 - cosine) + 0.1 * speed**2 + 0.001 * torque**2), None

    def step(carry: tuple[Any, Any, Any], noise_t: Any) -> tuple[Any, Any]:
        angle, speed, plan = carry
        first = (jnp.sin(angle), jnp.cos(angle), speed, jnp.float32(0))
        begin = tuple(jnp.broadcast_to(one, (samples,)) for one in first)
        (*_, cost), _ = lax.scan(ahead, begin, (noise_t, plan), unroll=4)
        weight = jnp.exp((cost.min() - cost) / WARMTH)
        plan = plan + (noise_t * weight).sum(axis=1) / weight.sum()
        torque = jnp.clip(plan[0], -TORQUE, TORQUE)
        speed = speed + STEP * (15 * jnp.sin(angle) + 3 * torque)
        angle = angle + STEP * speed
        paid = 10 * (1 - jnp.cos(angle)) + 0.1 * speed**2 + 0.001 * torque**2
        return (angle, speed, jnp.concatenate([plan[1:], jnp.zeros(1, "float32")])), paid

    first = start.astype("float32")
    paid = lax.scan(step, (first[0], first[1], jnp.zeros(horizon, "float32")), noise)[1]
    return paid.mean().astype("float64")


def _savings(rng: np.random.Generator, scale: Scale) -> Inputs:
    levels, years = scale.pick(200, quick=12), scale.steps(60, quick=6)
    node, chance = np.polynomial.hermite_e.hermegauss(7)
    saved = 20 * np.linspace(0, 1, levels) ** 2
    return inputs(saved, np.exp(0.3 * node - 0.045), chance / chance.sum(), years=years)


def _life_cycle(saved: Any, income: Any, chance: Any, years: int) -> Any:
    later = RETURN * saved[:, None] + income

    def year(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        wealth, spent = carry
        i = jnp.clip(jnp.searchsorted(wealth, later), 1, len(wealth) - 1)
        share = (later - wealth[i - 1]) / (wealth[i] - wealth[i - 1])
        then = spent[i - 1] + share * (spent[i] - spent[i - 1])
        now = (PATIENCE * RETURN * (then**-AVERSION @ chance)) ** (-1 / AVERSION)
        spent = jnp.concatenate([jnp.zeros(1), now])
        return (jnp.concatenate([jnp.zeros(1), saved + now]), spent), spent

    start = jnp.concatenate([jnp.zeros(1), saved + 1e-6])
    return lax.scan(year, (start, start), None, years)[1]


def _life_cycle_tuned(saved: Any, income: Any, chance: Any, years: int) -> Any:
    """Places by one sort of old and new levels together; a slope and a height for each place; powers of 2 as products
    and roots."""
    later = RETURN * saved[:, None] + income
    ordered = jnp.argsort(later.ravel())
    back = jnp.argsort(ordered)
    points = later.ravel()[ordered]

    def year(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        wealth, spent = carry
        below = jnp.searchsorted(points, wealth, method="scan_unrolled")
        count = jnp.zeros(len(points) + 1, "int32").at[below].add(1, mode="promise_in_bounds")
        i = jnp.clip(jnp.cumsum(count)[:-1], 1, len(wealth) - 1) - 1
        slope = jnp.diff(spent) / jnp.diff(wealth)
        height = spent[:-1] - slope * wealth[:-1]
        pair = jnp.stack([height, slope], axis=1).at[i].get(mode="promise_in_bounds")
        then = pair[:, 0] + pair[:, 1] * points
        worth = (1 / (then * then)).at[back].get(mode="promise_in_bounds").reshape(later.shape) @ chance
        now = 1 / jnp.sqrt(PATIENCE * RETURN * worth)
        spent = jnp.concatenate([jnp.zeros(1), now])
        return (jnp.concatenate([jnp.zeros(1), saved + now]), spent), spent

    start = jnp.concatenate([jnp.zeros(1), saved + 1e-6])
    return lax.scan(year, (start, start), None, years)[1]


def _demand(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, (paths, far, near_) = scale.steps(500, quick=15), scale.pick((64, 5, 3), quick=(2, 3, 2))
    demand = rng.gamma(4.0, 2.5, (steps, paths))
    levels = map(np.float64, (95.0, 42.0, 12.0))
    return inputs(demand, *levels, far=far, near=near_)


def _inventory(demand: Any, *parameters: Any, far: int, near: int) -> list[Any]:
    zeros = jnp.zeros_like(demand[0])

    def cost(parameters: Any) -> Any:
        upper, lower, limit = parameters

        def step(carry: tuple[Any, ...], demand_t: Any) -> tuple[Any, Any]:
            orders, parcels, stock, held, owed, position_up, position_low = carry
            stock = stock + orders[0]
            held = held + parcels[0] - demand_t
            position_low, position_up = position_low - demand_t, position_up - demand_t
            wanted = jnp.maximum(lower - position_low, 0.0) + owed
            sent = jnp.minimum(wanted, stock)
            owed, stock = wanted - sent, stock - sent
            position_low = jnp.maximum(position_low, lower)
            order = jnp.minimum(jnp.maximum(upper - position_up, 0.0), limit)
            paid = UPSTREAM * stock + HOLDING * jnp.maximum(held, 0.0) + LATE * jnp.maximum(-held, 0.0)
            orders = jnp.concatenate([orders[1:], order[None]])
            parcels = jnp.concatenate([parcels[1:], sent[None]])
            return (orders, parcels, stock, held, owed, position_up + order, position_low), paid

        lines = (jnp.zeros((far, len(zeros))), jnp.zeros((near, len(zeros))))
        levels = (zeros + upper - lower, zeros + lower, zeros, zeros + upper, zeros + lower)
        return lax.scan(step, (*lines, *levels), demand)[1].mean()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _inventory_tuned(demand: Any, upper: Any, lower: Any, limit: Any, far: int, near: int) -> list[Any]:
    """A loop over the gap to the upper level, the steps since the limit bound it, and sums of demand; what came and
    what went are differences of these sums, so that stocks, costs and slopes are known for all steps at once."""

    def step(carry: tuple[Any, Any, Any], demand_t: Any) -> tuple[Any, Any]:
        gap, bound, total = carry
        over = gap + demand_t - limit
        carry = (jnp.maximum(over, 0.0), jnp.where(over > 0, bound + 1, 0.0), total + demand_t)
        return carry, carry

    def late(array: Any, by: int) -> Any:
        return jnp.concatenate([jnp.zeros((by, array.shape[1])), array[:-by]])

    zeros = jnp.zeros(demand.shape[1])
    gap, bound, total = lax.scan(step, (zeros, zeros, zeros), demand, unroll=2)[1]
    net = upper - lower + late(total - gap, far) - total
    of_limit = late(bound, far)
    short = net < 0
    held = lower + late(total + jnp.minimum(net, 0.0), near) - total
    slope = jnp.where(held > 0, HOLDING, -LATE)
    own = jnp.where(short, 0.0, UPSTREAM)
    moved = slope * late(short.astype(net.dtype), near)
    of_upper = (own + moved).mean()
    cost = (own * net + slope * held).mean()
    return [cost, of_upper, slope.mean() - of_upper, (own * of_limit + moved * late(of_limit, near)).mean()]


WORKLOADS = (
    task(
        "stable-matching",
        "marriages of 400 men and 400 women by proposals, until all are married",
        choices.stable_matching,
        _people,
        _stable_matching,
        _stable_matching_tuned,
        TIGHT,
    ),
    task(
        "topics",
        "Gibbs sampling of 10 topics of 1,500 words, 10 sweeps, nested loops",
        choices.topics,
        _text,
        _topics,
        _topics_tuned,
        near(0.1),
        draws=True,
    ),
    task(
        "path-control",
        "pendulum swung up by 128 random plans of 20 moves at each of 100 times, nested loops",
        choices.path_control,
        _pendulum,
        _path_control,
        _path_control_tuned,
        near(0.3),
        draws=True,
    ),
    task(
        "life-cycle",
        "consumption in 60 years of life for 200 levels of saving and 7 incomes",
        choices.life_cycle,
        _savings,
        _life_cycle,
        _life_cycle_tuned,
        close(1e-8),
    ),
    task(
        "inventory-grad",
        "two stores in a row whose goods come 5 and 3 steps late, 64 paths, T=500, with gradient in three parameters",
        choices.inventory,
        _demand,
        _inventory,
        _inventory_tuned,
        close(1e-8),
    ),
)
