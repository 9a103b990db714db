"""Sums of several terms, taken in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import table_op


class _Term(NamedTuple):
    value: Variable
    negative: bool


def apart(body: Graph, early: Callable[[Variable], bool]) -> Graph:
    """The graph with the terms of each sum that are ``early`` added first, and apart from the others.

    ``(h @ U + x @ W) + b`` is ``h @ U + (x @ W + b)``, where all but ``h @ U`` is known before the loop.
    """
    sums = {root: terms for root, terms in _sums(body).items() if sum(early(one.value) for one in terms) > 1}
    sums = {root: terms for root, terms in sums.items() if not all(early(one.value) for one in terms)}
    if not sums:
        return body
    now: dict[Variable, Variable] = {}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        now.update(zip(node.inputs, inputs, strict=True))
        terms = sums.get(node.outputs[0])
        if terms is None:
            return None
        first = [one for one in terms if early(one.value)]
        rest = [one for one in terms if not early(one.value)]
        return (_add(_total(rest, now, node), _total(first, now, node), node),)

    return body.rebuilt(transform=transform)


def _sums(body: Graph) -> dict[Variable, list[_Term]]:
    """The sums of floats of more than two terms, by their results: parts of a larger sum that nothing else reads are
    not counted."""
    found: dict[Variable, list[_Term]] = {}
    inner: set[Variable] = set()
    for node in body.applies:
        if not _is_sum(node):
            continue
        terms: list[_Term] = []
        for variable, flip in zip(node.inputs, (False, node.op.named("sub")), strict=True):
            owner = variable.owner
            if variable in found and owner is not None and _is_part(variable, node, body):
                inner.add(variable)
                terms += [_Term(one.value, one.negative != flip) for one in found[variable]]
            else:
                terms.append(_Term(variable, flip))
        found[node.outputs[0]] = terms
    return {result: terms for result, terms in found.items() if result not in inner and len(terms) > 2}


def _is_sum(node: Apply) -> bool:
    """Whether a node adds floats of one dtype."""
    types = [variable.type for variable in (*node.inputs, *node.outputs)]
    return node.op.named("add", "sub") and types[0].is_float and len({type.dtype for type in types}) == 1


def _is_part(variable: Variable, reader: Apply, body: Graph) -> bool:
    return body.readers[variable] == [reader] and reader.inputs.count(variable) == 1 and variable not in body.outputs


def _total(terms: list[_Term], now: dict[Variable, Variable], node: Apply) -> Variable:
    """The sum of terms, from the left; of those that are subtracted none comes first where there is another."""
    ordered = sorted(terms, key=lambda one: one.negative)
    values = [now.get(one.value, one.value) for one in ordered]
    total = values[0]
    if ordered[0].negative:
        (total,) = Apply(table_op("neg"), [total], node.sources).outputs
    for one, value in zip(ordered[1:], values[1:], strict=True):
        (total,) = Apply(table_op("sub" if one.negative else "add"), [total, value], node.sources).outputs
    return total


def _add(one: Variable, other: Variable, node: Apply) -> Variable:
    return Apply(table_op("add"), [one, other], node.sources).outputs[0]
