"""Conversion of a PyTensor graph to LoopJAX variables: the walk, the registry of rules and the fallback.

A rule is a function of a ``Conversion``, a PyTensor node and its inputs as LoopJAX variables; ``@rule`` registers it
for classes of ops. It returns the variables of the node's outputs. A node is converted by the rule of the nearest class
of its op; an op without one is run by PyTensor's own JAX implementation, through ``wrap_jax``, and is counted in
``Conversion.fallbacks``. Values that are no arrays, such as ``None`` and slices, stay Python objects.

Random generators become the data of a JAX key, a ``uint32`` array of two elements (``random.py``).
"""

from __future__ import annotations

import os
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.traversal import toposort
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.type import TensorType

import loopjax.tensor as at
from loopjax.errors import Source, UnsupportedError, coded, recorded_at
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Constant as LoopConstant
from loopjax.ir.graph import Variable as LoopVariable
from loopjax.pytensor.dispatch import Dispatched, dispatch_of
from loopjax.pytensor.generators import KEY_DATA, key_data
from loopjax.trace.shared import shared

Rule = Callable[["Conversion", Apply, Sequence[Any]], Any]
"""A rule: the conversion, the node and its inputs, to the value of its output or a sequence of those of its outputs."""

RULES: dict[type[Op], Rule] = {}
"""The rules by class of op."""


def rule(*classes: type[Op]) -> Callable[[Rule], Rule]:
    """Return a decorator that registers the rule of these classes of ops; registering a class twice raises."""

    def register(function: Rule) -> Rule:
        for one in classes:
            if one in RULES:
                raise ValueError(f"{one.__name__} has a rule already")
            RULES[one] = function
        return function

    return register


def rule_of(op: Op) -> Rule | None:
    """Return the rule of the nearest class of an op that has one."""
    return next((RULES[one] for one in type(op).__mro__ if one in RULES), None)


class ConversionError(UnsupportedError):
    """A PyTensor node that cannot be converted; ``node`` is the node."""

    node: Apply | None = None


