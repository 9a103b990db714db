"""Games, roads and bodies with random draws. Those differ between contenders, so results are compared up to chance."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import near
from benchmarks.programs.seen import chance
from benchmarks.programs.seen.chance import DAWDLE, FASTEST, GOAL
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

LEADS = (
    *((1, 38), (4, 14), (9, 31), (16, 6), (21, 42), (28, 84), (36, 44), (47, 26), (49, 11), (51, 67), (56, 53)),
    *((62, 19), (64, 60), (71, 91), (80, 100), (87, 24), (93, 73), (95, 75), (98, 78)),
)


def _board(rng: np.random.Generator, scale: Scale) -> Inputs:
    leads = np.arange(GOAL + 1)
    for start, end in LEADS:
        leads[start] = end
    return inputs(leads.astype("int32"), players=scale.pick(300, quick=50), most=5_000)


def _snakes(key: Any, leads: Any, players: int, most: int) -> Any:
    def turn(state: Any) -> Any:
        i, key, square, turns = state
        key, used = random.split(key)
        to = square + random.randint(used, (players,), 1, 7, "int32")
        playing = square < GOAL
        square = jnp.where(playing, leads[jnp.where(to > GOAL, square, to)], square)
        return i + 1, key, square, turns + playing

    def goes_on(state: Any) -> Any:
        return (state[2] < GOAL).any() & (state[0] < most)

    zeros = jnp.zeros(players, "int32")
    turns = lax.while_loop(goes_on, turn, (jnp.int32(0), key, zeros, zeros))[3]
    return turns.astype("float32").mean()


def _snakes_tuned(key: Any, leads: Any, players: int, most: int) -> Any:
    """Dice of 32 turns at once; one table for square and dice, in which the goal leads to itself."""
    block = 32
    squares = jnp.arange(GOAL + 1, dtype="int32")[:, None]
    ahead = squares + jnp.arange(1, 7, dtype="int32")
    after = jnp.where(squares == GOAL, GOAL, leads[jnp.where(ahead > GOAL, squares, ahead)]).ravel()

    def turns_of(state: Any) -> Any:
        i, key, square, total = state
        key, used = random.split(key)
        eyes = random.randint(used, (block, players), 0, 6, "int32")

        def turn(carry: Any, eyes_t: Any) -> Any:
            square, total = carry
            total = total + (square < GOAL)
            return (after.at[6 * square + eyes_t].get(mode="promise_in_bounds"), total), None

        (square, total), _ = lax.scan(turn, (square, total), eyes)
        return i + block, key, square, total

    def goes_on(state: Any) -> Any:
        return (state[2] < GOAL).any() & (state[0] < most)

    zeros = jnp.zeros(players, "int32")
    total = lax.while_loop(goes_on, turns_of, (jnp.int32(0), key, zeros, zeros))[3]
    return total.astype("float32").mean()


def _body(rng: np.random.Generator, scale: Scale) -> Inputs:
    sides, size, draws = scale.pick((40, 10, 5_000), quick=(12, 3, 600))
    A = np.concatenate([rng.normal(size=(sides - 2 * size, size)), np.eye(size), -np.eye(size)])
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    return inputs(A, np.ones(sides), np.zeros(size), draws=scale.steps(draws))


def _hit_and_run(key: Any, A: Any, b: Any, start: Any, draws: int) -> Any:
    def draw(x: Any, key: Any) -> tuple[Any, Any]:
        one, two = random.split(key)
        direction = random.normal(one, x.shape)
        direction = direction / jnp.linalg.norm(direction)
        along, room = A @ direction, b - A @ x
        reach = room / along
        most = jnp.where(along > 0, reach, jnp.inf).min()
        least = jnp.where(along < 0, reach, -jnp.inf).max()
        x = x + random.uniform(two, minval=least, maxval=most) * direction
        return x, x

    return (lax.scan(draw, start, random.split(key, draws))[1] ** 2).sum(1).mean()


def _hit_and_run_tuned(key: Any, A: Any, b: Any, start: Any, draws: int) -> Any:
    """Directions, of 32-bit draws and without a length of one, and their products before the loop, which carries the
    room only; both ends from one minimum and one maximum of inverse reaches; points are sums after the loop."""
    one, two = random.split(key)
    directions = random.normal(one, (draws, len(start)), "float32").astype(A.dtype)
    share = random.uniform(two, (draws,))
    along = directions @ A.T

    def draw(room: Any, now: Any) -> tuple[Any, Any]:
        along_t, share_t = now
        inverse = along_t / room
        least, most = 1 / inverse.min(), 1 / inverse.max()
        by = least + (most - least) * share_t
        return room - by * along_t, by

    by = lax.scan(draw, b - A @ start, (along, share), unroll=2)[1]
    x = start + jnp.cumsum(by[:, None] * directions, axis=0)
    return (x**2).sum(1).mean()


def _road(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, cars, cells = scale.pick((2_000, 100, 600), quick=(500, 20, 120))
    place = np.sort(rng.permutation(cells)[:cars]).astype("int32")
    return inputs(place, steps=scale.steps(steps), cells=cells)


def _traffic(key: Any, place: Any, steps: int, cells: int) -> Any:
    def step(carry: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        place, speed = carry
        free = (jnp.roll(place, -1) - place) % cells - 1
        speed = jnp.minimum(jnp.minimum(speed + 1, FASTEST), free)
        dawdles = random.uniform(key, place.shape) < DAWDLE
        speed = jnp.where(dawdles, jnp.maximum(speed - 1, 0), speed)
        return ((place + speed) % cells, speed), speed

    speed = lax.scan(step, (place, jnp.zeros_like(place)), random.split(key, steps))[1]
    return speed.astype("float32").mean()


def _traffic_tuned(key: Any, place: Any, steps: int, cells: int) -> Any:
    """Draws before the loop, from 16 bits each; free cells instead of places, so that nothing wraps round."""
    bits = random.bits(key, (steps, len(place)), "uint16")
    slower = (bits < round(DAWDLE * 2**16)).astype("int32")
    free = (jnp.roll(place, -1) - place) % cells - 1

    def step(carry: tuple[Any, Any], slower_t: Any) -> tuple[Any, Any]:
        free, speed = carry
        speed = jnp.minimum(jnp.minimum(speed + 1, FASTEST), free)
        speed = jnp.maximum(speed - slower_t, 0)
        free = free + jnp.concatenate([speed[1:], speed[:1]]) - speed
        return (free, speed), speed

    speed = lax.scan(step, (free, jnp.zeros_like(free)), slower)[1]
    return speed.astype("float32").mean()


WORKLOADS = (
    task(
        "snakes",
        "turns of 300 players of snakes and ladders, until all are at the goal",
        chance.snakes,
        _board,
        _snakes,
        _snakes_tuned,
        near(0.3),
        draws=True,
    ),
    task(
        "hit-and-run",
        "5,000 points of a body with 40 flat sides in 10 dimensions, by random chords",
        chance.hit_and_run,
        _body,
        _hit_and_run,
        _hit_and_run_tuned,
        near(0.3),
        draws=True,
    ),
    task(
        "traffic",
        "100 cars on a ring road of 600 cells, 2,000 steps",
        chance.traffic,
        _road,
        _traffic,
        _traffic_tuned,
        near(0.1),
        draws=True,
    ),
)
