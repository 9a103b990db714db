"""Reassociation of sums: the terms that are available early are added first, apart from the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import table_op


class _Term(NamedTuple):
    value: Variable
    negative: bool


def early_terms_first(body: Graph, early: Collection[Variable]) -> Graph:
    """Return the graph with the ``early`` terms of each sum of floats in a sum of their own.

    ``(h @ U + x @ W) + b`` becomes ``h @ U + (x @ W + b)``, where all but ``h @ U`` is available before the loop. It
    changes the rounding of the sum, as any product for all steps at once does.
    """
    sums = {}
    for result, terms in _sums(body).items():
        first, rest = [one for one in terms if one.value in early], [one for one in terms if one.value not in early]
        if len(first) > 1 and rest:
            sums[result] = first, rest
    fresh: dict[Variable, Variable] = {}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        fresh.update(zip(node.inputs, inputs, strict=True))
        if node.outputs[0] not in sums:
            return None
        first, rest = sums[node.outputs[0]]
        return (_applied("add", node, _total(rest, fresh, node), _total(first, fresh, node)),)

    return body.rebuilt(transform=transform) if sums else body


def _sums(body: Graph) -> dict[Variable, list[_Term]]:
    """The terms of each sum of floats, by its result. A partial sum that nothing else reads belongs to
    the larger one."""
    found: dict[Variable, list[_Term]] = {}
    partial: set[Variable] = set()
    for node in body.applies:
        if not _is_sum(node):
            continue
        terms: list[_Term] = []
        for variable, flip in zip(node.inputs, (False, node.op.named("sub")), strict=True):
            if variable in found and _is_partial(variable, node, body):
                partial.add(variable)
                terms += [_Term(one.value, one.negative != flip) for one in found[variable]]
            else:
                terms.append(_Term(variable, flip))
        found[node.outputs[0]] = terms
    return {result: terms for result, terms in found.items() if result not in partial}


def _is_sum(node: Apply) -> bool:
    """True for a node that adds or subtracts floats of one dtype."""
    types = [variable.type for variable in (*node.inputs, *node.outputs)]
    return node.op.named("add", "sub") and types[0].is_float and len({type.dtype for type in types}) == 1


def _is_partial(variable: Variable, reader: Apply, body: Graph) -> bool:
    return body.readers[variable] == [reader] and reader.inputs.count(variable) == 1 and variable not in body.outputs


def _total(terms: list[_Term], fresh: Mapping[Variable, Variable], node: Apply) -> Variable:
    """The sum of terms, from the left, one that is added before those that are subtracted."""
    ordered = sorted(terms, key=lambda one: one.negative)
    total, *others = [fresh.get(one.value, one.value) for one in ordered]
    if ordered[0].negative:
        total = _applied("neg", node, total)
    for one, value in zip(ordered[1:], others, strict=True):
        total = _applied("sub" if one.negative else "add", node, total, value)
    return total


def _applied(name: str, node: Apply, *inputs: Variable) -> Variable:
    """An op with the source lines of a node."""
    return Apply(table_op(name), inputs, node.sources).outputs[0]
