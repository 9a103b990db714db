"""A loop that decays, as a program and as NumPy, and what a function compiled of it."""

import jax
import numpy as np

import loopjax
import loopjax.tensor as at
from tests.rewrite.sized import scans

NONE = loopjax.Mode().excluding("reduction_fusion", "saved_windows", "saved_steps")
N, T = 3, 40


def planned(f):
    """The graph that the function compiled last."""
    return f.stages[-1].programs[-1].graph


def loop(f):
    (found,) = scans(planned(f))
    return found


def keeps(f):
    return [str(output.saved) for output in loop(f).outputs]


def temporaries(f):
    program = f.stages[-1].programs[-1]
    inputs = [jax.ShapeDtypeStruct(variable.type.sizes, variable.dtype) for variable in program.graph.inputs]
    with jax.enable_x64(True):
        return program.call.lower(*inputs).compile().memory_analysis().temp_size_in_bytes


def decay(steps=T, **options):
    """``h`` and the stack of ``0.9 * h + u`` over the rows of ``x``."""
    x, h = at.dmatrix("x"), at.dvector("h")
    out, _ = loopjax.scan(lambda u, h: 0.9 * h + u, sequences=x, outputs_info=h, n_steps=steps, **options)
    return x, h, out


def stacked(x, h, steps=T, backwards=False):
    """The same as a plain loop."""
    rows = []
    for t in range(steps):
        h = 0.9 * h + (x[len(x) - 1 - t] if backwards else x[t])
        rows.append(h)
    return np.array(rows)


def values(steps=T):
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, N)), rng.normal(size=N)
