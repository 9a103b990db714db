"""The table of distributions, and how a draw is recorded; the samplers are in the files beside this one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from operator import and_
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.errors import about, coded
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import Reparametrization, computed, register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.traits import Trait
from loopjax.ir.types import KEY, Shape, TensorType, broadcast_shapes, dtype_name, is_inexact
from loopjax.lower.placement import in_types
from loopjax.tensor.lengths import check_sizes, size_list, split_sizes
from loopjax.trace.convert import as_variable, is_complex
from loopjax.trace.promotion import common_dtype

LAST_STEP = 2**32 - 1
"""Number with which a key is folded when the call or loop that drew from it ends; no step has this number."""


class Domain(NamedTuple):
    """The numbers that a parameter may be: in words, and a test of an array."""

    text: str
    holds: Callable[..., Any]


POSITIVE = Domain("greater than 0", lambda values: values > 0)
NONNEGATIVE = Domain("0 or greater", lambda values: values >= 0)
PROBABILITY = Domain("from 0 to 1", lambda values: (values >= 0) & (values <= 1))
SIMPLEX = Domain(
    "probabilities from 0 up that sum to 1 along the last axis",
    lambda values: (values >= 0).all(-1) & (abs(values.sum(-1, dtype="float64") - 1) < 1e-3),
)
CHANCE = Domain("greater than 0 and at most 1", lambda values: (values > 0) & (values <= 1))


class Distribution(NamedTuple):
    """A distribution's own name, the names of its parameters, those that are integers, and whether draws are.

    ``domains`` are those of its parameters that not every number is in, ``relation`` what holds between them.
    """

    name: str
    parameters: tuple[str, ...]
    integers: tuple[str, ...]
    discrete: bool
    domains: Mapping[str, Domain]
    relation: Domain | None


DISTRIBUTIONS: dict[str, Distribution] = {}
"""Every distribution, by its name and its aliases."""


def distribution(
    name: str,
    sample: Callable[..., Any] | Reparametrization,
    *parameters: str,
    aliases: tuple[str, ...] = (),
    integers: tuple[str, ...] = (),
    discrete: bool = False,
    domains: Mapping[str, Domain] | None = None,
    relation: Domain | None = None,
    events: tuple[int, ...] = (),
    event_shape: Callable[..., Shape] | None = None,
    loops: bool = False,
    x64: bool = False,
) -> None:
    """Register a distribution and its op ``draw_<name>``; the method of ``RandomStream`` is written by hand.

    ``sample(key, *parameters, shape=, dtype=)`` gets parameters of dtype floatX, int64 for ``integers``, and the shape
    of the result without that of one draw, which ``event_shape(*types)`` gives. ``domains`` are those of parameters
    that not every number is in, ``relation`` what holds between them; a scalar draw is NaN, or -1 of integers, where
    the run finds a parameter outside of its domain. A ``Reparametrization`` instead lets the base sample be drawn
    apart from its transform. ``events`` are the numbers of axes of each parameter for one draw, 0 unless given.
    ``loops``: whether JAX draws in a loop, as it does by rejection. ``x64``: it draws bits for numbers of 64 bits,
    whatever the dtypes are.
    """
    axes, domains = events or (0,) * len(parameters), domains or {}
    if isinstance(sample, Reparametrization) and not events:
        sample = _within(sample, [domains.get(parameter) for parameter in parameters])

    def batches(shapes: Iterable[Shape]) -> list[Shape]:
        return [shape[: len(shape) - n] for shape, n in zip(shapes, axes, strict=True)]

    def infer(key: TensorType, *types: TensorType, lengths: Shape | None, dtype: str) -> TensorType:
        if key.dtype != KEY:
            raise TypeError(f"a draw reads a key, got {key}")
        for parameter, type, least in zip(parameters, types, axes, strict=True):
            if type.ndim < least:
                raise coded(ValueError, "LJ602")(
                    f"{parameter} has {least} dimensions for each draw of {name}, got {type}; expected at least {least}"
                )
        inner = event_shape(*types) if event_shape is not None else ()
        batch = broadcast_shapes(*batches(type.shape for type in types))
        if lengths is None:
            return TensorType(dtype, (*batch, *inner))
        check_sizes(lengths)
        dims = zip(reversed(batch), reversed(lengths), strict=False)
        if len(batch) > len(lengths) or any(None not in (one, to) and one not in (1, to) for one, to in dims):
            raise coded(ValueError, "LJ506")(
                f"{name} with parameters of shape {batch} does not draw an array of size {lengths}"
            )
        return TensorType(dtype, (*lengths, *inner))

    def run(key: Any, *values: Any, lengths: tuple[int, ...] | None, dtype: str) -> Any:
        shape: Any = broadcast_shapes(*batches(jnp.shape(value) for value in values)) if lengths is None else lengths
        if isinstance(sample, Reparametrization):
            return _transformed(sample, key, values, shape, dtype)
        if events:
            return sample(key, *values, shape=shape, dtype=dtype)
        drawn = _along_one_axis(partial(sample, dtype=dtype), key, values, shape)
        named = dict(zip(parameters, values, strict=True))
        tests = [domain.holds(named[parameter]) for parameter, domain in domains.items()]
        outside = np.asarray(-1 if discrete else np.nan).astype(dtype)
        return jnp.where(reduce(and_, tests), drawn, outside) if tests else drawn

    def broadcasts(key: TensorType, *types: TensorType, lengths: Shape | None, dtype: str) -> list[list[Shape]]:
        return [[*batches(type.shape for type in types), *(() if lengths is None else (lengths,))]]

    reparametrization = sample if isinstance(sample, Reparametrization) else None
    draws: Trait = "draw" if events else "prefix_draw"
    traits: list[Trait] = [draws]
    if loops:
        traits.append("inner_loop")
    if x64:
        traits.append("x64")
    register(f"draw_{name}", run, infer, *traits, broadcasts=broadcasts, reparametrization=reparametrization)
    for label in (name, *aliases):
        DISTRIBUTIONS[label] = Distribution(name, parameters, integers, discrete, domains, relation)


def standard(name: str, sample: Callable[..., Any]) -> str:
    """Register base samples, ``sample(key, shape, dtype)``, and return the name of their op."""

    def infer(key: TensorType, lengths: Shape, dtype: str) -> TensorType:
        check_sizes(lengths)
        return TensorType(dtype, lengths)

    def run(key: Any, lengths: tuple[int, ...], dtype: str) -> Any:
        return _along_one_axis(partial(sample, dtype=dtype), key, (), lengths)

    register(f"draw_{name}", run, infer, "prefix_draw")
    return f"draw_{name}"


def _along_one_axis(sample: Callable[..., Any], key: Any, values: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Return an array of independent draws, drawn as a vector: the numbers are the same.

    XLA on CPU unrolls the loops over the last axes of threefry. Measured for 200 draws of (40, 10), 300 of (50, 3) and
    one of (64, 64) uniform float32 numbers (jax 0.10.2): 0.14, 0.55 and 0.54 of the time to compile, and 0.31, 0.36 and
    1.03 of the time to run; for 100 draws of (40, 10) Poisson numbers 0.46 and 0.29.
    """
    if len(shape) < 2 or (in_types() and any(map(jnp.ndim, values))):  # what is sharded along axes keeps them
        return sample(key, *values, shape=shape)
    flat = [jnp.broadcast_to(value, shape).reshape(-1) if jnp.ndim(value) else value for value in values]
    return sample(key, *flat, shape=(math.prod(shape),)).reshape(shape)


