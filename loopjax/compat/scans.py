"""``scan`` and its views with the forms of arguments and results that the peers allow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from loopjax.ir.graph import Variable, ancestors
from loopjax.ir.public_ops import ops
from loopjax.trace import scan as core
from loopjax.trace import step_results, views
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable

_scan = core.scan


class until(step_results.until):  # noqa: N801 - the peers' name
    """The condition of a loop's end, as in ``scan``; a scalar of any dtype, true where it is not 0."""

    def __init__(self, condition: Any) -> None:
        made = as_variable(condition)
        super().__init__(made if made.type.is_integer or made.ndim else ops.neq(made, 0))


def loop_of(record: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``scan``, ``map``, ``reduce``, ``foldl`` or ``foldr`` with the peers' forms of arguments."""

    @functools.wraps(record)
    def loop(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        positional = list(args)
        names = ("sequences", "outputs_info", "non_sequences") if record is not views.map else ("sequences",)
        for place, name in enumerate(names):
            given = positional[place] if place < len(positional) else kwargs.get(name)
            if name != "outputs_info":
                _hand(given)
                continue
            plain = _info(given)
            if place < len(positional):
                positional[place] = plain
            elif name in kwargs:
                kwargs[name] = plain
        if record is views.map:
            _hand(kwargs.get("non_sequences", positional[1] if len(positional) > 1 else None))
        if "return_list" in kwargs and record is not _scan:
            del kwargs["return_list"]
        for accepted in ("allow_gc", "profile", "n_fixed_steps", "return_updates"):
            if record is not _scan:
                kwargs.pop(accepted, None)
        return record(_step(fn), *positional, **kwargs)

    return loop


def _info(given: Any) -> Any:
    """Return ``outputs_info`` as the core takes it: ``None`` for an empty list and for entries without a start."""
    if isinstance(given, (list, tuple)):
        return [_start(entry) for entry in given] if len(given) else None
    return _start(given)


def _start(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        entry = {key: value for key, value in entry.items() if key in ("initial", "taps")}
        return entry if entry.get("initial") is not None else None
    return entry


def _hand(given: Any) -> None:
    """Mark the inputs that a loop is handed: they count as used, whatever the step does with them."""
    values = given if isinstance(given, (list, tuple)) else [given]
    found = [value.get("input") if isinstance(value, Mapping) else value for value in values]
    for variable in ancestors(value for value in found if isinstance(value, Variable)):
        if hasattr(variable, "__dict__"):
            vars(variable)["_handed_to_loop"] = True


def _step(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the step with its result in a form that the core takes."""

    @functools.wraps(fn)
    def step(*args: Any) -> Any:
        return _returned(fn(*args))

    return step


def _returned(result: Any) -> Any:
    """Return ``[outputs, updates]`` and the like as tuples, without empty updates."""
    if not isinstance(result, (list, tuple)):
        return result
    parts = list(result)
    condition = [parts.pop()] if parts and isinstance(parts[-1], step_results.until) else []
    if len(parts) == 2 and _is_updates(parts[1]) and not _is_updates(parts[0]):
        outputs, updates = parts
        kept = [updates] if len(updates) else []
        if not kept and not condition:
            return outputs
        return (outputs, *kept, *condition)
    return (*parts, *condition) if condition else result


def _is_updates(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], SharedVariable) for pair in value
    )


scan = loop_of(_scan)
map = loop_of(views.map)
reduce = loop_of(views.reduce)
foldl = loop_of(views.foldl)
foldr = loop_of(views.foldr)
