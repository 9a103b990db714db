"""Shared variables of a call: locked, read once, and committed all or none."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import repeat
from threading import RLock
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import UnsupportedError, coded
from loopjax.ir.graph import Variable
from loopjax.runtime.state_file import STATE
from loopjax.trace.shared import SharedVariable, join_locks

T = TypeVar("T")

Commit = Callable[[Sequence[Any]], None]

_acquire, _release = type(RLock()).acquire, type(RLock()).release  # half the time of methods that are looked up
_mark = vars(SharedVariable)["own"].__set__
_consume = deque[None](maxlen=0).extend  # runs an iterator and keeps nothing: in C no interrupt can come between
_assign = vars(SharedVariable)["_value"].__set__
peek = vars(SharedVariable)["_value"].__get__
"""The array of a variable, or ``None`` where it was lost."""


class State:
    """The shared variables that a function reads and updates.

    The first ``len(updated)`` outputs of its program are the new values.
    """

    def __init__(self, variables: Sequence[SharedVariable], updated: Sequence[SharedVariable]) -> None:
        self.variables = tuple(variables)
        self.updated = tuple(updated)
        self.locks = join_locks({*variables, *updated})

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self.variables, self.updated)

    def swapped(self, swaps: Mapping[SharedVariable, SharedVariable], updates: int) -> State:
        """The state with some variables swapped and the first ``updates`` of its updates."""
        return State(
            [swaps.get(variable, variable) for variable in self.variables],
            [swaps.get(variable, variable) for variable in self.updated[:updates]],
        )

    def named(self) -> dict[str, SharedVariable]:
        """The variables by names that differ: their own, numbered where two share it, or ``shared`` and a number."""
        variables = list(dict.fromkeys([*self.variables, *self.updated]))
        often = Counter(variable.name for variable in variables)
        named: dict[str, SharedVariable] = {}
        for number, variable in enumerate(variables):
            unique = variable.name and often[variable.name] == 1
            key = variable.name if variable.name and unique else f"{variable.name or 'shared'} {number}"
            while key in named:
                key += "'"
            named[key] = variable
        return named

    def snapshot(self) -> dict[str, Any]:
        """Copies of all values at one moment, by the names that a file has them under."""
        return self.locked(lambda: {STATE + name: variable.get_value() for name, variable in self.named().items()})

    def set(self, values: Mapping[SharedVariable, Any]) -> None:
        """Sets variables to values of their types, all or none, where their present arrays are placed."""
        made = [variable.placed(value) for variable, value in values.items()]
        self.locked(lambda: [*map(_assign, values, made)])

    def reshaped(self, values: Mapping[SharedVariable, Any]) -> list[tuple[SharedVariable, Any, Any]]:
        """The variables whose values would have as many dimensions and another shape, with the shapes now and then."""
        shapes = [(v, getattr(peek(v), "shape", None), np.shape(value)) for v, value in values.items()]
        return [(v, old, new) for v, old, new in shapes if old is not None and len(old) == len(new) and old != new]

    def placed(self, outputs: Sequence[Any]) -> list[Any]:
        """New values of the updated variables, sharded as their present arrays where the shapes are the same."""
        present = [variable._value for variable in self.updated]
        return [
            jax.device_put(new, old.sharding) if old is not None and old.committed and old.shape == new.shape else new
            for new, old in zip(outputs, present, strict=False)
        ]

    def locked(self, run: Callable[..., T], *args: Any) -> T:
        """Calls a function while it holds every variable's lock, taken in one order for all functions.

        Python may raise ``KeyboardInterrupt`` between any two bytecodes, so a lock is acquired and noted in one run of
        C, and all are released in one.
        """
        if not self.locks:
            return run(*args)
        held: list[Any] = []
        releases = map(_release, held)
        try:
            held.extend(filter(_acquire, self.locks))
            return run(*args)
        finally:
            _consume(releases)

    def read(self, overwritten: Collection[SharedVariable] = ()) -> list[Any]:
        """Present values of the variables; a donated array that may be aliased is copied."""
        values = []
        for variable in self.variables:
            shared = variable in overwritten and not variable.own
            values.append(jnp.array(variable.value) if shared else variable.value)
        return values

    def owners(self, outputs: Sequence[Variable]) -> list[SharedVariable]:
        """Updated variables whose new arrays are unaliased, so that a later call may donate them."""
        times = Counter(outputs)
        new = zip(self.updated, outputs, strict=False)
        return [variable for variable, output in new if output.owner is not None and times[output] == 1]

    def lent(self, outputs: Sequence[Variable]) -> frozenset[SharedVariable]:
        """Variables whose arrays a result or another variable holds after a call."""
        shared = frozenset(one for one in (*self.updated, *outputs) if isinstance(one, SharedVariable))
        return shared.difference(self.owners(outputs))

    def committer(self, outputs: Sequence[Variable]) -> Commit | None:
        """A function that gives the updated variables the first of a call's results.

        ``outputs`` of the program say whose arrays nobody else holds then. ``None`` where a call has nothing to note.
        """
        updated, owners, lent = self.updated, self.owners(outputs), self.lent(outputs)
        if not updated and not lent:
            return None

        def commit(new: Sequence[Any]) -> None:
            for variable in lent:
                variable.own = False
            _consume(map(_assign, updated, new))
            _consume(map(_mark, owners, repeat(True)))

        return commit

    def refuse_tracers(self, values: Sequence[Any]) -> None:
        """Raises ``UnsupportedError`` where an update would put a JAX tracer into a shared variable."""
        for variable, value in zip(self.updated, values, strict=False):
            if isinstance(value, jax.core.Tracer):
                raise coded(UnsupportedError, "LJ701")(
                    f"{variable!r} would be updated with a JAX tracer; call a function with updates outside of jit, "
                    f"grad and vmap"
                )

    def overwritable(self, outputs: Sequence[Variable]) -> list[SharedVariable]:
        """Updated variables whose old arrays may be donated (``donate_argnums``): no output holds them."""
        return [variable for variable in self.updated if variable in self.variables and variable not in outputs]

    def lose_overwritten(self) -> bool:
        """After a failed call, marks variables whose donated arrays were deleted, so that reads raise ``StateLost``.

        True where there are any.
        """
        gone = [v for v in self.updated if v._value is not None and v._value.is_deleted()]
        for variable in gone:
            variable._value = None
        return bool(gone)
