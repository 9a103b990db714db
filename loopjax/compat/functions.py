"""Compiled functions of the peers: NumPy results, arguments converted where every value is kept, ``In(update=)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from loopjax.compat.arguments import fitting
from loopjax.compat.graphs import FunctionGraph
from loopjax.compat.host import original
from loopjax.compat.library import Library, current
from loopjax.compat.modes import core_mode, get_mode
from loopjax.compat.notes import note
from loopjax.errors import coded, here, read_pairs
from loopjax.ir.graph import Variable
from loopjax.runtime import function as core
from loopjax.runtime.signature import In as CoreIn
from loopjax.runtime.signature import Out
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable, shared


class In(CoreIn):
    """An input of a function, as in the peers: ``update`` is the value that it has in the next call.

    Parameters
    ----------
    variable, name, value
        As in ``loopjax.In``.
    update
        The next value, an expression; ``value`` is the first then.
    default
        Another name of ``value``.
    mutable, strict, borrow, allow_downcast
        As in ``loopjax.In``.
    """

    def __init__(
        self,
        variable: Variable,
        name: str | None = None,
        value: Any = None,
        update: Any = None,
        mutable: bool | None = None,
        strict: bool = False,
        allow_downcast: bool | None = None,
        borrow: bool | None = None,
        *,
        default: Any = None,
        autoname: bool = True,
        implicit: bool | None = None,
        shared: bool = False,
    ) -> None:
        given = value if value is not None else default
        if given is not None and not isinstance(given, SharedVariable):
            given = fitting(given, variable.type, bool(allow_downcast))
        super().__init__(variable, name, given, allow_downcast=allow_downcast, strict=strict)
        self.update = update


def function(
    inputs: Any = (),
    outputs: Any = None,
    mode: Any = None,
    updates: Any = None,
    givens: Any = None,
    no_default_updates: Any = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: str | None = None,
    trust_input: bool = False,
    **options: Any,
) -> Function:
    """Compile a program: ``loopjax.function`` with the conventions of a peer library.

    Parameters
    ----------
    inputs, outputs, mode, updates, givens, no_default_updates, accept_inplace, name
        As in ``loopjax.function``; every mode of the peers is accepted.
    rebuild_strict, allow_input_downcast, on_unused_input
        As in ``loopjax.function``. An input that was handed to a loop counts as used.
    profile, trust_input
        Accepted for old programs.
    **options
        ``lengths`` and ``check`` of ``loopjax.function``.

    Returns
    -------
    Function
        A callable that returns NumPy arrays.
    """
    library = current()
    if isinstance(inputs, (set, frozenset)):
        raise coded(TypeError, "LJ301")(f"inputs is a list of variables, which are in order, not a set{here()}")
    declared = [_declared(one) for one in ([inputs] if isinstance(inputs, (Variable, CoreIn)) else inputs or ())]
    replaced = read_pairs("givens", givens)
    new = read_pairs("updates", updates)
    held: dict[str | None, SharedVariable] = {}
    for one in declared:
        if isinstance(one, In) and one.update is not None:
            state = shared(np.asarray(one.value, one.variable.dtype), name=one.name)
            held[one.name] = state
            replaced.append((one.variable, state))
            new.append((state, one.update))
    kept = [one for one in declared if not (isinstance(one, In) and one.update is not None)]
    unused: Any = on_unused_input or library.flags.on_unused_input
    if any(vars(one.variable).get("_handed_to_loop") for one in kept if hasattr(one.variable, "__dict__")):
        unused = "ignore"
    asked = mode if mode is not None else library.flags.mode
    if profile:
        note("function(profile=)", "accepted without effect; jax.profiler profiles compiled programs")
    compiled = core.function(
        kept,
        _outputs(outputs),
        mode=core_mode(asked),
        updates=new or None,
        givens=replaced or None,
        no_default_updates=no_default_updates,
        accept_inplace=accept_inplace,
        name=name,
        rebuild_strict=rebuild_strict,
        allow_input_downcast=allow_input_downcast,
        on_unused_input=unused,
        **{"results": "numpy", **options},
    )
    maker = SimpleNamespace(
        inputs=declared,
        outputs=[Out(one) for one in compiled.graph.outputs],
        fgraph=FunctionGraph(compiled.graph.inputs, compiled.graph.outputs[len(compiled.program.state.updated) :]),
        mode=get_mode(asked),
        function_builder=function,
    )
    return Function(compiled, maker, library, bool(allow_input_downcast), held)


def _declared(one: Any) -> CoreIn:
    """Return an input; ``(variable, value)`` is one with a default."""
    if isinstance(one, CoreIn):
        return one
    if isinstance(one, (list, tuple)) and len(one) == 2 and isinstance(one[0], Variable):
        return In(one[0], value=one[1])
    return In(one)


def _outputs(outputs: Any) -> Any:
    """Return the outputs with numbers as variables."""
    if isinstance(outputs, (int, float, np.generic, np.ndarray)):
        return as_variable(outputs)
    return outputs


class Function:
    """A compiled function of a peer library: its results are NumPy arrays that may be written to.

    Parameters
    ----------
    compiled
        The core's function.
    maker
        Its graph, inputs and mode, as programs look at them.
    library
        The peer.
    allow_downcast
        Accepts arguments that lose precision.
    held
        The shared variables of inputs with an update, by name.
    """

    profile = None
    trust_input = False
    nodes_with_inner_function: tuple[Any, ...] = ()

    def __init__(
        self,
        compiled: core.Function,
        maker: SimpleNamespace,
        library: Library,
        allow_downcast: bool,
        held: Mapping[str | None, SharedVariable],
    ) -> None:
        self.compiled = compiled
        self.maker = maker
        self.library = library
        self.name = compiled.name
        self._allow_downcast = allow_downcast
        self._held = held
        self._inputs = compiled.program.inputs
        self._by_name = {one.name: one for one in self._inputs if one.name}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # A restored value of an input with an update may be given as any argument.
        restored = {self._held[name]: kwargs.pop(name) for name in list(kwargs) if name in self._held}
        before = {state: state.get_value() for state in restored}
        try:
            for state, value in restored.items():
                state.set_value(value)
            return self._called(args, kwargs)
        except BaseException:
            for state, value in before.items():
                state.set_value(value)
            raise

    def _called(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        given = [self._fitting(one, value) for one, value in zip(self._inputs, args, strict=False)] + list(
            args[len(self._inputs) :]
        )
        named = {
            name: self._fitting(self._by_name[name], value) if name in self._by_name else value
            for name, value in kwargs.items()
        }
        try:
            return self.compiled(*given, **named)
        except Exception as error:
            raised = original(error)
            if raised is None:
                raise
        raise raised

    def _fitting(self, one: CoreIn, value: Any) -> Any:
        if isinstance(value, SharedVariable) or one.strict:
            return value
        value = value.toarray() if hasattr(value, "toarray") else value  # a sparse matrix of SciPy
        return fitting(value, one.variable.type, self._allow_downcast or bool(one.allow_downcast))

    def __getitem__(self, name: Any) -> Any:
        return self._state(name).get_value()

    def __setitem__(self, name: Any, value: Any) -> None:
        self._state(name).set_value(value)

    def _state(self, name: Any) -> SharedVariable:
        """Return the shared variable of an input with an update, or of this name."""
        key = name if isinstance(name, str) else name.name
        if key in self._held:
            return self._held[key]
        found = [variable for variable in self.compiled.get_shared() if variable is name or variable.name == key]
        if not found:
            raise KeyError(f"{self.name} has no state {key!r}; it has {self.compiled.get_shared()}")
        return found[0]

    value = property(lambda self: self, doc="The function itself, whose items are its states.")

    def free(self) -> None:
        """Accepted for old programs: XLA owns the buffers."""

    def copy(
        self,
        share_memory: bool = False,
        swap: Any = None,
        delete_updates: bool = False,
        name: Any = None,
        profile: Any = None,
    ) -> Function:
        """The same function, with shared variables swapped or without its updates."""
        made = self.compiled.copy(share_memory, swap, delete_updates, name)
        return Function(made, self.maker, self.library, self._allow_downcast, self._held)

    __copy__ = copy

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "compiled":
            raise AttributeError(name)
        return getattr(self.compiled, name)

    def __reduce__(self) -> Any:
        return _restored, (self.compiled, self.library.name, self._allow_downcast, dict(self._held))

    def __repr__(self) -> str:
        return repr(self.compiled)


def _restored(compiled: core.Function, library: str, downcast: bool, held: Mapping[str | None, Any]) -> Function:
    from loopjax.compat.library import LIBRARIES

    graph = compiled.graph
    maker = SimpleNamespace(
        inputs=list(compiled.program.inputs),
        outputs=list(graph.outputs),
        fgraph=FunctionGraph(graph.inputs, graph.outputs),
        mode=get_mode(None),
    )
    return Function(compiled, maker, LIBRARIES[library], downcast, held)


def make_shared(
    value: Any,
    name: str | None = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    *,
    shape: Any = None,
    broadcastable: Sequence[bool] | None = None,
    dtype: Any = None,
    borrow: bool = False,
    target: Any = None,
    **options: Any,
) -> SharedVariable:
    """Return a variable with a value that functions read and update.

    Parameters
    ----------
    value
        The first value. Python numbers are float64 and int64; a NumPy generator gives the key of draws.
    name
        The name in errors and printed graphs.
    strict, allow_downcast, borrow, target
        Accepted for old programs.
    shape, broadcastable
        Sizes, or a broadcast pattern.
    dtype
        The dtype; that of the value by default.

    Returns
    -------
    SharedVariable
        The variable.
    """
    from loopjax.compat.random import is_generator, key_of
    from loopjax.compat.types import sizes_of

    if is_generator(value):
        return key_of(value, name)
    described = shape if shape is not None else broadcastable
    if not isinstance(value, (Variable, jax.Array)):
        value = np.asarray(value.toarray() if hasattr(value, "toarray") else value, dtype)
    return shared(value, name, shape=None if described is None else sizes_of(described))
