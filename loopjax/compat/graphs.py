"""The graph as programs of the peers look at it: ancestors, clones, constants, test values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from loopjax.errors import LoopJaxError
from loopjax.interop.to_jax import to_jax
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Apply, Constant, Graph, Variable, toposort
from loopjax.ir.graph import ancestors as leaves
from loopjax.runtime import function as core
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable
from loopjax.trace.substitute import clone_replace


class FunctionGraph:
    """The graph of a function.

    Parameters
    ----------
    inputs, outputs
        Its variables.
    clone
        Accepted for old programs.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable], clone: bool = True, **options: Any):
        self.inputs = list(inputs)
        self.outputs = list(outputs)

    def toposort(self) -> list[Apply]:
        """Return the nodes in topological order."""
        return toposort(self.outputs, stop=self.inputs)

    @property
    def apply_nodes(self) -> set[Apply]:
        """The nodes."""
        return set(self.toposort())

    @property
    def variables(self) -> set[Variable]:
        """The variables of the graph."""
        return {variable for node in self.toposort() for variable in (*node.inputs, *node.outputs)}


class NotScalarConstantError(LoopJaxError):
    """A variable whose value is not known while recording."""


class MissingTestValue(LoopJaxError, AttributeError):
    """A variable without a test value."""


def ancestors(variables: Iterable[Variable], blockers: Iterable[Variable] | None = None) -> list[Variable]:
    """Return the variables that these depend on, and these themselves."""
    wanted = list(variables)
    nodes = toposort(wanted, stop=blockers or ())
    return list(dict.fromkeys([*wanted, *(v for node in reversed(nodes) for v in (*node.outputs, *node.inputs))]))


def graph_inputs(variables: Iterable[Variable], blockers: Iterable[Variable] | None = None) -> list[Variable]:
    """Return the variables without an owner that these depend on, constants too."""
    return leaves(list(variables), blockers or ())


def explicit_graph_inputs(variables: Any) -> list[Variable]:
    """Return the inputs without a value that these depend on."""
    wanted = [variables] if isinstance(variables, Variable) else list(variables)
    return [one for one in leaves(wanted) if not isinstance(one, (Constant, SharedVariable))]


def applys_between(inputs: Any, outputs: Any) -> list[Apply]:
    """Return the nodes from inputs to outputs, in topological order."""
    return toposort(outputs, stop=inputs)


def io_toposort(inputs: Any, outputs: Any, *args: Any, **options: Any) -> list[Apply]:
    """Return the nodes from inputs to outputs, in topological order."""
    return toposort(outputs, stop=inputs)


def is_in_ancestors(node: Any, other: Any) -> bool:
    """Test if a node is among those that another's result depends on."""
    return other in toposort(getattr(node, "outputs", [node]))


def clone(output: Any, replace: Any = None, strict: bool = True, share_inputs: bool = True, **options: Any) -> Any:
    """Return copies of variables in whose graphs some variables are replaced."""
    return clone_replace(output, replace, rebuild_strict=options.get("rebuild_strict", strict))


def graph_replace(outputs: Any, replace: Any = None, strict: bool = True) -> Any:
    """Return copies of variables in whose graphs some variables are replaced."""
    return clone_replace(outputs, replace)


def equal_computations(xs: Sequence[Any], ys: Sequence[Any], in_xs: Any = None, in_ys: Any = None) -> bool:
    """Test if two lists of variables are computed in the same way."""
    given_x, given_y = list(in_xs or ()), list(in_ys or ())
    return len(xs) == len(ys) and Graph(given_x, list(xs)) == Graph(given_y, list(ys))


def is_same_graph(var1: Any, var2: Any, givens: Any = None) -> bool:
    """Test if two variables are computed alike, where ``givens`` pairs variables that count as the same."""
    pairs = dict(givens or {})
    return equal_computations([var1], [var2], list(pairs), list(pairs.values()))


def get_scalar_constant_value(
    variable: Any, elemwise: bool = True, only_process_constants: bool = False, **options: Any
) -> np.ndarray[Any, Any]:
    """Return the value of a scalar that depends on constants only."""
    if not isinstance(variable, Variable):
        return np.asarray(variable)
    data = variable.data if isinstance(variable, Constant) else None
    if data is None and all(isinstance(one, Constant) for one in leaves([variable])):
        data = np.asarray(core.evaluate(variable))
    if data is None or data.size != 1:
        raise NotScalarConstantError(f"{variable!r} is no scalar whose value is known while recording")
    return np.asarray(data).reshape(())


def extract_constant(variable: Any, elemwise: bool = True, only_process_constants: bool = False) -> Any:
    """Return the value of a constant scalar; any other variable as it is."""
    try:
        return get_scalar_constant_value(variable)
    except NotScalarConstantError:
        return variable


def get_test_value(variable: Any) -> Any:
    """Return the value given as ``tag.test_value``, or what it computes from such values, constants and state."""
    if not isinstance(variable, Variable):
        return np.asarray(variable)
    given: dict[Variable, Any] = {}
    for leaf in leaves([variable]):
        if isinstance(leaf, (Constant, SharedVariable)):
            continue
        if getattr(leaf.tag, "test_value", None) is None:
            raise MissingTestValue(f"{leaf!r} has no test value; set {leaf.name or 'x'}.tag.test_value")
        given[leaf] = leaf.tag.test_value
    if getattr(variable.tag, "test_value", None) is not None:
        return variable.tag.test_value
    return np.asarray(core.evaluate(variable, given))


def get_test_values(*variables: Any) -> list[tuple[Any, ...]]:
    """Return a list with one tuple of test values; empty where one is missing."""
    try:
        return [tuple(get_test_value(variable) for variable in variables)]
    except MissingTestValue:
        return []


def get_var_by_name(variables: Iterable[Variable], name: str) -> tuple[Variable, ...]:
    """Return the variables of a name among those that these depend on."""
    return tuple(one for one in ancestors(variables) if one.name == name)


def vectorize_graph(outputs: Any, replace: Mapping[Any, Any]) -> Any:
    """Return the outputs computed for every row of what replaces some inputs: ``jax.vmap`` of the graph."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    olds = [old for old in leaves(wanted, list(replace)) if not isinstance(old, Constant)]
    values = [as_variable(replace.get(old, old)) for old in olds]
    inner = [Variable(old.type) for old in olds]
    run = to_jax(inner, clone_replace(wanted, dict(zip(olds, inner, strict=True))), keep_x64=True)
    extra = [value.ndim - old.ndim for value, old in zip(values, olds, strict=True)]
    for depth in range(1, max(extra, default=0) + 1):
        run = jax.vmap(run, [0 if count >= depth else None for count in extra])
    made = wrap_jax(run, name="vectorize_graph", x64=True)(*values)
    return made[0] if isinstance(outputs, Variable) else list(made)
