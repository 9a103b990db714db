"""How many steps lanes of two examples take: on the host as on the device, and never too few."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from loopjax.ir.capacities import steps_of_pairs


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_the_longest_with_the_shortest(batch):
    rng = np.random.default_rng(batch)
    for _ in range(20):
        lengths = rng.integers(0, 50, batch)
        ordered = np.sort(lengths)
        lanes = [ordered[k] + ordered[batch - 1 - k] * (batch - 1 - k > k) for k in range((batch + 1) // 2)]
        assert steps_of_pairs(lengths, 8, np) == max([*lanes, ordered[-1]])
        rounded = steps_of_pairs(lengths, 64, np)
        assert rounded % 4 == 0
        assert 0 <= rounded - max([*lanes, ordered[-1]]) < 4
        with jax.enable_x64(True):
            assert steps_of_pairs(jnp.asarray(lengths), 64, jnp) == rounded
