"""``function``: from symbolic variables to a callable. ``compiler`` holds the pipeline behind it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from loopjax.config import LENGTHS, RESULTS, config
from loopjax.errors import UnsupportedError, about, check_choice, check_flag, coded, here, read_pairs, reported, warn
from loopjax.ir.graph import Graph, Variable
from loopjax.ir.printing import graph_html
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType
from loopjax.runtime import state_file
from loopjax.runtime.mode import read_mode
from loopjax.runtime.program import Options, Program, Unused, collect
from loopjax.runtime.results import converter, holds
from loopjax.runtime.shardings import placed, read_shardings
from loopjax.runtime.signature import MISS, In, Signature, resolved
from loopjax.runtime.x64 import ScopedX64, holds_tracers
from loopjax.trace.shared import SharedVariable
from loopjax.trace.substitute import Replacements

if TYPE_CHECKING:
    from loopjax.runtime.buckets import Bucket
    from loopjax.runtime.compiler import CompiledStage
    from loopjax.runtime.inline import Inlined
    from loopjax.runtime.replay import StepValues
    from loopjax.shapes.padding.spec import ExactLengthOp


Check = Literal["index", "nan", "inf"]
"""A check after a call."""

_SIGNATURE = inspect.signature(lambda *args, **kwargs: None)


@reported
def function(
    inputs: Sequence[Variable | In] = (),
    outputs: Any = None,
    mode: Any = None,
    updates: Mapping[SharedVariable, Any] | Iterable[tuple[SharedVariable, Any]] | None = None,
    givens: Replacements | None = None,
    no_default_updates: bool | Sequence[SharedVariable] = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: Unused = "raise",
    *,
    check: Check | Sequence[Check] | None = None,
    lengths: Literal["exact", "padded", "auto"] | None = None,
    results: Literal["auto", "jax", "numpy"] | None = None,
    in_shardings: Any = None,
    out_shardings: Any = None,
) -> Function:
    """Compiles symbolic variables into a callable.

    Parameters
    ----------
    inputs
        Variables, or ``In`` for a default value or a name. An inner expression may be an input: the graph is cut there.
    outputs
        A variable, a list, a dict with string keys, or ``None``; a call returns the same structure.
    mode
        Which rewrites are made: a ``Mode``, the name of one, or ``None`` for ``config.mode``. With ``"tune"`` the first
        call for a set of shapes measures the choices that rewrites otherwise make by size, for about a minute at most,
        and keeps what it found in ``config.cache`` for equal programs, shapes, devices and versions; ``explain``
        reports it. The measurement has no other effect; a program that prints or shows progress is not tuned.
    updates
        New values of shared variables, a dict or pairs, all computed from the values before the call.
    givens
        Variables to be replaced by others throughout.
    no_default_updates
        Ignores the default updates of all shared variables, or of those listed, so that random streams do not advance.
    accept_inplace
        Lets the call overwrite the old values of updated variables. It does not wait for the new ones, and a call that
        fails loses them: they raise ``StateLost`` until they are set.
    name
        The function's name in errors and profiles.
    rebuild_strict
        ``False`` casts ``givens`` to the dtype of what they replace.
    allow_input_downcast
        Accepts arguments that lose precision.
    profile
        Accepted for old programs; it changes nothing.
    on_unused_input
        ``"raise"``, ``"warn"`` or ``"ignore"``.
    check
        ``"index"`` raises ``IndexError`` after a call in which an index was out of bounds that only the device knows.
        Without it such reads give NaN (integers: the least of their dtype) and such writes are dropped. ``"nan"``
        raises ``FloatingPointError`` after a call that has NaN among its results or new state, with the op that it
        comes from, its operands, the loops around it and their steps; no state changes. ``"inf"`` does so for infinite
        values. The call is replayed op by op for that, and so is one that JAX's ``jax_debug_nans`` or
        ``jax_debug_infs`` stops. ``("index", "nan")`` does both.
    lengths
        Compilation for lengths that differ from call to call: ``n_steps``, the size of ``arange(n)`` or ``x[:n]``, the
        steps after which ``until`` stopped, the sizes of arguments. ``"exact"`` compiles for each. ``"padded"`` gives
        such axes capacity for more rows, rounded up, so that one program serves many lengths; the sizes of arguments
        from the second one on. Padding reaches no result and no gradient. ``"auto"`` compiles for each of the first two
        values of a length, then pads; it is the default of ``config.lengths``. An op that needs an exact length
        (``explain`` names it) is compiled for each.
    results
        The arrays that a call returns. ``"jax"``: ``jax.Array``s, computed asynchronously. ``"numpy"``: NumPy arrays,
        which the caller may write to. ``"auto"``, the default of ``config.results``: ``jax.Array``s, but NumPy arrays
        for 64-bit results while ``jax_enable_x64`` is off, since JAX would cut these to 32 bits in the next operation.
    in_shardings, out_shardings
        Where arguments and results are, as in ``jax.jit``: one ``jax.sharding.Sharding``, or a list or pytree with one,
        or ``None``, for each of ``inputs`` or ``outputs``. Arrays that are elsewhere are moved. Without, an argument
        stays where it is, and XLA places results.

    Returns
    -------
    Function
        Called with arrays, by position or name, it returns arrays in the structure of ``outputs``.

    Raises
    ------
    MissingInputError
        A variable that the graph needs is no input and has no value.
    UnusedInputError
        No output and no update needs an input.
    TypeError, ValueError
        ``updates``, ``givens`` or an option do not fit.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> sums, _ = loopjax.scan(lambda x_t, total: total + x_t, x, at.constant(0.0, dtype="float64"))
    >>> f = loopjax.function([x], {"sums": sums, "slope": loopjax.grad(sums[-1], x)})
    >>> f([1.0, 2.0, 3.0])["sums"]
    array([1., 3., 6.])
    >>> f(x=[1.0, 2.0])["slope"]
    array([1., 1.])
    """
    label = name or "function"
    with about(label):
        chosen = read_mode(mode)
        policy = lengths or config.lengths
        if policy not in LENGTHS:
            raise coded(ValueError, "LJ901")(f"lengths is one of {LENGTHS}, not {lengths!r}")
        arrays = results or config.results
        if arrays not in RESULTS:
            raise coded(ValueError, "LJ901")(f"results is one of {RESULTS}, not {results!r}")
        checks = check if isinstance(check, (list, tuple)) and check else (check,)
        for one in checks:
            check_choice("check", one, ("index", "nan", "inf", None))
        values = tuple(kind for kind in ("nan", "inf") if kind in checks)
        in_place = bool(accept_inplace) and not values  # the values before a call that fails are read again
        inputs = inputs if in_shardings is None else list(inputs)
        options = Options(
            label,
            allow_input_downcast,
            in_place,
            "index" in checks,
            values,
            policy,
            arrays,
            chosen,
            read_shardings("in_shardings", in_shardings, inputs),
            read_shardings("out_shardings", out_shardings, outputs),
        )
        program = collect(
            inputs, outputs, updates, givens, options, no_default_updates, rebuild_strict, on_unused_input
        )
    from loopjax.runtime.compiler import simplify  # imports all passes and lowering rules

    return Function(simplify(program))


class Function:
    """A compiled program: what ``function`` returns.

    A call takes arrays by position or name and returns arrays, of the kind that ``results`` of ``function`` says. It
    reads every shared variable once and, when all has succeeded, commits all updates; a call that fails or is
    interrupted changes none. Calls that share variables take turns.

    Called while JAX traces, it becomes a part of JAX's program, for all transformations (see ``to_jax``). That needs a
    program without shared variables that is compiled in one piece.

    Parameters
    ----------
    program
        The recorded program after the symbolic passes, from ``function``.

    Returns
    -------
    Function
        The callable.

    Raises
    ------
    UnsupportedError
        At a call while JAX traces: the program has shared variables, or needs more than one stage.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> count = loopjax.shared(0)
    >>> step = loopjax.function([], count, updates={count: count + 2})
    >>> int(step()), int(step()), int(count.get_value())
    (0, 2, 4)
    """

    # Python calls what the instance has here, the closure of the latest kind of call, without a method between them.
    __slots__ = ("__call__", "__dict__", "__weakref__")
    __call__: Callable[..., Any]

    def __init__(self, program: Program) -> None:
        from loopjax.runtime.buckets import ShapeBuckets  # imports the compiler

        self.program = program
        self.__signature__ = _SIGNATURE  # for inspect, which finds none where __call__ is no method
        state, outputs = program.state, program.graph.outputs
        self._for_jax: Inlined | None = None
        self._convert = converter(program.options.results, outputs[len(state.updated) :], program.form)
        self._trees = program.arguments
        self._about = about(program.options.name)
        self._buckets = ShapeBuckets(program, program.options.lengths)
        self._commit = state.committer(outputs)
        self._signature = Signature(program.inputs, program.options.allow_downcast, program.options.name)
        self._follow(self.bucket)

    @property
    def bucket(self) -> Bucket:
        """The program with capacity for the lengths that were seen to vary: see ``lengths`` of ``function``."""
        return self._buckets.latest

    @property
    def exact_ops(self) -> tuple[ExactLengthOp, ...]:
        """The ops that need a length exactly, so that the program is compiled for each."""
        return tuple(self._buckets.exact_ops)

    @property
    def stages(self) -> tuple[CompiledStage, ...]:
        """The stages of ``bucket``, each compiled by itself; of a function that ran inside of JAX alone, those."""
        stages = self.bucket.stages
        if self._for_jax is None or any(stage.programs for stage in stages):
            return stages
        return self._for_jax.stages

    @property
    def name(self) -> str:
        """The name given to ``function``."""
        return self.program.options.name

    @property
    def graph(self) -> Graph:
        """The graph from inputs and shared variables to new state and outputs, after the symbolic passes."""
        return self.program.graph

    def _missed(self, /, *args: Any, **kwargs: Any) -> Any:
        """A call that the closure of the latest kind of call does not serve."""
        call = self._dispatch.closure(args, kwargs)
        if call is None or call is self._latest:
            return self.call_general(args, kwargs)
        self._use(call)
        return call(*args, **kwargs)

    def _from_trees(self, /, *args: Any, **kwargs: Any) -> Any:
        """A call with pytrees."""
        return self._latest(*self._leaves(args), **kwargs)

    def _use(self, call: Callable[..., Any]) -> None:
        """Serves calls by a closure, as long as they are of its kind."""
        self._latest = call
        _set_call(self, call if self._trees is None else self._from_trees)

    def settled(self) -> Callable[..., Sequence[Any]] | None:
        """The last call's program without checks and conversions, for callers that have done them: see ``Dispatch``."""
        return self._dispatch.settled() if self._convert is None else None

    def call_general(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """General path of a call: converts arguments, finds or compiles the program, runs it, commits.

        The next call like it takes the fast path.
        """
        results = self._called(args, kwargs)
        return results if self._convert is None else self._convert(results)

    def _called(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The results of a general call as ``jax.Array``s."""
        state = self.program.state
        x64 = ScopedX64()
        try:
            with self._about:  # before locks are acquired: an input's default may be another shared variable
                given = resolved(self._signature.placed(args, kwargs))
            return state.locked(self._run, given, args, kwargs, x64)
        except BaseException:
            x64.restore()
            self._dispatch.failing.clear()
            if self.program.options.inplace:
                state.lose_overwritten()
            raise

    def _run(self, given: Sequence[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], x64: ScopedX64) -> Any:
        """A call while the locks of its shared variables are held; ``given`` are its arguments and defaults."""
        state = self.program.state
        if holds_tracers(given):
            return self._inlined(given)
        with x64:
            with self._about:
                arrays = self._converted(given)
            values = [*self._copied(arrays), *state.read(self._buckets.donated)]
            try:
                result = self._dispatch.run(values[: len(arrays)])
                if result is not MISS:
                    self._use(self._dispatch.note(args, kwargs, arrays, values, None) or self._missed)
                    return result
                bucket, known, outputs = self._buckets.run(values)
                new = state.placed(outputs)
                outputs = [*new, *placed(outputs[len(new) :], self.program.options.out_shardings)]
                kinds = self.program.options.check_values
                if kinds and any(holds(output, kinds) for output in outputs):
                    raise FloatingPointError
            except FloatingPointError as error:
                raise self._nan(values, error) from None
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                sizes = [TensorType(str(value.dtype), tuple(value.shape)) for value in values]
                raise coded(MemoryError, "LJ803")(
                    f"{self.name}: the program needs more memory than there is, for arguments and state {sizes}; call "
                    f"it with less, or see loopjax.explain for what loops store{here()}"
                ) from None
            if self._dispatch.bucket is not self.bucket:
                self._follow(self.bucket)
            if self._dispatch.bucket is bucket:
                self._use(self._dispatch.note(args, kwargs, arrays, values, known) or self._missed)
        return self._committed(outputs)

    def _nan(self, values: Sequence[Any], error: FloatingPointError) -> FloatingPointError:
        """The error of a call with NaN or infinities among its results, or of one that JAX stopped for them."""
        from loopjax.runtime.replay import Replay

        flags = {"nan": jax.config.jax_debug_nans, "inf": jax.config.jax_debug_infs}  # type: ignore[attr-defined]
        checked = self.program.options.check_values
        kinds = tuple(kind for kind, is_on in flags.items() if is_on or kind in checked)
        with jax.debug_nans(False), jax.debug_infs(False):
            found = Replay(kinds).origin(self.graph, values)
        return error if found is None else FloatingPointError(f"{self.name}: {found}{here()}")

    @reported
    def replay(
        self, args: Sequence[Any] | Mapping[str, Any] = (), *, step: int | Sequence[int], loop: str | None = None
    ) -> StepValues:
        """One step of a loop, op by op on its real values: for a debugger, or to print.

        The call runs without rewrites and changes no state.

        Parameters
        ----------
        args
            Arguments of the call by position, or a dict of them by name.
        step
            The number of the step, from 0; of a loop inside of another one, those of both, the outer first.
        loop
            The loop's name, where there are several.

        Returns
        -------
        StepValues
            ``inputs``: pairs of the variable of ``fn`` and its array; ``ops``: pairs of a node, which has ``op`` and
            ``sources``, and its results. It prints as a table.

        Raises
        ------
        ValueError
            There is no such loop, or no such step.

        Examples
        --------
        >>> import loopjax
        >>> import loopjax.tensor as at
        >>> x = at.dvector("x")
        >>> total, _ = loopjax.scan(lambda x_t, s: s + x_t**2, x, at.constant(0.0, dtype="float64"))
        >>> f = loopjax.function([x], total)
        >>> found = f.replay([[1.0, 2.0, 3.0]], step=2)
        >>> [float(array) for variable, array in found.inputs]
        [3.0, 5.0]
        """
        from loopjax.runtime.replay import Replay

        steps = [step] if isinstance(step, int) else list(step)
        with jax.enable_x64(True), about(self.name):
            arrays = self._converted(self._listed(args))
            values = self.program.state.locked(lambda: [*arrays, *self.program.state.read()])
            return Replay().step(self.graph, values, steps, loop)

    def lower(self, /, *args: Any, **kwargs: Any) -> Any:
        """JAX's ``jax.stages.Lowered`` of the program for these arguments; a tuple where it has several stages.

        All but the last stage run, since their results decide the shapes of the next. No shared variable changes.
        """
        lowered = self._lowered(args, kwargs, compiles=False)
        return lowered[0] if len(lowered) == 1 else tuple(lowered)

    def compile(self, /, *args: Any, **kwargs: Any) -> Any:
        """JAX's ``jax.stages.Compiled`` of the program for these arguments, for its costs, its memory and its text; a
        tuple where it has several stages. It takes what the program reads: arguments, then shared variables.
        """
        lowered = self._lowered(args, kwargs, compiles=True)
        with jax.enable_x64(True):
            compiled = tuple(one.compile() for one in lowered)
        return compiled[0] if len(compiled) == 1 else compiled

    def _lowered(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], compiles: bool) -> list[Any]:
        """The lowered program of each stage, which XLA compiles where the caller does so next."""
        with jax.enable_x64(True), about(self.name):
            arrays = self._converted(self._placed(args, kwargs))
            return self.program.state.locked(self._lowered_locked, arrays, compiles)

    def _lowered_locked(self, arrays: Sequence[Any], compiles: bool) -> list[Any]:
        values = self.bucket.values([*arrays, *self.program.state.read()])
        lowered = []
        for stage in self.stages:
            given = [values[variable] for variable in stage.stage.graph.inputs]
            program = stage.find(given)
            lowered.append((program.compiled(given) if compiles else program.jitted(given)).lower(*given))
            if stage is not self.stages[-1]:
                values.update(stage.run(values))
        return lowered

    @reported
    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Writes the values of the shared variables, random keys among them, to a file.

        The file takes the place of an older one at once when it is whole: whenever the process is killed, one of the
        two is there. It is an ``npz`` of NumPy, with the array of ``name`` as ``state/name``; nothing is pickled.

        Parameters
        ----------
        path
            The file; its folder must exist.

        Raises
        ------
        OSError
            The file cannot be written; the old one stays.
        StateLost
            A variable has no value, after a failed call with ``accept_inplace``.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import loopjax
        >>> count = loopjax.shared(3, name="count")
        >>> step = loopjax.function([], count, updates={count: count + 1})
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "counter.npz"
        >>> step.save_state(path)
        >>> int(step()), int(step())
        (3, 4)
        >>> step.load_state(path)
        >>> int(step())
        3
        """
        state_file.save(path, self.program.state.snapshot())

    @reported
    def load_state(self, path: str | os.PathLike[str], *, strict: bool = False) -> None:
        """Sets the shared variables to the values in a file of ``save_state``: all of them, or none where it raises.

        A variable finds its value by its name, so that another function, in another process, may read the file; those
        without a name are numbered in the order in which the function reads them. Values that the function has no
        variable for are ignored, so that a function that predicts may load what one that trains has saved. An array
        goes to the devices on which its variable is, sharded as that is.

        Parameters
        ----------
        path
            A file that ``save_state`` or ``export`` wrote.
        strict
            Refuse values of another shape than their variable has now, which otherwise give a warning: a shared
            variable may change its shape, as by ``set_value``, and a file of another model may be the wrong one.

        Raises
        ------
        FileNotFoundError
            There is no file.
        ValueError
            It is no such file, is damaged, or lacks a variable; with ``strict``, a value has another shape.
        TypeError
            A value has another dtype or number of dimensions than its variable.

        Examples
        --------
        See ``save_state``.
        """
        check_flag("strict", strict)
        state = self.program.state
        found = state_file.state_of(state_file.load(path)[0])
        variables = state.named()
        missing = [name for name in variables if name not in found]
        if missing:
            raise coded(ValueError, "LJ802")(
                f"{self.name}.load_state: {os.fspath(path)!r} has no value of {missing}; expected one for each shared "
                f"variable, and it has {list(found)}; name the variables as those of the function that saved it"
            )
        with about(f"{self.name}.load_state: {os.fspath(path)!r}"):
            values = {variable: found[name] for name, variable in variables.items()}
            others = [
                f"{variable!r} has shape {old}, and the file {new}" for variable, old, new in state.reshaped(values)
            ]
            if others and strict:
                raise coded(ValueError, "LJ801")(
                    f"{'; '.join(others)}; expected equal shapes, load without strict=True to change them"
                )
            state.set(values)
        if others:
            warn(f"{self.name}.load_state: {os.fspath(path)!r}: {'; '.join(others)}, which it has now")

    @reported
    def export(
        self,
        path: str | os.PathLike[str],
        args: Sequence[Any] | Mapping[str, Any] = (),
        *,
        platforms: Sequence[str] | None = None,
        derivatives: Literal["none", "reverse"] = "none",
    ) -> None:
        """Writes the program for some shapes, which may be symbolic, to a file, with its state: see ``load``.

        It is compiled ahead of time as far as StableHLO (``jax.export``), so that a process that has neither the source
        of the program nor Python functions that it was made of can run it. Rewrites are those for the first of the
        platforms. The file is written as that of ``save_state``, and ``load_state`` reads its state.

        Parameters
        ----------
        path
            The file; its folder must exist.
        args
            Arguments by position, or a dict of them by name; only their shapes matter, and a
            ``jax.ShapeDtypeStruct`` serves too. Its sizes may be symbolic (``jax.export.symbolic_shape``): the file
            then serves all numbers that they stand for.
        platforms
            ``"cpu"``, ``"cuda"``, ``"rocm"`` or ``"tpu"``; that of the present device by default.
        derivatives
            ``"reverse"`` keeps what one reverse pass through the loaded program needs.

        Raises
        ------
        UnsupportedError
            The program runs in several stages, the value of an argument decides a length, a number is needed where a
            size is symbolic, or JAX cannot write a pytree: a class that is not registered with ``jax.export``.
        ImportError
            ``flatbuffers`` is missing: it is in the extra ``loopjax[export]``.
        OSError
            The file cannot be written; the old one stays.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import loopjax
        >>> import loopjax.tensor as at
        >>> x, total = at.dvector("x"), loopjax.shared(0.0, name="total", dtype="float64")
        >>> f = loopjax.function([x], total, updates={total: total + x.sum()})
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "sums.npz"
        >>> f.export(path, [[1.0, 2.0]])
        >>> g = loopjax.load(path)
        >>> float(g([1.0, 2.0])), float(g(x=[4.0, 5.0])), float(f([1.0, 1.0]))
        (0.0, 3.0, 0.0)
        """
        from loopjax.runtime.export import export  # jax.export is a twentieth of the package's import time

        given = self._listed(args)
        export(self.program, path, given, platforms, derivatives)

    def _placed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        """The values of the inputs, from arguments that may be pytrees."""
        return self._signature.placed(self._leaves(args), kwargs)

    def _leaves(self, args: Sequence[Any]) -> Sequence[Any]:
        """The arrays of arguments that may be pytrees."""
        return args if self._trees is None else self._trees.leaves(args)

    def _converted(self, given: Sequence[Any]) -> list[Any]:
        """The values of the inputs as arrays of their dtypes, where the program has them."""
        return placed(self._signature.converted(resolved(given)), self.program.options.in_shardings)

    def _listed(self, args: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
        """The values of the inputs, from arguments by position or a dict of them by name."""
        return self._placed((), args) if isinstance(args, Mapping) else self._placed(args, {})

    def get_shared(self) -> list[SharedVariable]:
        """The shared variables that the function reads or updates."""
        return list(dict.fromkeys([*self.program.state.variables, *self.program.state.updated]))

    @reported
    def copy(
        self,
        share_memory: bool = False,
        swap: Mapping[SharedVariable, SharedVariable] | None = None,
        delete_updates: bool = False,
        name: str | None = None,
    ) -> Function:
        """The same function, with some shared variables swapped for others of their types, or without its updates.

        Shared variables that are not swapped stay shared with the original. ``share_memory`` is accepted for old
        programs.
        """
        program = self.program
        swaps = dict(read_pairs("swap", swap))
        known = set(self.get_shared())
        for old, new in swaps.items():
            if old not in known:
                raise ValueError(
                    f"swap: {self.name} has no shared variable {old!r}; expected one of {self.get_shared()}{here()}"
                )
            if not isinstance(new, SharedVariable) or not old.type.accepts(new.type):
                raise TypeError(
                    f"swap puts {new!r} in the place of {old!r}; expected a shared variable of type {old.type}, "
                    f"give one{here()}"
                )
        after = [swaps.get(variable, variable) for variable in self.get_shared()]
        if len(set(after)) != len(after):
            raise ValueError(f"{self.name}: the swap makes two of its shared variables one: {after}{here()}")
        graph = program.graph.rebuilt({old: new for old, new in swaps.items()})  # noqa: C416 - widens the key type
        count = len(program.state.updated)
        if delete_updates:
            graph, count = Graph(graph.inputs, graph.outputs[count:]), 0
        state = program.state.swapped(swaps, count)
        options = replace(program.options, name=name or self.name)
        return Function(replace(program, graph=graph, state=state, options=options))

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.program,)

    def __repr__(self) -> str:
        return f"<{self.name}({', '.join(one.name or '?' for one in self.program.inputs)})>"

    def _repr_html_(self) -> str:
        return graph_html(self)

    def _committed(self, outputs: list[Any]) -> Any:
        """Commits new state; the results in the form that was asked for."""
        self.program.state.refuse_tracers(outputs)
        count = len(self.program.state.updated)
        for new in () if self.program.options.inplace else outputs[:count]:
            new.block_until_ready()  # a computation that fails changes nothing
        if self._commit:
            self._commit(outputs)
        return self.program.form(outputs[count:])

    def _follow(self, bucket: Bucket) -> None:
        """Switches the fast path to another bucket, with empty tables."""
        from loopjax.runtime.dispatch import Dispatch

        self._dispatch = Dispatch(self.program, bucket, self._signature, self._convert, self._missed)
        self._use(self._missed)

    def _inlined(self, given: Sequence[Any]) -> Any:
        """The program's results as a part of the program that JAX traces; state would have to be explicit."""
        if self.get_shared():
            raise coded(UnsupportedError, "LJ701")(
                f"{self.name} was called while JAX traces, and has shared variables: {self.get_shared()}; make it with "
                f"loopjax.to_jax, which takes and returns their values, or call it outside of jit, grad and "
                f"vmap{here()}"
            )
        from loopjax.runtime.inline import Inlined  # a part of the package's import time, and rarely needed

        if self._for_jax is None:
            self._for_jax = Inlined(self.program)
        options = self.program.options
        arrays = placed(self._signature.checked(given), options.in_shardings)
        return self.program.form(placed(self._for_jax(arrays), options.out_shardings))

    def _copied(self, arrays: list[Any]) -> list[Any]:
        """The arguments; NumPy arrays are copied where the call does not wait, since the caller may write to them
        before they have been read."""
        if not self.program.options.inplace:
            return arrays
        return [np.array(array) if isinstance(array, np.ndarray) else array for array in arrays]


_set_call: Any = vars(Function)["__call__"].__set__  # for subclasses, too, that have a method of that name


@public_op
def evaluate(variable: Variable, inputs: Mapping[Variable, Any] | None = None) -> Any:
    """Evaluates a variable for the values of its inputs; shared variables stay as they are."""
    given = dict(read_pairs("inputs", inputs))
    compiled = function(list(given), variable, no_default_updates=True, on_unused_input="ignore")
    return compiled(*given.values())
