"""Replacing variables of a graph by others: ``clone_replace`` and ``givens``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopjax.errors import UnsupportedError, where
from loopjax.ir.autodiff import derivatives
from loopjax.ir.graph import Apply, Graph, Variable, copy_node, dependents, toposort
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import settle_weak

Replacements = Mapping[Variable, Any] | Iterable[tuple[Variable, Any]]


def clone_replace(output: Any, replace: Replacements | None = None, *, rebuild_strict: bool = True) -> Any:
    """Copies of variables in whose graphs some variables are replaced.

    ``output`` is a variable or a list of them; ``replace`` a dict or pairs. A replacement must have the dtype and
    number of dimensions of what it replaces (its dtype is cast with ``rebuild_strict=False``), else ``TypeError``.
    Gradients keep their meaning: that of the cost with respect to the variable that was replaced. Raises
    ``UnsupportedError`` where what is replaced lies between the ``wrt`` and the cost of a gradient.
    """
    outputs = [output] if isinstance(output, Variable) else list(output)
    replacements = read_replacements(replace, "replace", rebuild_strict)
    for variable in replacements.keys() & _between(outputs):
        raise UnsupportedError(
            f"a gradient flows through {variable!r}{where(variable.sources)}, which a replacement cuts off; take the "
            f"gradient with respect to that variable, replace what it is made of, or pass givens to function"
        )
    replaced = substitute(outputs, replacements)
    return replaced[0] if isinstance(output, Variable) else replaced


def substitute(outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]) -> list[Variable]:
    """The outputs with all replacements made at once; what replaces is not replaced again."""
    if not replacements:
        return list(outputs)
    # Each replacement gets a node of its own, so that two variables replaced by one stay two for gradients.
    return given(outputs, {old: ops.identity(new) for old, new in replacements.items()})


def given(outputs: Sequence[Variable], values: Mapping[Variable, Variable]) -> list[Variable]:
    """The outputs, where some variables are what ``values`` say: inputs of ``function``, each given as itself, or
    givens.

    A derivative that was recorded before is an expression like any other. Of a variable between its ``wrt`` and its
    cost it reads the value, which is given, and passes the derivative, which stays as it was.
    """
    if not values:
        return list(outputs)
    passed = values.keys() & _between(outputs)
    plain = {variable: value for variable, value in values.items() if variable not in passed}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> list[Variable] | None:
        if passed.isdisjoint(node.outputs):
            return None
        fresh = copy_node(node, inputs).outputs
        return [
            Apply(table_op("with_value"), [new, values[old]], node.sources).outputs[0] if old in passed else new
            for old, new in zip(node.outputs, fresh, strict=True)
        ]

    return list(Graph((), outputs).rebuilt(plain, transform if passed else None, inputs=()).outputs)


def _with_value_type(variable: TensorType, value: TensorType) -> TensorType:
    if not variable.accepts(value):
        raise ValueError(f"expected {variable}, got {value}")
    return value


register("with_value", None, _with_value_type, "pointwise")


def _between(outputs: Iterable[Variable]) -> set[Variable]:
    """The float variables between the ``wrt`` and the cost of some derivative, each computed by a node."""
    found: set[Variable] = set()
    for _, parts in derivatives(toposort(outputs)):
        found |= dependents(toposort(parts.costs), parts.wrt) - set(parts.wrt)
    return {variable for variable in found if variable.type.is_float}


def read_replacements(pairs: Replacements | None, argument: str, strict: bool) -> dict[Variable, Variable]:
    """A dict or pairs as a dict of variables, types checked. Raises ``TypeError`` and ``ValueError`` naming the
    pair."""
    found: dict[Variable, Variable] = {}
    for old, value in pairs.items() if isinstance(pairs, Mapping) else pairs or ():
        if not isinstance(old, Variable):
            raise TypeError(f"{argument} replaces variables, got {old!r:.80}")
        if old in found:
            raise ValueError(f"{argument} replaces {old!r} twice")
        new = settle_weak(as_variable(value), old.dtype)
        if not strict:
            new = new.astype(old.dtype)
        if not old.type.accepts(new.type):
            raise TypeError(
                f"{argument} replaces {old!r} by {new.type}; expected {old.type}. "
                f"{old.type.remedy(new.type)}{where(new.sources)}"
            )
        found[old] = new
    return found
