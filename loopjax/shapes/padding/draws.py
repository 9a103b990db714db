"""Padding rules of random draws: fewer rows are the first of more.

JAX computes the bits of each number from the key and the number's position in the array (``jax.random``, the option
``jax_threefry_partitionable``). A draw of ``(capacity, 3)`` therefore begins with the draw of ``(length, 3)``. Where
another axis has a varying length, as in ``(3, n)``, numbers are drawn in one row and gathered from the positions that
they have in an array of exactly that shape.

Known limits: permutations, choices, draws of vectors, and keys of other generators need exact lengths. Parameters are
padded for reparametrized draws only: a sampler by rejection might never accept a number for a row past the length.
"""

from __future__ import annotations

from collections.abc import Sequence

from loopjax.ir.graph import Apply, Variable
from loopjax.ir.op import TableOp
from loopjax.shapes.padding.rearrangement import element_numbers
from loopjax.shapes.padding.rules import exact_call, lengths_of, sized_axes, trait_rule
from loopjax.shapes.padding.scope import Axes, PaddingScope


@trait_rule("prefix_draw")
def _draw(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    op = node.op
    assert isinstance(op, TableOp)
    lengths = op.arguments["lengths"]
    key, *rest = inputs
    holes = 0 if lengths is None else lengths.count(None)
    parameters, symbolic = rest[: len(rest) - holes], rest[len(rest) - holes :]
    is_padded = any(scope.axes(one) for one in parameters)
    if not scope.context.positional_draws or (is_padded and op.definition.reparametrization is None):
        return exact_call(scope, node, inputs)
    if lengths is None:
        parameters, axes = scope.broadcast(parameters)
        if axes.keys() <= {0}:
            return scope.filled(scope.apply(op, key, *parameters)[0], axes)
        return exact_call(scope, node, inputs)
    sizes = [scope.integer(size) for size in lengths_of(node, symbolic)]
    found = sized_axes(scope, op.name, sizes)
    if found is None:
        return exact_call(scope, node, inputs)
    axes = found
    shape = [axes[axis].capacity if axis in axes else size for axis, size in enumerate(sizes)]
    options = {name: value for name, value in op.arguments.items() if name != "lengths"}
    if axes.keys() <= {0}:
        fitting = _fitting(scope, parameters, len(sizes), axes)
        if fitting is None:
            return exact_call(scope, node, inputs)
        return scope.filled(scope.emit_sized(op.name, key, *fitting, lengths=shape, **options), axes)
    if any(one.ndim for one in parameters):
        return exact_call(scope, node, inputs)
    row = scope.emit_sized(op.name, key, *parameters, lengths=[scope.product(shape)], **options)
    return scope.filled(scope.take(row, 0, element_numbers(scope, sizes, shape), scope.product(shape)), axes)


def _fitting(scope: PaddingScope, parameters: Sequence[Variable], ndim: int, axes: Axes) -> list[Variable] | None:
    """Return parameters that broadcast to the padded draws; ``None`` where one does not."""
    found: list[Variable] = []
    for one in parameters:
        if one.ndim < ndim or scope.stretches(one, 0) or not axes:
            if scope.axes(one):
                return None
        elif scope.axes(one).keys() != {0} or not scope.require_equal(scope.length(one, 0), axes[0].length):
            return None
        else:
            one = scope.with_capacity(one, 0, axes[0].capacity)
        found.append(one)
    return found
