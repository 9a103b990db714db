"""Reassociation of sums: the terms that are available early are added first, apart from the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import table_op
from loopjax.rewrite.driver import replace_all


class Term(NamedTuple):
    """A value that a sum adds or subtracts."""

    value: Variable
    negative: bool


def early_terms_first(body: Graph, early: Collection[Variable]) -> Graph:
    """Return the graph with the ``early`` terms of each sum of floats in a sum of their own.

    ``(h @ U + x @ W) + b`` becomes ``h @ U + (x @ W + b)``, where all but ``h @ U`` is available before the loop. It
    changes the rounding of the sum, as any product for all steps at once does.
    """
    new = {}
    for result, terms in sums(body).items():
        first, rest = [one for one in terms if one.value in early], [one for one in terms if one.value not in early]
        if len(first) > 1 and rest:
            new[result] = total([*rest, Term(total(first, result), False)], result)
    return replace_all(body, new)


def sums(body: Graph) -> dict[Variable, list[Term]]:
    """The terms of each sum of floats, by its result. A partial sum that nothing else reads belongs to
    the larger one."""
    found: dict[Variable, list[Term]] = {}
    partial: set[Variable] = set()
    for node in body.applies:
        if not _is_sum(node):
            continue
        terms: list[Term] = []
        for variable, flip in zip(node.inputs, (False, node.op.named("sub")), strict=True):
            if variable in found and _is_partial(variable, node, body):
                partial.add(variable)
                terms += [Term(one.value, one.negative != flip) for one in found[variable]]
            else:
                terms.append(Term(variable, flip))
        found[node.outputs[0]] = terms
    return {result: terms for result, terms in found.items() if result not in partial}


def _is_sum(node: Apply) -> bool:
    """True for a node that adds or subtracts floats of one dtype."""
    types = [variable.type for variable in (*node.inputs, *node.outputs)]
    return node.op.named("add", "sub") and types[0].is_float and len({type.dtype for type in types}) == 1


def _is_partial(variable: Variable, reader: Apply, body: Graph) -> bool:
    return body.readers[variable] == [reader] and reader.inputs.count(variable) == 1 and variable not in body.outputs


def total(terms: list[Term], of: Variable) -> Variable:
    """The sum of terms, from the left, one that is added before those that are subtracted, in place of another sum."""
    first, *others = sorted(terms, key=lambda one: one.negative)
    found = _applied("neg", of, first.value) if first.negative else first.value
    for one in others:
        found = _applied("sub" if one.negative else "add", of, found, one.value)
    return found


def _applied(name: str, of: Variable, *inputs: Variable) -> Variable:
    """An op with the source lines of another variable."""
    return Apply(table_op(name), inputs, of.owner.sources if of.owner else ()).outputs[0]