def _within(by: Reparametrization, domains: Sequence[Domain | None]) -> Reparametrization:
    """Return a reparametrization whose parameters are NaN outside of their domains."""

    def checked(do: Callable[..., Any], value: Any, domain: Domain | None) -> Any:
        if domain is None or isinstance(value, Constant):  # a constant has been checked
            return value
        return do("switch", domain.holds(value), value, np.asarray(np.nan, value.dtype))

    def transform(do: Callable[..., Any], draws: Any, *values: Any) -> Any:
        return by.transform(do, draws, *map(partial(checked, do), values, domains))

    return by._replace(transform=transform)


def _transformed(by: Reparametrization, key: Any, values: tuple[Any, ...], shape: tuple[int, ...], dtype: str) -> Any:
    lengths = by.shape(shape, values[0].shape)
    sample = computed(by.base, key, lengths=lengths, dtype=by.dtype(dtype, values[0].dtype.name))
    return by.transform(computed, sample, *values).astype(dtype)


def draw(name: str, key: Variable, values: Sequence[Any], size: Any, dtype: Any = None) -> Variable:
    """Record a draw of ``size`` with ``key`` and these parameters."""
    spec = DISTRIBUTIONS[name]
    to = dtype_name(dtype) if dtype is not None else "int64" if spec.discrete else config.floatX
    if not spec.discrete and not is_inexact(to):
        raise coded(TypeError, "LJ510")(f"dtype of {spec.name} is {to!r}; expected floats, write dtype='float64'")
    given = [_parameter(spec, parameter, value) for parameter, value in zip(spec.parameters, values, strict=True)]
    if spec.relation is not None and all(isinstance(variable, Constant) for variable in given):
        values = [variable.data for variable in given if isinstance(variable, Constant)]
        if not np.all(spec.relation.holds(*values)):
            shown = ", ".join(f"{one}={value}" for one, value in zip(spec.parameters, values, strict=True))
            raise coded(ValueError, "LJ602")(f"{spec.name}: {shown}; expected {spec.relation.text}")
    inputs = [
        _cast(variable, parameter in spec.integers, to)
        for parameter, variable in zip(spec.parameters, given, strict=True)
    ]
    if size is None:
        return apply(table_op(f"draw_{spec.name}", lengths=None, dtype=to), key, *inputs)[0]
    static, symbolic = split_sizes(size_list(size, "size"), "size")
    return apply(table_op(f"draw_{spec.name}", lengths=static, dtype=to), key, *inputs, *symbolic)[0]


