"""Structural equality: variables computed by equal ops of equal inputs, where no pass has shared them yet."""

from __future__ import annotations

from collections.abc import Hashable

from loopjax.ir.graph import Constant, Variable


def value_key(variable: Variable) -> Hashable:
    """Equal for the same variable and for equal constants."""
    return (*variable.key, variable.type.weak) if isinstance(variable, Constant) else variable


def computed_alike(x: Variable, y: Variable, depth: int = 4) -> bool:
    """Return whether two variables are the same, or of equal ops on such variables, ``depth`` nodes down."""
    one, other = x.owner, y.owner
    if one is None or other is None or x is y or not depth:
        return value_key(x) == value_key(y)
    same_op = one.op == other.op and x.index == y.index and len(one.inputs) == len(other.inputs)
    return same_op and all(computed_alike(*pair, depth - 1) for pair in zip(one.inputs, other.inputs, strict=True))
