"""``to_jax``: from variables to a pure function for JAX's transformations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from loopjax.errors import about, check_choice, coded, here, reported, where
from loopjax.ir.graph import Variable
from loopjax.ir.types import KEY, NARROW, x64_is_on
from loopjax.rewrite.target import Derivative
from loopjax.runtime.mode import read_mode
from loopjax.runtime.program import Options, Program, Unused, collect
from loopjax.runtime.signature import In, Signature
from loopjax.runtime.x64 import is_key, narrowed
from loopjax.trace.convert import numeric
from loopjax.trace.shared import SharedVariable
from loopjax.trace.substitute import Replacements


@reported
def to_jax(
    inputs: Sequence[Variable | In] = (),
    outputs: Any = None,
    updates: Mapping[SharedVariable, Any] | Iterable[tuple[SharedVariable, Any]] | None = None,
    givens: Replacements | None = None,
    *,
    no_default_updates: bool | Sequence[SharedVariable] = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    on_unused_input: Unused = "raise",
    derivatives: Derivative = "any",
    keep_x64: bool = False,
    mode: Any = None,
) -> JaxFunction:
    """Makes a pure JAX function of symbolic variables, for ``jax.jit``, ``grad``, ``jvp``, ``vmap``, ``lax.scan``,
    ``jax.checkpoint`` and ``shard_map``, under ``jax.set_mesh`` too.

    ``f(*args)`` returns the outputs in the structure of ``outputs``. Where the program reads or updates shared
    variables (random streams among them), their values are explicit: ``f(state, *args)`` returns ``(outputs,
    new_state)``. The state is a dict of arrays by name, with the same keys before and after; ``f.init()`` gives the
    present values, and ``f.store(state)`` sets them. A call changes no shared variable and bakes none in.

    Lengths must be concrete when JAX traces: numbers, or arguments named by ``static_argnums``. A traced length may be
    the trip count of a loop whose last steps, single steps or sums are read; it has no reverse mode then.

    Parameters
    ----------
    inputs, outputs, updates, givens
        As in ``function``.
    no_default_updates, name, rebuild_strict, allow_input_downcast, on_unused_input
        As in ``function``.
    derivatives
        The derivatives that JAX will take of the result: ``"any"``; ``"reverse"`` for one reverse pass, ``"forward"``
        or ``"none"``, which allow faster loops that have no other derivatives.
    keep_x64
        Keeps outputs and state of 64 bits where JAX's x64 is off, instead of casting them to 32 bits. A program that
        has 64-bit values computes in 64 bits in any case, as one primitive; one without is plain JAX.
    mode
        As in ``function``; nothing is tuned, since JAX compiles the result as a part of its own.

    Returns
    -------
    JaxFunction
        The pure function.

    Raises
    ------
    UnsupportedError
        The program must run in part to know a length; at the call, a length is traced; where JAX's x64 is off and the
        program has 64-bit values, ``checkify`` or an export for several platforms.
    MissingInputError, UnusedInputError, TypeError, ValueError
        As in ``function``.

    Examples
    --------
    >>> import jax
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.fvector("x")
    >>> sums, _ = loopjax.scan(lambda x_t, total: total + x_t**2, x, at.constant(0.0, dtype="float32"))
    >>> total = loopjax.to_jax([x], sums[-1])
    >>> jax.grad(total)(jax.numpy.array([1.0, 2.0, 3.0]))
    Array([2., 4., 6.], dtype=float32)
    """
    label = name or "to_jax"
    with about(label):
        options = Options(label, allow_input_downcast, mode=read_mode(mode))
        check_choice("derivatives", derivatives, ("any", "reverse", "forward", "none"))
        program = collect(
            inputs, outputs, updates, givens, options, no_default_updates, rebuild_strict, on_unused_input
        )
    from loopjax.runtime.compiler import simplify  # imports all passes and lowering rules

    return JaxFunction(simplify(program), derivatives, keep_x64)


class JaxFunction:
    """A program as a pure function of arrays and tracers: see ``to_jax``.

    ``variables`` maps the keys of the state to shared variables. A key is the variable's name, numbered where two
    variables share it, or ``shared`` and a number.
    """

    def __init__(self, program: Program, derivatives: Derivative, keep_x64: bool) -> None:
        self._program = program
        self._signature = Signature(program.inputs, program.options.allow_downcast, program.options.name)
        self._narrow = not keep_x64
        from loopjax.runtime.inline import Inlined  # a part of the package's import time, and not always needed

        self._inlined = Inlined(program, derivatives, keep_x64)
        self.variables = program.state.named()
        self.__name__ = self.__qualname__ = program.options.name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        program, state = self._program, dict[str, Any]()
        if self.variables:
            state, args = self._read_state(args), args[1:]
        with about(self.__name__):
            if program.arguments is not None:
                args = tuple(program.arguments.leaves(args))
            arrays = self._signature.checked(self._signature.placed(args, kwargs))
        keys = {variable: key for key, variable in self.variables.items()}
        found = self._inlined([*arrays, *(state[keys[variable]] for variable in program.state.variables)])
        updated = program.state.updated
        outputs = program.form(found[len(updated) :])
        if not self.variables:
            return outputs
        return outputs, {**state, **{keys[variable]: new for variable, new in zip(updated, found, strict=False)}}

    def init(self) -> dict[str, jax.Array]:
        """The state as the shared variables hold it now."""
        with jax.ensure_compile_time_eval():
            return {key: self._cast(variable.get_value(borrow=True)) for key, variable in self.variables.items()}

    def store(self, state: Mapping[str, Any]) -> None:
        """Sets the shared variables to the values of a state."""
        for key, value in self._checked_state(state).items():
            variable = self.variables[key]
            wide = np.asarray(value).astype(variable.dtype) if str(value.dtype) in NARROW.values() else value
            variable.set_value(wide)

    def __repr__(self) -> str:
        names = [one.name or "?" for one in self._program.inputs]
        return f"<{self.__name__}({', '.join(['state', *names] if self.variables else names)}) for JAX>"

    def _cast(self, array: Any) -> Any:
        """An array of a shared variable, as wide as the state has it."""
        if x64_is_on() or not self._narrow or is_key(array):
            return array
        with jax.enable_x64(True):
            return narrowed(array)

    def _read_state(self, args: Sequence[Any]) -> dict[str, Any]:
        if not args or not isinstance(args[0], Mapping):
            got = f"{type(args[0]).__name__} {args[0]!r:.80}" if args else "nothing"
            raise coded(TypeError, "LJ703")(
                f"{self.__name__} has shared variables: its first argument is the state, a dict with the keys "
                f"{list(self.variables)}, as {self.__name__}.init() gives it; expected that, got {got}; pass it "
                f"first{here()}"
            )
        return self._checked_state(args[0])

    def _checked_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state's values as arrays that fit the shared variables."""
        missing = [key for key in self.variables if key not in state]
        unknown = [key for key in state if key not in self.variables]
        if missing or unknown:
            raise coded(TypeError, "LJ703")(
                f"{self.__name__}: the state has the keys {list(self.variables)}, as {self.__name__}.init() gives it; "
                f"missing {missing}, unknown {unknown}; expected all keys, pass those of init(){here()}"
            )
        return {key: self._fitted(key, state[key]) for key in self.variables}

    def _fitted(self, key: str, value: Any) -> Any:
        variable = self.variables[key]
        array: Any = value if isinstance(value, jax.Array) else numeric(value)
        dtypes = {variable.dtype, NARROW.get(variable.dtype, variable.dtype)}
        if is_key(array):
            fits = variable.dtype == KEY
        else:
            fits = str(array.dtype) in dtypes and array.ndim == variable.ndim
            fits = fits and all(want in (None, got) for want, got in zip(variable.type.shape, array.shape, strict=True))
        if not fits:
            raise coded(TypeError, "LJ703")(
                f"{self.__name__}: state {key!r}{where(variable.sources)} is {array.dtype}{tuple(array.shape)}; "
                f"expected {variable.type}"
            )
        return array