class Conversion:
    """The LoopJAX values of PyTensor variables, and what was met on the way.

    Attributes
    ----------
    values : dict
        From PyTensor variables to LoopJAX variables, or to Python objects where they are no arrays.
    shared : dict
        From PyTensor's shared variables to those of LoopJAX that were made for them.
    fallbacks : Counter
        How many nodes of each op run by PyTensor's JAX implementation.
    given : frozenset
        The variables whose values were there from the start.
    uniform : dict
        For batches whose elements are all equal, one element.
    """

    def __init__(self, values: Mapping[Variable, Any] | None = None, parent: Conversion | None = None) -> None:
        self.values: dict[Variable, Any] = dict(values or {})
        self.given = frozenset(self.values)
        self.uniform: dict[Variable, Any] = {}
        self.shared: dict[Variable, Any] = {} if parent is None else parent.shared
        self.fallbacks: Counter[str] = Counter() if parent is None else parent.fallbacks

    def inner(self, inputs: Iterable[Variable], values: Iterable[Any], outputs: Sequence[Variable]) -> list[Any]:
        """Convert an inner graph with the values of its inputs."""
        return Conversion(dict(zip(inputs, values, strict=True)), self).convert(outputs)

    def convert(self, outputs: Sequence[Variable]) -> list[Any]:
        """Return the values of variables, converting the nodes that they need."""
        known = [variable for variable in self.values if variable.owner is not None]
        for node in toposort(outputs, blockers=known):
            if all(output in self.values for output in node.outputs):
                continue
            found = self._converted(node)
            for output, value in zip(node.outputs, found, strict=True):
                self.values.setdefault(output, value)
        return [self.read(variable) for variable in outputs]

    def read(self, variable: Variable) -> Any:
        """Return the value of a variable whose node has been converted, or of a leaf of the graph."""
        if variable not in self.values:
            self.values[variable] = self._leaf(variable)
        return self.values[variable]

    def _leaf(self, variable: Variable) -> Any:
        if isinstance(variable, Constant):
            return constant(variable)
        if isinstance(variable, SharedVariable):
            return self._shared(variable)
        raise coded(ConversionError, "LJ302")(
            f"from_pytensor: the graph needs {variable} of {variable.type}, which is neither an input nor a shared "
            f"variable; expected every input that it needs, add it to the inputs"
        )

    def _shared(self, variable: Any) -> Any:
        held = variable.get_value(borrow=True)
        made = shared(key_data(held) if isinstance(variable.type, RandomType) else np.asarray(held), variable.name)
        self.shared[variable] = made
        value = self.values[variable] = _as_key(made, variable)
        update = getattr(variable, "default_update", None)
        if update is not None:
            made.default_update = self.convert([update])[0]
        return value

    def _converted(self, node: Apply) -> Sequence[Any]:
        inputs = [self.read(variable) for variable in node.inputs]
        found = rule_of(node.op)
        with recorded_at(source_of(node)):
            try:
                made = found(self, node, inputs) if found is not None else NotImplemented
                made = self.fallback(node, inputs) if made is NotImplemented else made
            except ConversionError as error:
                if error.node is None:
                    error.node = node
                raise
            except Exception as error:
                raise failure(node, f"{type(error).__name__}: {error}") from error
        values = made if isinstance(made, (list, tuple)) else [made]
        return [_broadcastable(value, output) for value, output in zip(values, node.outputs, strict=True)]

    def fallback(self, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        """Record a node as a call of PyTensor's own JAX implementation of its op."""
        self.fallbacks[op_name(node.op)] += 1
        implementation = dispatch_of(node)
        if isinstance(implementation, Exception):
            raise failure(
                node, f"it has no rule here and PyTensor's JAX implementation refuses it: {implementation}"
            ) from implementation
        arrays = [position for position, value in enumerate(inputs) if isinstance(value, LoopVariable)]
        others = tuple((position, value) for position, value in enumerate(inputs) if position not in arrays)
        call = Dispatched(node.op, tuple(str(one.type) for one in node.inputs), others, implementation)
        made = wrap_jax(call, name=op_name(node.op), x64=True)(*[inputs[position] for position in arrays])
        return [of_type(value, output) for value, output in zip(made, node.outputs, strict=True)]


def _broadcastable(value: Any, variable: Variable) -> Any:
    """Return a value with the sizes of 1 that PyTensor knows of, since LoopJAX stretches no other axes."""
    known = getattr(variable.type, "shape", None)
    if known is None or not isinstance(value, LoopVariable) or len(known) != value.ndim:
        return value
    if all(size is not None or wanted != 1 for size, wanted in zip(value.type.shape, known, strict=True)):
        return value
    return at.specify_shape(value, [1 if wanted == 1 else None for wanted in known])


def op_name(op: Op) -> str:
    """Return the name of an op in reports: its class, and that of the op that it applies to elements or batches."""
    inner = getattr(op, "scalar_op", None) or getattr(op, "core_op", None)
    return type(op).__name__ if inner is None else f"{type(op).__name__}({type(inner).__name__})"


def failure(node: Apply, reason: str) -> ConversionError:
    """Return the error for a node that cannot be converted."""
    source = source_of(node)
    types = ", ".join(str(variable.type) for variable in node.inputs)
    error = ConversionError(
        f"from_pytensor: {node.op} of {types} cannot be converted: {reason}. Write this part with other ops, or "
        f"compute it outside of the graph and pass it as an input{'' if source is None else f' [{source}]'}"
    )
    error.node = node
    return error


def _as_key(made: LoopVariable, variable: Variable) -> LoopVariable:
    """Return a shared variable; of a generator, with the size that its type does not say."""
    return at.specify_shape(made, KEY_DATA.shape) if isinstance(variable.type, RandomType) else made


_LIBRARIES = tuple(f"{os.sep}{name}{os.sep}" for name in ("pytensor", "pymc", "pymc_extras", "loopjax"))
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep


def _is_library(file: str) -> bool:
    """Test if a file is no user's: of PyTensor, PyMC, LoopJAX or Python."""
    inside = file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file
    return inside or any(f"{os.sep}site-packages{library}" in file for library in _LIBRARIES) or file.startswith(_OWN)


def source_of(node: Apply) -> Source | None:
    """Return the user's line that made a node, where PyTensor kept it."""
    for output in node.outputs:
        for stack in getattr(output.tag, "trace", None) or ():
            for file, line, *_ in reversed(list(stack) if isinstance(stack, (list, tuple)) else [stack]):
                if not _is_library(str(file)):
                    return Source(str(file), int(line))
    return None


def constant(variable: Constant) -> Any:
    """Return the value of a constant: a LoopJAX constant, or a Python object where it is no array."""
    if isinstance(variable.type, (TensorType, ScalarType)):
        return at.constant(np.asarray(variable.data), dtype=variable.type.dtype)
    if isinstance(variable.type, RandomType):
        return at.constant(key_data(variable.data))
    return variable.data


def input_of(variable: Variable) -> LoopVariable:
    """Return a LoopJAX variable for an input of a graph."""
    if isinstance(variable.type, TensorType):
        return at.tensor(variable.type.dtype, shape=variable.type.shape, name=variable.name)
    if isinstance(variable.type, ScalarType):
        return at.tensor(variable.type.dtype, shape=(), name=variable.name)
    if isinstance(variable.type, RandomType):
        return at.tensor(KEY_DATA.dtype, shape=KEY_DATA.shape, name=variable.name)
    raise ConversionError(
        f"from_pytensor: the input {variable} is a {type(variable.type).__name__}; expected an array, a number or a "
        f"random generator. Convert it to a dense array first"
    )


def of_type(value: LoopVariable, variable: Variable) -> LoopVariable:
    """Cast a value to the dtype of a PyTensor variable."""
    dtype = getattr(variable.type, "dtype", None)
    return value if dtype is None or dtype == value.dtype else at.cast(value, dtype)


def scalar_of(value: Any) -> Any:
    """Return a constant as a Python number or object, and any other value as it is."""
    return value.data.item() if isinstance(value, LoopConstant) and value.ndim == 0 else value
