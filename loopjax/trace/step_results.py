"""The result of a scan's ``fn``, in any of the forms that Theano allows, read into named parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import about
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable


class until:  # noqa: N801 - the name that Theano programs use
    """The condition of a loop's end, returned last by a scan's ``fn``.

    The loop stops after the first step in which ``condition`` is true, at the latest after ``n_steps`` steps. Outputs
    have as many rows as steps ran. Both modes of differentiation pass such a loop; forward mode stores no states
    of it.

    Parameters
    ----------
    condition : Variable or array_like
        A scalar; any number but 0 is true.

    Raises
    ------
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
                raise ValueError(f"until() takes a scalar condition, got {made!r}; reduce it, for example with .any()")
        self.condition = made


class Returned(NamedTuple):
    """The result of ``fn`` by role."""

    outputs: list[Variable]
    updates: dict[SharedVariable, Variable]
    condition: Variable | None


def read_returned(result: Any, label: str) -> Returned:
    """Return outputs, updates and condition from any of the forms that ``fn`` may return."""
    condition: Variable | None = None
    if isinstance(result, (list, tuple)) and result and isinstance(result[-1], until):
        condition = result[-1].condition
        rest = result[:-1]
        if not rest:
            raise _misreturned(result, label)
        result = rest[0] if len(rest) == 1 else rest
    if _is_updates(result):
        return Returned([], _updates(result, label), condition)
    if isinstance(result, tuple) and len(result) == 2 and _is_updates(result[1], empty=True):
        return Returned(_outputs(result[0], label), _updates(result[1], label), condition)
    return Returned(_outputs(result, label), {}, condition)


def _outputs(result: Any, label: str) -> list[Variable]:
    values: Sequence[Any] = result if isinstance(result, (list, tuple)) else [result]
    kinds = (Variable, bool, int, float, complex, np.generic, np.ndarray, jax.Array)
    if not all(isinstance(value, kinds) for value in values):
        raise _misreturned(result, label)
    return [as_variable(value) for value in values]


def _is_updates(value: Any, empty: bool = False) -> bool:
    """Test for a dict, or a list of pairs from a shared variable; an ``empty`` list counts where asked."""
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    pairs = all(isinstance(v, (list, tuple)) and len(v) == 2 and isinstance(v[0], SharedVariable) for v in value)
    return pairs and (bool(value) or (empty and isinstance(value, list)))


def _updates(value: Any, label: str) -> dict[SharedVariable, Variable]:
    found: dict[SharedVariable, Variable] = {}
    for key, new in value.items() if isinstance(value, Mapping) else value:
        if not isinstance(key, SharedVariable):
            raise ValueError(
                f"scan {label!r}: updates that fn returns are keyed by shared variables, got {key!r}; write {{w: new}}"
            )
        if key in found:
            raise ValueError(f"scan {label!r}: {key!r} is updated twice in one step")
        found[key] = as_variable(new)
    return found


def _misreturned(result: Any, label: str) -> ValueError:
    return ValueError(
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
