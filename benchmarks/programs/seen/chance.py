"""Games, roads and bodies with random draws."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

FASTEST, DAWDLE = 5, 0.3
GOAL = 100


def snakes(aesara: Any, players: int, most: int) -> Any:
    """Mean number of turns that players of snakes and ladders need to hit the last square (Althoen, King and Schilling
    1993), until all are there; ``leads`` has the end of the snake or ladder at each square. Int32."""
    at, trng = aesara.tensor, stream(aesara)
    leads = at.ivector("leads")

    def turn(square: Any, turns: Any) -> Any:
        to = square + at.cast(trng.integers(1, 7, size=(players,)), "int32")
        moved = leads[at.switch(to > GOAL, square, to)]
        playing = square < GOAL
        square = at.switch(playing, moved, square)
        return [square, turns + at.cast(playing, "int32")], until(aesara, at.all(at.eq(square, GOAL)))

    zeros = at.zeros((players,), dtype="int32")
    (_, turns), updates = aesara.scan(turn, outputs_info=[zeros, zeros], n_steps=most)
    return aesara.function([leads], at.cast(turns[-1], "float32").mean(), updates=updates)


def hit_and_run(aesara: Any, draws: int) -> Any:
    """Mean square distance from the origin of points of a body with flat sides, by chords in random directions (Smith
    1984). The body has the points ``A x <= b``. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    A, b, start = at.dmatrix("A"), at.dvector("b"), at.dvector("start")

    def draw(x: Any) -> Any:
        direction = trng.normal(size=x.shape, dtype="float64")
        direction = direction / at.sqrt((direction**2).sum())
        along, room = at.dot(A, direction), b - at.dot(A, x)
        reach = room / along
        most = at.switch(along > 0, reach, 1e30).min()
        least = at.switch(along < 0, reach, -1e30).max()
        return x + (least + (most - least) * trng.uniform(size=(), dtype="float64")) * direction

    x, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([A, b, start], (x**2).sum(axis=1).mean(), updates=updates)


def traffic(aesara: Any, steps: int, cells: int) -> Any:
    """Mean speed of cars on a ring road, which keep their distance and dawdle by chance (Nagel and Schreckenberg 1992);
    ``place`` in the order of the road. Int32."""
    at, trng = aesara.tensor, stream(aesara)
    place = at.ivector("place")

    def step(place: Any, speed: Any) -> list[Any]:
        free = (at.roll(place, -1) - place) % cells - 1
        speed = at.minimum(at.minimum(speed + 1, FASTEST), free)
        dawdles = trng.uniform(size=place.shape, dtype="float32") < DAWDLE
        speed = at.switch(dawdles, at.maximum(speed - 1, 0), speed)
        return [(place + speed) % cells, speed]

    (_, speed), updates = aesara.scan(step, outputs_info=[place, at.zeros_like(place)], n_steps=steps)
    return aesara.function([place], at.cast(speed, "float32").mean(), updates=updates)
