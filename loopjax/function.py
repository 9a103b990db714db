"""``function``: from variables to something that can be called. The pipeline, one line a stage."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax

from loopjax.arguments import In, Out, bind
from loopjax.errors import MissingInputError, UnsupportedError, UnusedInputError, where
from loopjax.lower.compile import CompiledStage
from loopjax.lower.stages import split
from loopjax.precision import SixtyFourBits
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import SYMBOLIC
from loopjax.state import State
from loopjax.trace.convert import as_variable
from loopjax.trace.graph import Constant, Graph, Variable, ancestors
from loopjax.trace.methods import word
from loopjax.trace.promotion import settle_weak
from loopjax.trace.shared import SharedVariable, on_device
from loopjax.trace.substitute import Replacements, read_replacements, substitute
from loopjax.trace.verify import verify

Updates = dict[SharedVariable, Variable]
Policy = Literal["raise", "warn", "ignore"]


def function(
    inputs: Sequence[Variable | In] = (),
    outputs: Any = None,
    mode: Any = None,
    updates: Mapping[SharedVariable, Any] | Iterable[tuple[SharedVariable, Any]] | None = None,
    givens: Replacements | None = None,
    no_default_updates: bool = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: Policy = "raise",
) -> Function:
    """Makes a callable of symbolic variables.

    Parameters
    ----------
    inputs
        Variables, or ``In`` for a default value or a name. An inner expression may be an input: the graph is cut there.
    outputs
        A variable, a list, a dict with string keys, or ``None``; a call returns the same form.
    updates
        New values of shared variables, a dict or pairs, all taken from before the call.
    givens
        Variables to be replaced by others throughout.
    no_default_updates
        Ignores the default updates of shared variables, so that random streams stand still.
    accept_inplace
        Lets the call overwrite the old values of updated variables. It does not wait for the new ones, and a call that
        fails loses them: they raise ``StateLost`` until they are set.
    name
        The function's name in errors and profiles.
    rebuild_strict
        ``False`` casts ``givens`` to the dtype of what they replace.
    allow_input_downcast
        Accepts arguments that lose precision.
    on_unused_input
        ``raise``, ``warn`` or ``ignore``.
    mode, profile
        Accepted for old programs; they change nothing.

    Raises ``MissingInputError`` for a graph input that nobody gives, ``UnusedInputError``, and ``TypeError`` or
    ``ValueError`` for updates and givens that do not fit.
    """
    declared = [one if isinstance(one, In) else In(one) for one in _as_list(inputs)]
    form = _Form(outputs)
    replaced = read_replacements(givens, "givens", rebuild_strict)
    program = _collect(declared, form, _read_updates(updates), replaced, no_default_updates)
    _check_inputs(declared, program, on_unused_input)
    verify(program.graph)
    graph = rewrite(program.graph, SYMBOLIC)
    stages = split(graph)
    label = name or "function"
    donated = program.state.overwritable(graph.outputs) if accept_inplace and len(stages) == 1 else []
    compiled = [CompiledStage(stage, label, donated) for stage in stages]
    return Function(declared, form, program.state, graph, compiled, label, allow_input_downcast, bool(accept_inplace))


class _Program(NamedTuple):
    """The graph from inputs and shared variables to new state and outputs."""

    graph: Graph
    state: State
    needed: set[Variable]


class _Form:
    """The form in which outputs were given and are returned."""

    def __init__(self, outputs: Any) -> None:
        self._keys: list[str] | None = None
        self._single = False
        if outputs is None:
            values: list[Any] = []
        elif isinstance(outputs, Mapping):
            wrong = [key for key in outputs if not isinstance(key, str)]
            if wrong:
                raise TypeError(f"a dict of outputs has string keys, got {wrong}")
            self._keys = list(outputs)
            values = list(outputs.values())
        elif isinstance(outputs, (list, tuple)):
            values = list(outputs)
        else:
            self._single = True
            values = [outputs]
        self.variables = [as_variable(one.variable if isinstance(one, Out) else one) for one in values]

    def __call__(self, arrays: Sequence[Any]) -> Any:
        if self._single:
            return arrays[0]
        if self._keys is not None:
            return dict(zip(self._keys, arrays, strict=True))
        return list(arrays)


class Function:
    """A compiled program. Call it with arrays, by position or name; results are ``jax.Array``s, computed asynchronously.

    A call reads every shared variable once and, when all has succeeded, commits all updates; one that fails, or is interrupted,
    changes none. Calls that share variables take turns.
    """

    def __init__(
        self,
        inputs: Sequence[In],
        form: _Form,
        state: State,
        graph: Graph,
        stages: Sequence[CompiledStage],
        name: str,
        allow_downcast: bool | None,
        inplace: bool,
    ) -> None:
        self.name = name
        self.graph = graph
        self.stages = tuple(stages)
        self._inputs = tuple(inputs)
        self._form = form
        self._state = state
        self._allow_downcast = allow_downcast
        self._inplace = inplace

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arrays = bind(self._inputs, args, kwargs, self._allow_downcast, self.name)
        self._check_tracers(arrays)
        state = self._state
        count = len(state.updated)
        wide = SixtyFourBits()
        try:
            with wide, state.locked():
                outputs = self._run([*arrays, *state.read()])
                if count:
                    state.commit(outputs[:count], wait=not self._inplace)
        except BaseException:
            wide.restore()
            raise
        return self._form(outputs[count:])

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """JAX's ``jax.stages.Lowered`` of the program for these arguments; a tuple where it has several stages.

        All but the last stage run, since what they compute decides the shapes of the next. No shared variable changes.
        """
        arrays = bind(self._inputs, args, kwargs, self._allow_downcast, self.name)
        with jax.enable_x64(True), self._state.locked():
            values = self._values([*arrays, *self._state.read()])
            lowered = []
            for stage in self.stages:
                given = [values[variable] for variable in stage.stage.graph.inputs]
                lowered.append(stage.find(given).call.lower(*given))
                if stage is not self.stages[-1]:
                    values.update(stage.run(values))
        return lowered[0] if len(lowered) == 1 else tuple(lowered)

    def get_shared(self) -> list[SharedVariable]:
        """The shared variables that the function reads or updates."""
        return list(dict.fromkeys([*self._state.variables, *self._state.updated]))

    def __repr__(self) -> str:
        return f"<{self.name}({', '.join(one.name or '?' for one in self._inputs)})>"

    def _values(self, arrays: Sequence[Any]) -> dict[Variable, Any]:
        return dict(zip(self.graph.inputs, arrays, strict=True))

    def _run(self, arrays: Sequence[Any]) -> list[Any]:
        """The graph's outputs: each stage found or compiled for its inputs, and run."""
        values = self._values(arrays)
        try:
            for stage in self.stages:
                values.update(stage.run(values))
        except BaseException:
            if self._inplace:
                self._state.lose_overwritten()
            raise
        return [on_device(v.data if isinstance(v, Constant) else values[v]) for v in self.graph.outputs]

    def _check_tracers(self, arrays: Sequence[Any]) -> None:
        if any(isinstance(array, jax.core.Tracer) for array in arrays) and (
            self._state.variables or self._state.updated or len(self.stages) > 1
        ):
            raise UnsupportedError(
                f"{self.name} was called while JAX traces and has shared variables or several stages; call it outside of jit, grad and vmap"
            )


