"""The shared variables of a call: locked, read once, and committed all or none."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import UnsupportedError
from loopjax.trace.graph import Variable
from loopjax.trace.shared import SharedVariable

_UNLOCKED: AbstractContextManager[None] = nullcontext()


class State:
    """The shared variables that a function reads or updates; the first ``len(updated)`` outputs of a call are new
    values."""

    def __init__(self, variables: Sequence[SharedVariable], updated: Sequence[SharedVariable]) -> None:
        self.variables = tuple(variables)
        self.updated = tuple(updated)
        self._assigned = ("_value",) * len(updated) + ("own",) * len(updated)
        self._locks = [v.lock for v in sorted({*variables, *updated}, key=lambda v: v.order)]

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self.variables, self.updated)

    def swapped(self, swaps: Mapping[SharedVariable, SharedVariable], updates: int) -> State:
        """The state with some variables swapped and the first ``updates`` of its updates."""
        return State(
            [swaps.get(variable, variable) for variable in self.variables],
            [swaps.get(variable, variable) for variable in self.updated[:updates]],
        )

    def locked(self) -> AbstractContextManager[Any]:
        """Holds every variable's lock, taken in one order for all functions."""
        if not self._locks:
            return _UNLOCKED
        return self._locks[0] if len(self._locks) == 1 else self._all_locked()

    @contextmanager
    def _all_locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            yield

    def read(self, overwritten: Collection[SharedVariable] = ()) -> list[Any]:
        """The values now; of those that the call overwrites a copy, where somebody else may hold the array."""
        values = []
        for variable in self.variables:
            shared = variable in overwritten and not variable.own
            values.append(jnp.array(variable.value) if shared else variable.value)
        return values

    def commit(self, values: Sequence[Any], own: Sequence[bool], wait: bool = True) -> None:
        """Gives the updated variables their new values, and says of each whether nobody else holds it.

        Waits for them first, so that a failed computation changes nothing, unless told not to.
        """
        for variable, value in zip(self.updated, values, strict=True):
            if isinstance(value, jax.core.Tracer):
                raise UnsupportedError(
                    f"{variable!r} would be updated with a JAX tracer; call a function with updates outside "
                    f"of jit, grad and vmap"
                )
        for value in values if wait else ():
            value.block_until_ready()
        # One call into C: no interrupt can come between two assignments.
        deque(map(setattr, self.updated * 2, self._assigned, [*values, *own]), maxlen=0)

    def overwritable(self, outputs: Sequence[Variable]) -> list[SharedVariable]:
        """The variables whose old values nobody reads after a call."""
        return [variable for variable in self.updated if variable in self.variables and variable not in outputs]

    def lose_overwritten(self) -> None:
        """After a failed call that was allowed to overwrite values: marks those that are gone."""
        for variable in self.updated:
            if variable._value is not None and variable._value.is_deleted():
                variable._value = None