def _parameter(spec: Distribution, name: str, value: Any) -> Variable:
    """A parameter as a variable; raises ``ValueError`` for a constant outside of its domain."""
    with about(f"{spec.name}: {name}"):
        variable = as_variable(value)
    if is_complex(variable.dtype):
        raise coded(TypeError, "LJ510")(f"{spec.name}: {name} takes real numbers, got {variable!r}; use its real part")
    check_domain(f"{spec.name}: {name}", variable, spec.domains.get(name))
    if name in spec.integers and variable.type.is_float:
        raise coded(TypeError, "LJ510")(f"{spec.name}: {name} takes integers, got {variable!r}; write .astype('int64')")
    return variable


def check_domain(subject: str, variable: Variable, domain: Domain | None) -> None:
    """Raise ``ValueError`` for a constant outside of a domain."""
    if domain is not None and isinstance(variable, Constant) and not np.all(domain.holds(variable.data)):
        shown = np.array2string(variable.data, threshold=6)
        raise coded(ValueError, "LJ602")(f"{subject} is {shown}; expected values {domain.text}")


def _cast(variable: Variable, integer: bool, dtype: str) -> Variable:
    """A parameter as int64 where it is an integer, else as a float: that of an array, of a Python number floatX or the
    wider dtype of the draw."""
    if integer:
        return variable.astype("int64")
    if variable.type.is_float and not (isinstance(variable, Constant) and variable.exact is not None):
        return variable.astype(variable.dtype)
    return variable.astype(common_dtype([TensorType(config.floatX), TensorType(dtype)]))


def _advance_type(key: TensorType) -> TensorType:
    return key


register("advance", lambda key: jax.random.fold_in(key, LAST_STEP), _advance_type, "memory_bound")


@public_op
def advance(key: Variable) -> Variable:
    """The key of a stream after a call or a loop that drew with ``key``."""
    return apply(table_op("advance"), key)[0]
