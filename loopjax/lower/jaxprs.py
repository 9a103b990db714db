"""Rewriting of JAX's own programs: their regions, equations in place of others, a function in place of an equation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


def regions(equation: Any) -> list[Any]:
    """The programs that an equation runs, as ``Jaxpr`` or ``ClosedJaxpr``."""
    values = [one for value in equation.params.values() for one in (value if isinstance(value, tuple) else (value,))]
    return [one for one in values if isinstance(one, (Jaxpr, ClosedJaxpr))]


def equations_of(region: Any) -> Any:
    """The equations of a ``Jaxpr`` or ``ClosedJaxpr``."""
    return (region.jaxpr if isinstance(region, ClosedJaxpr) else region).eqns


def inner_equations(equation: Any) -> Iterator[Any]:
    """All equations in the regions of one."""
    for region in regions(equation):
        for inner in equations_of(region):
            yield inner
            yield from inner_equations(inner)


def array_bytes(variable: Any) -> int:
    """Bytes of an array."""
    return math.prod(variable.aval.shape) * int(variable.aval.dtype.itemsize)


def is_float64(variable: Any, least: int) -> bool:
    """Test if a variable is a float64 array of at least ``least`` elements."""
    return bool(variable.aval.dtype == jnp.float64) and variable.aval.size >= least


def with_equations(region: Any, equations: list[Any]) -> Any:
    """The region with other equations; itself where they are the same."""
    jaxpr: Any = region.jaxpr if isinstance(region, ClosedJaxpr) else region
    if all(new is old for new, old in zip(equations, jaxpr.eqns, strict=False)):
        return region
    new = jaxpr.replace(eqns=equations)
    return ClosedJaxpr(new, region.consts) if isinstance(region, ClosedJaxpr) else new


def with_regions(equation: Any, rewrite: Callable[[Any], Any]) -> Any:
    """The equation with its regions rewritten; itself where none changes."""
    new = {id(region): rewrite(region) for region in regions(equation)}
    if all(id(region) == place for place, region in new.items()):
        return equation

    def replaced(value: Any) -> Any:
        if not isinstance(value, tuple):
            return new.get(id(value), value)
        parts = map(replaced, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)  # a named tuple stays one

    return equation.replace(params={name: replaced(value) for name, value in equation.params.items()})


def replaced(region: Any, new: Callable[[Any], list[Any] | None]) -> Any:
    """The region with equations replaced, in inner regions too, by those that ``new`` gives; ``None`` keeps one."""
    return replaced_by_region(region, lambda _: new)


def replaced_by_region(region: Any, rule: Callable[[Any], Callable[[Any], list[Any] | None]]) -> Any:
    """The region with equations replaced as ``replaced`` does, by what ``rule`` gives for each region."""
    new, equations = rule(region), list[Any]()
    for equation in equations_of(region):
        found = new(equation)
        equations += [with_regions(equation, lambda inner: replaced_by_region(inner, rule))] if found is None else found
    return with_equations(region, equations)


def inlined(function: Callable[..., Any], given: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Return the equations of ``function`` on the variables ``given``, with ``results`` as its outputs."""
    new = jax.make_jaxpr(function)(*(variable.aval for variable in given)).jaxpr
    names = dict(zip([*new.invars, *new.outvars], [*given, *results], strict=True))

    def named(variables: Sequence[Any]) -> list[Any]:
        return [v if isinstance(v, Literal) else names.get(v, v) for v in variables]

    return [e.replace(invars=named(e.invars), outvars=named(e.outvars)) for e in new.eqns]