def _as_list(inputs: Any) -> list[Any]:
    if isinstance(inputs, (Variable, In)):
        raise TypeError(f"inputs is a list of variables, got {inputs!r}; write [{inputs!r}]")
    return list(inputs or ())


def _read_updates(updates: Any) -> Updates:
    """Updates as a dict of variables of exactly the shared variables' types."""
    found: Updates = {}
    for shared, value in updates.items() if isinstance(updates, Mapping) else updates or ():
        if not isinstance(shared, SharedVariable):
            raise TypeError(f"updates are keyed by shared variables, got {shared!r:.80}")
        if shared in found:
            raise ValueError(f"{shared!r} is updated twice")
        found[shared] = _fitted(shared, value)
    return found


def _fitted(shared: SharedVariable, value: Any) -> Variable:
    new = settle_weak(as_variable(value), shared.dtype)
    if not shared.type.accepts(new.type):
        raise TypeError(
            f"the update of {shared!r}{where(shared.sources)} is {new.type}; expected {shared.type}. Cast it with "
            f".astype({shared.dtype!r}){where(new.sources)}"
        )
    return new


def _collect(
    declared: Sequence[In], form: _Form, updates: Updates, replaced: dict[Variable, Variable], no_default_updates: bool
) -> _Program:
    """The whole graph: outputs, updates, and the shared variables found in them with their default updates."""
    inputs = [one.variable for one in declared]
    updates = dict(updates)
    while True:
        targets = [*updates.values(), *form.variables]
        targets = substitute(targets, replaced)
        read = ancestors(targets, stop=inputs)
        shared = [variable for variable in read if isinstance(variable, SharedVariable)]
        defaults = {
            variable: _fitted(variable, variable.default_update)
            for variable in shared
            if variable.default_update is not None and variable not in updates and not no_default_updates
        }
        if not defaults:
            break
        updates.update(defaults)
    shared = [variable for variable in shared if variable not in inputs]
    graph = Graph([*inputs, *shared], targets)
    return _Program(graph, State(shared, list(updates)), set(read))


def _check_inputs(declared: Sequence[In], program: _Program, policy: Policy) -> None:
    """Every input is wanted once, and nothing else is missing."""
    if policy not in ("raise", "warn", "ignore"):
        raise ValueError(f"on_unused_input is 'raise', 'warn' or 'ignore', not {policy!r}")
    variables = [one.variable for one in declared]
    twice = [variable for variable in set(variables) if variables.count(variable) > 1]
    if twice:
        raise ValueError(f"inputs holds {twice} more than once")
    known = set(program.graph.inputs)
    for variable in program.needed:
        if variable not in known and not isinstance(variable, Constant):
            raise MissingInputError(
                f"the graph needs {variable!r}{where(variable.sources)}, which is not among the inputs and has no value; "
                f"add it to inputs, or give it with givens"
            )
    for variable in variables:
        if variable in program.needed or policy == "ignore":
            continue
        message = f"input {variable!r}{where(variable.sources)} is not used by the outputs or updates; remove it, or pass on_unused_input='ignore'"
        if policy == "raise":
            raise UnusedInputError(message)
        warnings.warn(message, stacklevel=3)


@word
def evaluate(variable: Variable, inputs: Mapping[Variable, Any] | None = None) -> Any:
    """The value of a variable, given those of the inputs that it needs; shared variables stay as they are."""
    given = dict(inputs or {})
    compiled = function(list(given), variable, no_default_updates=True, on_unused_input="ignore")
    return compiled(*given.values())
