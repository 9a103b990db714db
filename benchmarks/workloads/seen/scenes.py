"""Pictures and a fluid in the plane."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import scenes
from benchmarks.programs.seen.scenes import BALL, BLEND, FAR, FLOOR, HIT, MOVES, RADIUS, SHARES, TUBE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _camera(rng: np.random.Generator, scale: Scale) -> Inputs:
    side = scale.pick(100, quick=6)
    x, y = (array.ravel() for array in np.meshgrid(np.linspace(-0.7, 0.7, side), np.linspace(-0.7, 0.7, side)))
    direction = np.stack([x, y - 0.35, np.ones_like(x)], axis=1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return inputs(np.array([0.0, 1.3, -3.5]), direction, np.array([0.9, 0.5, -0.4]), most=scale.steps(200))


def _ray_marching(eye: Any, direction: Any, ball: Any, most: int) -> Any:
    def distance(p: Any) -> Any:
        ring = jnp.sqrt(p[:, 0] ** 2 + p[:, 2] ** 2) - RADIUS
        torus = jnp.sqrt(ring**2 + p[:, 1] ** 2) - TUBE
        round_one = jnp.sqrt(((p - ball) ** 2).sum(axis=1)) - BALL
        between = jnp.maximum(BLEND - jnp.abs(torus - round_one), 0.0) / BLEND
        both = jnp.minimum(torus, round_one) - between**2 * BLEND / 4
        return jnp.minimum(both, p[:, 1] - FLOOR)

    def march(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, length, going = state
        by = distance(eye + length[:, None] * direction)
        length = jnp.where(going, length + by, length)
        return i + 1, length, going & (by > HIT) & (length < FAR)

    def goes_on(state: tuple[Any, Any, Any]) -> Any:
        return (state[0] < most) & state[2].any()

    rays = len(direction)
    return lax.while_loop(goes_on, march, (0, jnp.zeros(rays), jnp.ones(rays, bool)))[1]


def _ray_marching_tuned(eye: Any, direction: Any, ball: Any, most: int) -> Any:
    """Squares of distances to the axis and to the ball are polynomials of the length, whose coefficients are known
    before the loop; rays in blocks that end each when all of theirs have."""
    rays, block = len(direction), min(250, len(direction))
    x, y, z = direction.T
    out = eye - ball
    lines = (
        y,
        x * x + z * z,
        2 * (eye[0] * x + eye[2] * z),
        2 * direction @ out,
    )
    axis, middle = eye[0] ** 2 + eye[2] ** 2, (out**2).sum()

    def of_block(lines: Any) -> Any:
        y, flat, around, toward = lines

        def march(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            i, length, going = state
            height = eye[1] + length * y
            ring = jnp.sqrt(axis + length * (around + length * flat)) - RADIUS
            torus = jnp.sqrt(ring * ring + height * height) - TUBE
            round_one = jnp.sqrt(middle + length * (toward + length)) - BALL
            between = jnp.maximum(BLEND - jnp.abs(torus - round_one), 0.0)
            both = jnp.minimum(torus, round_one) - between * between * (1 / (4 * BLEND))
            by = jnp.minimum(both, height - FLOOR)
            length = jnp.where(going, length + by, length)
            return i + 1, length, going & (by > HIT) & (length < FAR)

        def goes_on(state: tuple[Any, Any, Any]) -> Any:
            return (state[0] < most) & state[2].any()

        start = (0, jnp.zeros_like(y), jnp.ones(y.shape, bool))
        return lax.while_loop(goes_on, march, start)[1]

    return lax.map(of_block, tuple(line.reshape(-1, block) for line in lines)).reshape(rays)


def _photograph(rng: np.random.Generator, scale: Scale) -> Inputs:
    side = scale.pick(100, quick=8)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    clean = 1.0 * (x**2 + y**2 < 0.5) + 0.5 * (np.abs(x - 0.3) < 0.2)
    noisy = clean + 0.2 * rng.normal(size=clean.shape)
    return inputs(noisy, np.float64(0.2), steps=scale.steps(100, quick=5))


def _total_variation(noisy: Any, weight: Any, steps: int) -> Any:
    tau = sigma = 8**-0.5

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, None]:
        picture, ahead, down, right = carry
        down = down + sigma * jnp.pad(jnp.diff(ahead, axis=0), ((0, 1), (0, 0)))
        right = right + sigma * jnp.pad(jnp.diff(ahead, axis=1), ((0, 0), (0, 1)))
        size = jnp.maximum(jnp.sqrt(down**2 + right**2) / weight, 1.0)
        down, right = down / size, right / size
        spread = jnp.concatenate([down[:1], jnp.diff(down[:-1], axis=0), -down[-2:-1]], axis=0)
        spread = spread + jnp.concatenate([right[:, :1], jnp.diff(right[:, :-1], axis=1), -right[:, -2:-1]], axis=1)
        new = (picture + tau * (spread + noisy)) / (1 + tau)
        return (new, 2 * new - picture, down, right), None

    zeros = jnp.zeros_like(noisy)
    (picture, *_), _ = lax.scan(step, (noisy, noisy, zeros, zeros), None, steps)
    return picture


def _total_variation_tuned(noisy: Any, weight: Any, steps: int) -> Any:
    """Arrays with an edge of zeros that stay in place, so that differences are slices; one division."""
    tau = sigma = 8**-0.5
    height, width = noisy.shape
    below = jnp.asarray(np.where(np.arange(height) < height - 1, sigma, 0.0))[:, None]
    beside = jnp.asarray(np.where(np.arange(width) < width - 1, sigma, 0.0))
    share, inner = 1 / (1 + tau), 1 / weight
    known = tau * share * noisy

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, None]:
        picture, ahead, down, right = carry
        own = ahead[:-1, :-1]
        lower = down[1:] + below * (ahead[1:, :-1] - own)
        later = right[:, 1:] + beside * (ahead[:-1, 1:] - own)
        by = 1 / jnp.maximum(jnp.sqrt(lower * lower + later * later) * inner, 1.0)
        down, right = down.at[1:].set(lower * by), right.at[:, 1:].set(later * by)
        spread = down[1:] - down[:-1] + right[:, 1:] - right[:, :-1]
        new = share * picture + (tau * share) * spread + known
        return (new, ahead.at[:-1, :-1].set(2 * new - picture), down, right), None

    ahead = jnp.pad(noisy, ((0, 1), (0, 1)))
    start = (noisy, ahead, jnp.zeros((height + 1, width)), jnp.zeros((height, width + 1)))
    return lax.scan(step, start, None, steps)[0][0]


def _body(rng: np.random.Generator, scale: Scale) -> Inputs:
    length, height = scale.pick((96, 32), quick=(10, 6))
    x, y = np.meshgrid(np.arange(length), np.arange(height), indexing="ij")
    body = (x - length / 4) ** 2 + (y - height / 2 + 0.5) ** 2 < (height / 8) ** 2
    steps = scale.steps(100, quick=5)
    return inputs(body.astype(float), np.float64(0.1), np.float64(1.6), steps=steps)


def _balance(density: Any, u: Any, v: Any) -> list[Any]:
    square = 1.5 * (u**2 + v**2)
    along = [3 * (x * u + y * v) for x, y in MOVES]
    return [share * density * (1 + one + one**2 / 2 - square) for share, one in zip(SHARES, along, strict=True)]


def _moments(f: Any) -> tuple[Any, Any, Any]:
    density = sum(f[1:], f[0])
    u = sum(x * f[k] for k, (x, _) in enumerate(MOVES) if x) / density
    v = sum(y * f[k] for k, (_, y) in enumerate(MOVES) if y) / density
    return density, u, v


def _flow(body: Any, speed: Any, relaxation: Any, steps: int) -> list[Any]:
    back = np.array([MOVES.index((-x, -y)) for x, y in MOVES])

    def moments(f: Any) -> tuple[Any, Any, Any]:
        density = f.sum(axis=0)
        velocity = jnp.einsum("kd,kxy->dxy", jnp.array(MOVES, f.dtype), f) / density
        return density, velocity[0], velocity[1]

    def step(f: Any, _: None) -> tuple[Any, None]:
        f = jnp.stack([jnp.roll(f[k], move, axis=(0, 1)) for k, move in enumerate(MOVES)])
        changed = f + relaxation * (jnp.stack(_balance(*moments(f))) - f)
        return jnp.where(body > 0.5, f[back], changed), None

    ones = jnp.ones_like(body)
    f = lax.scan(step, jnp.stack(_balance(ones, speed * ones, 0 * ones)), None, steps)[0]
    return [*moments(f)[1:]]


def _flow_tuned(body: Any, speed: Any, relaxation: Any, steps: int) -> list[Any]:
    """Nine arrays instead of one; opposite directions together, whose sum and difference give the balance of both; one
    division."""
    inside = body > 0.5
    pairs = [(k, MOVES.index((-x, -y))) for k, (x, y) in enumerate(MOVES) if (x, y) > (0, 0)]

    def step(f: Any, _: None) -> tuple[Any, None]:
        f = [jnp.roll(one, move, axis=(0, 1)) for one, move in zip(f, MOVES, strict=True)]
        density = sum(f[1:], f[0])
        inverse = 1 / density
        u = (f[1] - f[3] + (f[5] - f[7]) + (f[8] - f[6])) * inverse
        v = (f[2] - f[4] + (f[5] - f[7]) - (f[8] - f[6])) * inverse
        rest = density * (1 - 1.5 * (u * u + v * v))
        new = [jnp.where(inside, f[0], f[0] + relaxation * (SHARES[0] * rest - f[0])), *f[1:]]
        for one, other in pairs:
            x, y = MOVES[one]
            along = x * u + y * v
            even, odd = SHARES[one] * (rest + 4.5 * density * along * along), 3 * SHARES[one] * density * along
            new[one] = jnp.where(inside, f[other], f[one] + relaxation * (even + odd - f[one]))
            new[other] = jnp.where(inside, f[one], f[other] + relaxation * (even - odd - f[other]))
        return tuple(new), None

    ones = jnp.ones_like(body)
    f = lax.scan(step, tuple(_balance(ones, speed * ones, 0 * ones)), None, steps)[0]
    return [*_moments(f)[1:]]


WORKLOADS = (
    task(
        "ray-marching",
        "10,000 rays into a scene of three bodies, until all have hit or are far",
        scenes.ray_marching,
        _camera,
        _ray_marching,
        _ray_marching_tuned,
        close(1e-8),
    ),
    task(
        "total-variation",
        "picture of 100 x 100 without its noise, 100 steps",
        scenes.total_variation,
        _photograph,
        _total_variation,
        _total_variation_tuned,
        close(1e-8),
    ),
    task(
        "flow-past-body",
        "fluid on 96 x 32 places that flows past a body, 100 steps in nine directions",
        scenes.flow,
        _body,
        _flow,
        _flow_tuned,
        close(1e-8),
    ),
)
