"""What a function emits for JAX, run by NumPy: no compiler, so thousands of loops can be checked one by one."""

import jax
import numpy as np
from jax.extend.core import Literal


def results(function, *values):
    """The outputs of a LoopJAX function for these arguments, without XLA."""
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(function)(*values)
    return run(closed, *values)


def run(closed, *values):
    jaxpr = getattr(closed, "jaxpr", closed)
    known = dict(zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True))
    known.update(zip(jaxpr.invars, values, strict=True))
    for equation in jaxpr.eqns:
        operands = [variable.val if isinstance(variable, Literal) else known[variable] for variable in equation.invars]
        if equation.primitive.name == "scan":
            outputs = scan(equation, operands)
        else:
            outputs = PRIMITIVES[equation.primitive.name](*operands, **equation.params)
        known.update(zip(equation.outvars, outputs if equation.primitive.multiple_results else [outputs], strict=True))
    return [variable.val if isinstance(variable, Literal) else known[variable] for variable in jaxpr.outvars]


def scan(equation, operands):
    """How JAX says which operands are carried differs between releases; what is stacked has an axis more."""
    jaxpr, length, reverse = (equation.params[name] for name in ("jaxpr", "length", "reverse"))
    inner, outer = jaxpr.jaxpr.outvars, equation.outvars
    carried = sum(one.aval.ndim == of.aval.ndim for one, of in zip(inner, outer, strict=True))
    rows = sum(of.aval.ndim < np.ndim(x) for of, x in zip(jaxpr.jaxpr.invars, operands, strict=True))
    first = len(operands) - rows
    constants, carry, sequences = operands[: first - carried], operands[first - carried : first], operands[first:]
    stacks = [np.zeros(one.aval.shape, one.aval.dtype) for one in outer[carried:]]
    for step in reversed(range(length)) if reverse else range(length):
        outputs = run(jaxpr, *constants, *carry, *[sequence[step] for sequence in sequences])
        carry = outputs[:carried]
        for stack, row in zip(stacks, outputs[carried:], strict=True):
            stack[step] = row
    return [*carry, *stacks]


def called(*operands, jaxpr=None, call_jaxpr=None, **_):
    return run(jaxpr or call_jaxpr, *operands)


def pad(x, value, padding_config):
    assert not any(between for _, _, between in padding_config)
    return np.pad(x, [(low, high) for low, high, _ in padding_config], constant_values=value)


def broadcast(x, shape, broadcast_dimensions, **_):
    sizes = [size if axis in broadcast_dimensions else 1 for axis, size in enumerate(shape)]
    return np.broadcast_to(np.reshape(x, sizes), shape)


def split(x, sizes, axis):
    return np.split(x, np.cumsum(sizes)[:-1], axis)


PRIMITIVES = {
    "add": lambda x, y, **_: x + y,
    "add_any": lambda x, y, **_: x + y,
    "mul": lambda x, y, **_: x * y,
    "sub": lambda x, y, **_: x - y,
    "min": lambda x, y, **_: np.minimum(x, y),
    "one_minus_square": lambda x, **_: 1 - x**2,
    "tanh": lambda x, **_: np.tanh(x),
    "integer_pow": lambda x, y: x**y,
    "reduce_sum": lambda x, axes, **_: x.sum(axes),
    "broadcast_in_dim": broadcast,
    "concatenate": lambda *parts, dimension: np.concatenate(parts, dimension),
    "iota": lambda dtype, shape, **_: np.arange(*shape, dtype=dtype),
    "pad": pad,
    "reshape": lambda x, new_sizes, **_: np.reshape(x, new_sizes),
    "slice": lambda x, start_indices, limit_indices, strides: x[tuple(map(slice, start_indices, limit_indices))],
    "split": split,
    "squeeze": lambda x, dimensions: np.squeeze(x, dimensions),
    "jit": called,
    "custom_jvp_call": called,
    "remat2": called,
    "closed_call": called,
    "eval_jaxpr": called,
}
"""What these loops need; another primitive is a ``KeyError``."""
