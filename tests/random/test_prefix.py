"""Draws of fewer rows are the first rows of draws of more, which padding relies on."""

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.op import OP_TABLE
from loopjax.random.distributions import DISTRIBUTIONS

VALUES = {"zipf": {"a": 2.2}, "integers": {"low": -3, "high": 12}, "negative_binomial": {"n": 2.5}}
"""Parameters of a distribution that are others than those below."""

DEFAULTS = {"n": 9, "p": 0.3, "b": 1.5, "high": 2.0, "mode": 1.0, "right": 2.0, "left": 0.0, "low": -1.0, "loc": 0.3}
DEFAULTS |= {"ngood": 9, "nbad": 8, "nsample": 7}

BY_REJECTION = {"standard_gamma", "poisson"}
"""The samplers in loops that are tried; the others are made of these or reject as they do, and take long to compile."""


def test_rows_do_not_depend_on_how_many_are_drawn():
    every = {name.removeprefix("draw_"): op for name, op in OP_TABLE.items() if "prefix_draw" in op.traits}
    draws = {name: op for name, op in every.items() if "inner_loop" not in op.traits or name in BY_REJECTION}
    assert len(every) == 49
    assert len(draws) == 32

    def drawn(key, name, rows):
        spec = DISTRIBUTIONS.get(name)
        names, integers = ((), ()) if spec is None else (spec.parameters, spec.integers)
        given = DEFAULTS | VALUES.get(name, {})
        values = [jnp.asarray(given.get(one, 1.5), "int64" if one in integers else "float32") for one in names]
        dtype = "int64" if spec is not None and spec.discrete else "float32"
        return draws[name].run(key, *values, lengths=(rows,), dtype=dtype)

    def pairs(key):
        return {name: (drawn(key, name, 3), drawn(key, name, 8)[:3]) for name in draws}

    with jax.enable_x64(True):
        found = jax.jit(pairs)(jax.random.key(5))
    for name, (few, first) in found.items():
        assert np.isfinite(few).all()
        # XLA may compile functions of floats differently for other sizes.
        np.testing.assert_allclose(few, first, rtol=3e-6, err_msg=name)
