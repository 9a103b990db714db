"""The result of a scan's ``fn``, in any of the forms that Theano allows, read into named parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from loopjax.errors import about, coded
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable
from loopjax.trace.scan_arguments import is_listed
from loopjax.trace.shared import SharedVariable

T = TypeVar("T")


class until:  # noqa: N801 - the name that Theano programs use
    """The condition of a loop's end, returned last by a scan's ``fn``.

    The loop stops after the first step in which ``condition`` is true, at the latest after ``n_steps`` steps, which are
    1,048,576 where neither they nor sequences are given. Outputs have as many rows as steps ran. Both modes of
    differentiation pass such a loop; forward mode stores no states of it.

    Parameters
    ----------
    condition : Variable or array_like
        A scalar bool, or a scalar integer, which is true where it is not 0.

    Raises
    ------
    TypeError
        ``condition`` has no bools or integers: a float is rarely 0, and ``until(error)`` would stop after one step.
    ValueError
        ``condition`` is no scalar.

    Examples
    --------
    Powers of two, up to the first that is larger than 20:

    >>> import loopjax
    >>> powers, _ = loopjax.scan(lambda p: (2 * p, loopjax.until(2 * p > 20)), outputs_info=1, n_steps=50)
    >>> powers.eval()
    array([ 2,  4,  8, 16, 32])
    """

    def __init__(self, condition: Any) -> None:
        with about("until"):
            made = as_variable(condition)
            if made.ndim != 0:
                raise coded(ValueError, "LJ113")(
                    f"until() takes a scalar condition, got {made!r}; reduce it, for example with .any()"
                )
            if not made.type.is_integer and made.dtype != "bool":
                raise coded(TypeError, "LJ113")(
                    f"until() takes a condition, got {made.dtype} {made!r}; write until(x < tol)"
                )
        self.condition = made


class Leaves(list[Any]):
    """An output of ``fn`` that is a pytree and no state: its leaves."""


class Returned(NamedTuple):
    """The result of ``fn`` by role; ``counts`` says how many of the outputs are leaves of one, ``None`` for arrays."""

    outputs: list[Variable]
    counts: list[int | None]
    updates: dict[SharedVariable, Variable]
    condition: Variable | None

    def info(self, info: Sequence[T | None]) -> list[T | None]:
        """Return ``outputs_info`` with an entry for each leaf."""
        pairs = zip(info, self.counts, strict=True)
        return [one for entry, count in pairs for one in ([entry] if count is None else [None] * count)]

    def grouped(self, leaves: Sequence[Any]) -> list[Any]:
        """Return other values of the leaves as ``fn`` returned them."""
        rest = iter(leaves)
        return [next(rest) if count is None else Leaves(islice(rest, count)) for count in self.counts]


class Parts(NamedTuple):
    """The result of ``fn`` as it gave it: its outputs, the updates and ``until``, ``None`` where there are none."""

    outputs: Any
    updates: Any
    until: until | None


def split_result(result: Any, label: str) -> Parts:
    """Return the parts of any of the forms that ``fn`` may return."""
    condition: until | None = None
    if is_listed(result) and result and isinstance(result[-1], until):
        condition = result[-1]
        rest = result[:-1]
        if not rest:
            raise _misreturned(result, label)
        result = rest[0] if len(rest) == 1 else rest
    if _is_updates(result):
        return Parts((), result, condition)
    if isinstance(result, tuple) and len(result) == 2 and _is_updates(result[1], empty=True):
        return Parts(result[0], result[1], condition)
    return Parts(result, None, condition)


def listed(outputs: Any) -> list[Any]:
    """Return outputs as a list; a single one stands for itself."""
    return list(outputs) if is_listed(outputs) else [outputs]


def read_returned(result: Any, label: str) -> Returned:
    """Return outputs, updates and condition from any of the forms that ``fn`` may return."""
    parts = split_result(result, label)
    values = listed(parts.outputs)
    leaves = [leaf for value in values for leaf in (value if isinstance(value, Leaves) else [value])]
    kinds = (Variable, bool, int, float, complex, np.generic, np.ndarray, jax.Array)
    if not all(isinstance(leaf, kinds) for leaf in leaves):
        raise _misreturned(parts.outputs, label)
    return Returned(
        [as_variable(leaf) for leaf in leaves],
        [len(value) if isinstance(value, Leaves) else None for value in values],
        {} if parts.updates is None else _updates(parts.updates, label),
        None if parts.until is None else parts.until.condition,
    )


def _is_updates(value: Any, empty: bool = False) -> bool:
    """Test for a dict with other keys than strings, or a list of pairs from a shared variable.

    An ``empty`` list counts where asked.
    """
    if isinstance(value, Mapping):
        return not value or not all(isinstance(key, str) for key in value)
    if not is_listed(value):
        return False
    pairs = all(isinstance(v, (list, tuple)) and len(v) == 2 and isinstance(v[0], SharedVariable) for v in value)
    return pairs and (bool(value) or (empty and isinstance(value, list)))


def _updates(value: Any, label: str) -> dict[SharedVariable, Variable]:
    found: dict[SharedVariable, Variable] = {}
    for key, new in value.items() if isinstance(value, Mapping) else value:
        if not isinstance(key, SharedVariable):
            raise coded(ValueError, "LJ114")(
                f"scan {label!r}: updates that fn returns are keyed by shared variables, got {key!r}; write {{w: new}}"
            )
        if key in found:
            raise coded(ValueError, "LJ114")(f"scan {label!r}: {key!r} is updated twice in one step")
        found[key] = as_variable(new)
    return found


def _misreturned(result: Any, label: str) -> ValueError:
    return coded(ValueError, "LJ102")(
        f"scan {label!r}: fn returned {_shape_of(result)}; it may return outputs, updates, (outputs, updates), "
        f"(outputs, until), (updates, until), (outputs, updates, until) or (), where outputs is a variable or a "
        f"list of them, updates a dict or pairs from shared variables, and until(condition) comes last"
    )


def _shape_of(value: Any) -> str:
    """Return the nesting of a result with the types of its leaves, for an error."""
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_shape_of(item) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return "None" if value is None else type(value).__name__
