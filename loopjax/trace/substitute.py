"""Substitution: ``clone_replace``, and the ``givens`` of ``function``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from loopjax.errors import UnsupportedError, about, coded, read_pairs, reported, where
from loopjax.ir.autodiff import derivatives
from loopjax.ir.graph import Apply, Graph, Variable, ancestors, copy_node, dependents, toposort
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable
from loopjax.trace.derivative_arguments import read_variables
from loopjax.trace.promotion import settle_weak

Replacements = Mapping[Variable, Any] | Iterable[tuple[Variable, Any]]


@overload
def clone_replace(
    output: Variable, replace: Replacements | None = None, *, rebuild_strict: bool = True
) -> Variable: ...


@overload
def clone_replace(
    output: Sequence[Variable], replace: Replacements | None = None, *, rebuild_strict: bool = True
) -> list[Variable]: ...


@reported
def clone_replace(
    output: Variable | Sequence[Variable], replace: Replacements | None = None, *, rebuild_strict: bool = True
) -> Variable | list[Variable]:
    """Return copies of variables in whose graphs some variables are replaced.

    Gradients keep their meaning: they are of the cost with respect to the variable that was replaced. Derivatives of
    the result work.

    Parameters
    ----------
    output : Variable, or sequence of them
        The variables to copy.
    replace : mapping or iterable of pairs, optional
        From variables to what stands for them: of the same dtype and number of dimensions. All replacements are made
        at once; what replaces a variable is not replaced again.
    rebuild_strict : bool, default True
        ``False`` casts replacements to the dtypes of what they replace.

    Returns
    -------
    Variable, or list of Variable
        A copy of each output.

    Raises
    ------
    TypeError
        A replacement has another type, or what is replaced is no variable.
    ValueError
        A variable is replaced twice, or no output depends on it.
    UnsupportedError
        A replaced variable lies between the ``wrt`` and the cost of a gradient.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x, y = at.dscalar("x"), at.dscalar("y")
    >>> loopjax.pp(loopjax.clone_replace(x + 1, {x: y * 2}))
    '(identity((y * 2.)) + 1.)'
    """
    if output is None:
        raise coded(TypeError, "LJ305")("output is a variable or a list, got None; write clone_replace(y, {x: value})")
    outputs = read_variables(output, "output")
    replacements = read_replacements(replace, "replace", rebuild_strict)
    for variable in absent(replacements, outputs):
        raise coded(ValueError, "LJ305")(f"{not_replaced('replace', variable)}; leave it out")
    for variable in replacements.keys() & _between(outputs):
        raise coded(UnsupportedError, "LJ305")(
            f"a gradient flows through {variable!r}{where(variable.sources)}, which a replacement cuts off; take the "
            f"gradient with respect to that variable, replace what it is made of, or pass givens to function"
        )
    replaced = substitute(outputs, replacements)
    return replaced[0] if isinstance(output, Variable) else replaced


def absent(variables: Iterable[Variable], outputs: Sequence[Variable]) -> list[Variable]:
    """Return those of some variables that no output depends on; raise where one was made inside of a loop's ``fn``."""
    nodes = toposort(outputs)
    present = {*outputs, *(variable for node in nodes for variable in (*node.inputs, *node.outputs))}
    found = [variable for variable in variables if variable not in present]
    for variable in found:
        for step in ancestors([variable]):
            if step.scan is not None:
                raise coded(ValueError, "LJ116")(
                    f"{variable!r}{where(variable.sources)} was made inside of fn of scan {step.scan!r}"
                    f"{where(step.sources)}, whose body is fixed: it cannot be replaced from outside. Replace what "
                    f"goes into the loop (its sequences, initial values and non_sequences), or record the loop anew"
                )
    return found


def not_replaced(argument: str, variable: Variable) -> str:
    """Return the beginning of an error for a variable that is to be replaced and is not in the graph."""
    return (
        f"{argument} replaces {variable!r}{where(variable.sources)}, and nothing that is computed depends on it; "
        f"expected a variable of the graph"
    )


def substitute(outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]) -> list[Variable]:
    """Return the outputs with all replacements made at once."""
    if not replacements:
        return list(outputs)
    # Each replacement gets a node of its own: two variables that are replaced by one stay two for gradients.
    return with_values(outputs, {old: ops.identity(new) for old, new in replacements.items()})


def with_values(outputs: Sequence[Variable], values: Mapping[Variable, Variable]) -> list[Variable]:
    """Return the outputs where some variables have other values: ``givens``, or inputs of ``function`` as themselves.

    A derivative that was recorded before is an expression like any other. A variable between its ``wrt`` and its cost
    takes the new value there, and the derivative passes it as before (the op ``with_value``).
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
        raise coded(ValueError, "LJ305")(f"expected {variable}, got {value}")
    return value


register("with_value", None, _with_value_type, "pointwise")


def _between(outputs: Iterable[Variable]) -> set[Variable]:
    """Return the float variables that lie between the ``wrt`` and the cost of some derivative."""
    found: set[Variable] = set()
    for _, parts in derivatives(toposort(outputs)):
        found |= dependents(toposort(parts.costs), parts.wrt) - set(parts.wrt)
    return {variable for variable in found if variable.type.is_float}


def read_replacements(pairs: Replacements | None, argument: str, strict: bool) -> dict[Variable, Variable]:
    """Return a dict or pairs as a dict of variables, types checked; errors name the pair."""
    found: dict[Variable, Variable] = {}
    for old, value in read_pairs(argument, pairs):
        if not isinstance(old, Variable):
            raise coded(TypeError, "LJ305")(
                f"{argument} replaces variables; expected one, got {type(old).__name__} {old!r:.80}; write {{x: value}}"
            )
        if old in found:
            raise coded(ValueError, "LJ305")(f"{argument} replaces {old!r} twice; expected one value, give it once")
        with about(f"{argument}: the value for {old!r}"):
            new = settle_weak(as_variable(value), old.dtype)
        if not strict:
            new = new.astype(old.dtype)
        if not old.type.accepts(new.type):
            raise coded(TypeError, "LJ305")(
                f"{argument} replaces {old!r} by {new.type}; expected {old.type}. "
                f"{old.type.remedy(new.type)}{where(new.sources)}"
            )
        found[old] = new
    return found
