"""Replacing variables of a graph by others: ``clone_replace`` and ``givens``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopjax.errors import UnsupportedError, where
from loopjax.trace.convert import as_variable
from loopjax.trace.derivative import derivatives
from loopjax.trace.graph import Graph, Variable, dependents, toposort
from loopjax.trace.methods import say
from loopjax.trace.promotion import settle_weak

Replacements = Mapping[Variable, Any] | Iterable[tuple[Variable, Any]]


def clone_replace(output: Any, replace: Replacements | None = None, *, rebuild_strict: bool = True) -> Any:
    """Copies of variables in whose graphs some variables are replaced.

    ``output`` is a variable or a list of them; ``replace`` a dict or pairs. A replacement must have the dtype and
    number of dimensions of what it replaces (its dtype is cast with ``rebuild_strict=False``), else ``TypeError``.
    Gradients keep their meaning: that of the cost with respect to the variable that was replaced.
    """
    outputs = [output] if isinstance(output, Variable) else list(output)
    replaced = substitute(outputs, read_replacements(replace, "replace", rebuild_strict))
    return replaced[0] if isinstance(output, Variable) else replaced


def substitute(outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]) -> list[Variable]:
    """The outputs with all replacements made at once; what replaces is not replaced again."""
    if not replacements:
        return list(outputs)
    refuse_cut_gradients(outputs, replacements)
    # Each replacement gets a node of its own, so that two variables replaced by one stay two for gradients.
    own = {old: say("identity", new) for old, new in replacements.items()}
    return list(Graph((), outputs).rebuilt(own, inputs=()).outputs)


def refuse_cut_gradients(outputs: Iterable[Variable], cuts: Iterable[Variable]) -> None:
    """Raises ``UnsupportedError`` where a variable that is replaced lies between the ``wrt`` and the cost of a
    gradient."""
    inner = {variable for variable in cuts if variable.owner is not None}
    if not inner:
        return
    for node, parts in derivatives(toposort(outputs)):
        between = dependents(toposort(parts.costs), parts.wrt) - set(parts.wrt)
        for variable in inner & between:
            raise UnsupportedError(
                f"a gradient{where(node.sources)} flows through {variable!r}{where(variable.sources)}, which "
                f"an input or "
                f"a replacement cuts off; take the gradient with respect to that variable, or replace what it "
                f"is made of"
            )


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
                f"{argument} replaces {old!r} by {new.type}; expected {old.type}. Cast it with "
                f".astype({old.dtype!r}){where(new.sources)}"
            )
        found[old] = new
    return found
