"""Pytrees among the arguments and results of a loop: flattened to arrays before it is recorded, and rebuilt after.

A dict, a named tuple or any node that is registered with ``jax.tree_util`` is a pytree; a plain list or tuple is what
it is to Theano: several arguments, or the numbers of one array.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from typing import Any, NamedTuple, cast

import jax
from jax.tree_util import all_leaves, keystr, tree_flatten_with_path

from loopjax.errors import about, coded, source_of
from loopjax.ir.graph import Variable
from loopjax.trace.scan_arguments import Leaf, LoopArguments, check_takes, is_listed, numbered, tap_list
from loopjax.trace.step_results import Leaves, listed, split_result


class Group(NamedTuple):
    """An entry of an argument: its ``items``, one for each leaf, and its ``tree``, ``None`` for an array.

    ``fn`` receives the entry ``taps`` times, once for each tap.
    """

    argument: str
    items: list[Any]
    tree: Any
    taps: int

    def rebuilt(self, leaves: Sequence[Any]) -> Any:
        """The entry with other leaves."""
        return leaves[0] if self.tree is None else jax.tree.unflatten(self.tree, leaves)


class Pytrees:
    """The arguments of a loop without pytrees, and how its results are rebuilt."""

    def __init__(self, asked: LoopArguments, label: str) -> None:
        self._asked, self._label = asked, label
        with about(f"scan {label!r}"):
            self._sequences = _groups(asked.sequences, "sequences", "input")
            self._info = None if asked.outputs_info is None else _groups(asked.outputs_info, "outputs_info", "initial")
            self._passed = _groups(asked.non_sequences, "non_sequences", "")
        self._results: list[Group] = []

    @property
    def arguments(self) -> LoopArguments:
        """The arguments, with the leaves in the place of pytrees."""

        @wraps(self._asked.fn)
        def step(*leaves: Any) -> Any:
            return self._step(leaves)

        groups = [*self._sequences, *(self._info or ()), *self._passed]
        if all(group.tree is None for group in groups):
            return self._asked._replace(fn=step)
        cast(Any, step).__signature__ = inspect.signature(lambda *leaves: None)
        return self._asked._replace(
            fn=step,
            sequences=_leaves(self._sequences),
            outputs_info=None if self._info is None else _leaves(self._info),
            non_sequences=_leaves(self._passed),
        )

    def results(self, outputs: Sequence[Any]) -> list[Any]:
        """The outputs of the loop, as ``fn`` returned them."""
        rest = iter(outputs)
        return [group.rebuilt(list(islice(rest, len(group.items)))) for group in self._results]

    def _step(self, leaves: Sequence[Any]) -> Any:
        """A step on leaves: ``fn`` on pytrees, and the leaves of its outputs."""
        rest, args = iter(leaves), list[Any]()
        groups = [*self._sequences, *(self._info or ()), *self._passed]
        for group in groups:
            of_leaf = [list(islice(rest, group.taps)) for _ in group.items]
            args += [group.rebuilt(values) for values in zip(*of_leaf, strict=True)]
        if any(group.tree is not None for group in groups):
            check_takes(self._asked.fn, args, self._label)
        result = self._asked.fn(*args)
        with about(f"scan {self._label!r}"):
            parts = split_result(result, self._label)
            values = listed(parts.outputs)
            states = self._info if self._info is not None else [None] * len(values)
            pairs = enumerate(zip(values, states, strict=False))
            self._results = [self._output(value, state, number) for number, (value, state) in pairs]
        if len(values) != len(states) or all(group.tree is None for group in self._results):
            self._results = [Group("", [value], None, 1) for value in values]  # an error of every loop, or arrays only
            return result
        outputs: list[Any] = []
        for group, state in zip(self._results, states, strict=True):
            is_map = group.tree is not None and (state is None or not state.taps)
            values = [leaf.value for leaf in group.items]
            outputs += [Leaves(values)] if is_map else values
        return (outputs, parts.updates or [], *(() if parts.until is None else (parts.until,)))

    def _output(self, value: Any, state: Group | None, number: int) -> Group:
        """The leaves of an output; raises where it is a state and has not the structure of its initial value."""
        found = _group(Leaf(f"output {number}", value), "")
        if state is None and not found.items:
            return Group("", [Leaf("", value)], None, 1)
        if state is not None and state.taps and not _are_alike(found.tree, state.tree):
            raise coded(TypeError, "LJ106")(
                f"scan {self._label!r}: output {number} of fn is {_structure(found)}; expected the structure of its "
                f"initial value {state.argument}, {_structure(state)}, return that{source_of(self._asked.fn)}"
            )
        return found


def _are_alike(one: Any, other: Any) -> bool:
    """Test if two structures are equal; JAX does not compare one with ``None``, which stands for an array."""
    return one is other if one is None or other is None else bool(one == other)


def _groups(value: Any, argument: str, key: str) -> list[Group]:
    return [_group(entry, key) for entry in numbered(value, argument)]


def _group(entry: Leaf, key: str) -> Group:
    """An entry: an array, a pytree, or a dict that has one of them under ``key``, and taps."""
    argument, value = entry
    is_described = bool(key) and isinstance(value, Mapping) and _is_described(value, key)
    inner = value.get(key) if is_described else value
    taps = 1
    if is_described and value.get("taps") is not None:
        taps = len(tap_list(value["taps"], argument, []))
    if key == "initial" and inner is None:
        taps = 0
    if not is_pytree(inner):
        return Group(argument, [entry], None, taps)
    paths, tree = tree_flatten_with_path(inner)
    leaves = [Leaf(f"{argument}{keystr(path)}", leaf) for path, leaf in paths]
    if is_described:
        leaves = [Leaf(one.argument, {**value, key: one.value}) for one in leaves]
    return Group(argument, leaves, tree, taps)


def _is_described(entry: Mapping[str, Any], key: str) -> bool:
    """Test if a dict says more of an array; also where it has nothing but misspelt keys, which are an error."""
    known = (key, "taps")
    return any(one in entry for one in known) or all(get_close_matches(str(one), known, 1, 0.8) for one in entry)


def is_pytree(value: Any, nested: bool = False) -> bool:
    """Test for a pytree other than a single leaf, ``None``, or a plain list or tuple.

    With ``nested``, a plain list, tuple or dict is one where it holds another container of variables.
    """
    if value is None or isinstance(value, Variable):
        return False
    if is_listed(value) or (nested and type(value) is dict):
        entries = value.values() if isinstance(value, dict) else value
        return nested and any(not isinstance(entry, Variable) and _holds_variables(entry) for entry in entries)
    return not all_leaves([value])


def _holds_variables(value: Any) -> bool:
    return not all_leaves([value]) and any(isinstance(leaf, Variable) for leaf in jax.tree.leaves(value))


def is_iterator(value: Any) -> bool:
    """Test for an iterator, which is no pytree: JAX takes one for a leaf, at times with a warning."""
    return isinstance(value, Iterator)


def shown(tree: Any) -> str:
    """A tree as text, with a star for each leaf."""
    return str(tree).removeprefix("PyTreeDef(").removesuffix(")")


def _leaves(groups: Sequence[Group]) -> list[Leaf]:
    return [leaf for group in groups for leaf in group.items]


def _structure(group: Group) -> str:
    return "an array" if group.tree is None else shown(group.tree)
