"""Stencils on rolled arrays."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.halo import PadStencils
from loopjax.rewrite.target import Target
from tests.rewrite.sized import rewrites

RNG = np.random.default_rng(8)
PLANE = at.tensor("float64", shape=(50, 60), name="plane")
RING = at.tensor("float64", shape=(600,), name="ring")


def around(x, shifts):
    """The sum of rolled arrays, each with a weight of its own; a shift for each axis."""
    total = 0
    for weight, shift in enumerate(shifts, 1):
        rolled = x
        for axis, places in enumerate(shift):
            rolled = at.roll(rolled, places, axis) if places else rolled
        total = total + weight * rolled
    return total


@pytest.mark.parametrize(
    ("x", "shifts"),
    [
        (RING, [(1,), (-1,), (3,)]),
        (RING, [(599,), (-601,), (2,), (-20,)]),
        (RING, [(1,), (2,), (3,)]),
        (PLANE, [(1, 0), (-1, 0), (0, 1), (0, -1)]),
        (PLANE, [(1, 1), (-2, 3), (1, -1), (1, 0)]),
    ],
)
def test_rolls_are_slices_of_a_padded_array(x, shifts):
    value = RNG.normal(size=x.type.sizes)
    axes = tuple(range(value.ndim))
    wanted = sum(weight * np.roll(value, shift, axes) for weight, shift in enumerate(shifts, 1))
    assert rewrites(PadStencils(), [x], [around(x, shifts)])
    np.testing.assert_allclose(loopjax.function([x], around(x, shifts))(value), wanted, rtol=1e-12, atol=1e-12)


def test_stencil_in_a_loop():
    u, _ = loopjax.scan(lambda u: 0.2 * around(u, [(1,), (-1,), (2,)]), outputs_info=RING, n_steps=5)
    wanted = value = RNG.normal(size=600)
    for _ in range(5):
        wanted = 0.2 * (np.roll(wanted, 1) + 2 * np.roll(wanted, -1) + 3 * np.roll(wanted, 2))
    assert rewrites(PadStencils(), [RING], [u[-1]])
    np.testing.assert_allclose(loopjax.function([RING], u[-1])(value), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "shifts"),
    [
        (RING, [(1,), (-1,)]),
        (RING, [(1,), (-1,), (1,)]),
        (RING, [(100,), (-100,), (1,)]),
        (RING[:500], [(1,), (-1,), (2,)]),
        (PLANE[:30], [(1, 0), (-1, 0), (0, 1)]),
        (PLANE[:0], [(1, 0), (-1, 0), (0, 1)]),
    ],
)
def test_few_or_far_neighbours_and_small_arrays_stay(x, shifts):
    inputs = [RING if x.ndim == 1 else PLANE]
    assert not rewrites(PadStencils(), inputs, [around(x, shifts)])


def test_derivatives_and_other_backends_keep_rolls():
    stencil = around(RING, [(1,), (-1,), (2,)])
    assert not rewrites(PadStencils(Target("gpu")), [RING], [stencil])
    assert not rewrites(PadStencils(Target(derivative="reverse")), [RING], [stencil])
    assert not rewrites(PadStencils(), [RING], [loopjax.grad((stencil**2).sum(), RING)])
