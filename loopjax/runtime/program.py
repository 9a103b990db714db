"""A recorded program: inputs, the graph to its outputs and updates, shared variables and options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any, Literal, get_args

import jax

from loopjax.errors import (
    ArgumentError,
    MissingInputError,
    UnusedInputError,
    about,
    alike,
    check_choice,
    check_flag,
    coded,
    here,
    read_pairs,
    warn,
    where,
)
from loopjax.ir.graph import Apply, Constant, Graph, Variable, ancestors
from loopjax.ir.types import KEY
from loopjax.runtime.mode import Mode
from loopjax.runtime.shardings import Shardings
from loopjax.runtime.signature import In, Out, taking
from loopjax.runtime.state import State
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import settle_weak
from loopjax.trace.pytrees import is_pytree, shown
from loopjax.trace.shared import SharedVariable
from loopjax.trace.substitute import (
    Replacements,
    absent,
    not_replaced,
    read_replacements,
    substitute,
    with_values,
)
from loopjax.trace.updates import check_unpacked

Updates = dict[SharedVariable, Variable]
Unused = Literal["raise", "warn", "ignore"]


@dataclass(frozen=True)
class Options:
    """Options of ``function``, as documented there."""

    name: str = "function"
    allow_downcast: bool | None = None
    inplace: bool = False
    check_index: bool = False
    check_values: tuple[str, ...] = ()
    lengths: str = "auto"
    results: str = "auto"
    mode: Mode = field(default_factory=Mode)
    in_shardings: Shardings = None
    out_shardings: Shardings = None


@dataclass(frozen=True)
class Program:
    """The graph from inputs and shared variables to new state and outputs, in this order.

    ``arguments`` is the structure of a call's arguments, where some are pytrees of ``inputs``.
    """

    inputs: tuple[In, ...]
    form: OutputStructure
    graph: Graph
    state: State
    options: Options
    arguments: ArgumentTrees | None = None


class ArgumentTrees:
    """The structure of positional arguments: for each one that is a pytree its tree, ``None`` for an array."""

    def __init__(self, trees: Sequence[Any], label: str) -> None:
        self.trees, self.label = tuple(trees), label

    def rebuilt(self, leaves: Sequence[Any]) -> list[Any]:
        """Arguments of other leaves."""
        rest = iter(leaves)
        return [next(rest) if tree is None else tree.unflatten(islice(rest, tree.num_leaves)) for tree in self.trees]

    def leaves(self, args: Sequence[Any]) -> list[Any]:
        """The arrays among arguments, in order."""
        found = []
        for place, arg in enumerate(args):
            tree = self.trees[place] if place < len(self.trees) else None
            if tree is None:
                found.append(arg)
                continue
            leaves, given = jax.tree.flatten(arg)
            if given != tree:
                raise coded(TypeError, "LJ307")(
                    f"{self.label}: argument {place} is {shown(given)}; expected {shown(tree)}, as the variables in "
                    f"its place, give that{here()}"
                )
            found += leaves
        return found


@dataclass(frozen=True)
class OutputStructure:
    """Structure of the outputs: none, a single one, a list, a dict, or another pytree."""

    kind: Literal["none", "single", "list", "dict", "tree"]
    keys: tuple[str, ...] = ()
    tree: Any = None

    def packer(self, places: Sequence[int]) -> Callable[[Sequence[Any]], Any]:
        """A function that packs the arrays at some positions into the structure."""
        if self.kind == "single":
            return itemgetter(*places)
        take = taking(places)
        if self.kind == "tree":
            return lambda arrays: jax.tree.unflatten(self.tree, take(arrays))
        if self.kind == "dict":
            return lambda arrays: dict(zip(self.keys, take(arrays), strict=True))
        return lambda arrays: [*take(arrays)]

    def __call__(self, arrays: Sequence[Any]) -> Any:
        """Packs arrays into the structure."""
        return self.packer(range(len(arrays)))(arrays)


def read_outputs(outputs: Any) -> tuple[OutputStructure, list[Variable]]:
    """Reads outputs into a structure and variables."""
    form, values = OutputStructure("single"), [outputs]
    if outputs is None:
        form, values = OutputStructure("none"), []
    elif is_pytree(outputs, nested=True):
        leaves, tree = jax.tree.flatten(outputs)
        form, values = OutputStructure("tree", tree=tree), leaves
    elif isinstance(outputs, Mapping):
        check_unpacked(outputs)
        wrong = [key for key in outputs if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"outputs, a dict, has string keys, got {wrong}; write {{'name': variable}}")
        form, values = OutputStructure("dict", tuple(outputs)), list(outputs.values())
    elif isinstance(outputs, (list, tuple)):
        form, values = OutputStructure("list"), list(outputs)
    return form, [_read_output(one.variable if isinstance(one, Out) else one) for one in values]


def _read_output(value: Any) -> Variable:
    try:
        return as_variable(value)
    except ArgumentError as error:
        raise alike(error, f"outputs: {error}") from None


def _read_updates(updates: Any) -> Updates:
    """Reads updates into a dict whose values have exactly the types of the shared variables."""
    found: Updates = {}
    for shared, value in read_pairs("updates", updates):
        if not isinstance(shared, SharedVariable):
            raise coded(TypeError, "LJ304")(
                f"updates are keyed by shared variables, got {type(shared).__name__} {shared!r:.80}; make it with "
                f"loopjax.shared"
            )
        if shared in found:
            raise coded(ValueError, "LJ304")(f"updates has two new values for {shared!r}; expected one, give one")
        found[shared] = _fitted(shared, value)
    return found


def _fitted(shared: SharedVariable, value: Any) -> Variable:
    with about(f"updates: the value for {shared!r}"):
        new = settle_weak(as_variable(value), shared.dtype)
    if not shared.type.accepts(new.type):
        raise coded(TypeError, "LJ304")(
            f"the update of {shared!r}{where(shared.sources)} is {new.type}; expected {shared.type}. "
            f"{shared.type.remedy(new.type)}{where(new.sources)}"
        )
    return new


def collect(
    inputs: Any,
    outputs: Any,
    updates: Any,
    givens: Replacements | None,
    options: Options,
    no_default_updates: bool | Sequence[SharedVariable],
    rebuild_strict: bool,
    on_unused_input: Unused,
) -> Program:
    """Closes the graph of a function: from its inputs and shared variables to its outputs and updates.

    Default updates bring in further shared variables, until there are no new ones.
    """
    declared, arguments = _read_inputs(inputs, options.name)
    if not isinstance(no_default_updates, (list, tuple)):
        check_flag("no_default_updates", no_default_updates)
    elif not all(isinstance(one, SharedVariable) for one in no_default_updates):
        raise coded(TypeError, "LJ901")(
            f"no_default_updates: expected True, False or a list of shared variables, got {no_default_updates}"
            f"; write [w] of such as are made by loopjax.shared"
        )
    form, targets = read_outputs(outputs)
    replaced = read_replacements(givens, "givens", rebuild_strict)
    entries = [one.variable for one in declared]
    inner = [variable for variable in entries if variable.owner is not None]
    new_values = _read_updates(updates)
    still = list(no_default_updates) if isinstance(no_default_updates, (list, tuple)) else []
    while True:
        wanted = substitute([*new_values.values(), *targets], replaced)
        wanted = with_values(wanted, {variable: variable for variable in inner})
        read = ancestors(wanted, stop=entries)
        shared = [variable for variable in read if isinstance(variable, SharedVariable)]
        defaults = {} if no_default_updates and not still else _defaults(shared, [*new_values, *still])
        if not defaults:
            break
        new_values.update(defaults)
    for variable in absent(replaced, [*new_values.values(), *targets]):
        _report_unused(not_replaced("givens", variable), on_unused_input)
    shared = [variable for variable in shared if variable not in entries]
    graph = Graph([*entries, *shared], wanted)
    _check_inputs(declared, graph, read, on_unused_input)
    # An inner variable that is an input loses its owner, so that no pass walks past it.
    graph = graph.rebuilt({variable: _bare(variable) for variable in inner})
    return Program(tuple(declared), form, graph, State(shared, list(new_values)), options, arguments)


def _read_inputs(inputs: Any, label: str) -> tuple[list[In], ArgumentTrees | None]:
    """Reads inputs, and the structure of arguments where some of them are pytrees of variables."""
    if isinstance(inputs, (Variable, In)):
        raise coded(TypeError, "LJ301")(f"inputs is a list of variables, got {inputs!r}; write [{inputs!r}]")
    if inputs is not None and not isinstance(inputs, (list, tuple, Iterator)):
        raise coded(TypeError, "LJ301")(
            f"inputs is a list of variables, in the order of a call's arguments; got {type(inputs).__name__} "
            f"{inputs!r:.80}; write [x, y]"
        )
    found, trees = list[In](), list[Any]()
    for place, entry in enumerate(inputs or ()):
        if isinstance(entry, In) or not is_pytree(entry):
            found.append(entry if isinstance(entry, In) else In(entry))
            trees.append(None)
            continue
        paths, tree = jax.tree_util.tree_flatten_with_path(entry)
        for path, leaf in paths:
            where_it_is = f"inputs[{place}]{jax.tree_util.keystr(path)}"
            with about(where_it_is):
                found.append(leaf if isinstance(leaf, In) else In(leaf, getattr(leaf, "name", None) or where_it_is))
        trees.append(tree)
    return found, ArgumentTrees(trees, label) if any(tree is not None for tree in trees) else None


def _bare(variable: Variable) -> Variable:
    bare = Variable(variable.type, name=variable.name)
    bare.source = variable.source
    return bare


def _defaults(shared: Sequence[SharedVariable], others: Sequence[SharedVariable]) -> Updates:
    """Default updates of variables, except ``others``: those with an explicit update, or whose default is ignored."""
    return {
        variable: _fitted(variable, variable.default_update)
        for variable in shared
        if variable.default_update is not None and variable not in others
    }


def _check_inputs(declared: Sequence[In], graph: Graph, needed: Sequence[Variable], policy: Unused) -> None:
    """Raises where an input is listed twice, is not needed, or is missing."""
    check_choice("on_unused_input", policy, get_args(Unused))
    variables = [one.variable for one in declared]
    twice = [variable for variable in set(variables) if variables.count(variable) > 1]
    if twice:
        raise coded(ValueError, "LJ301")(f"inputs holds {twice} more than once; expected each once, list each once")
    names = [one.name for one in declared if one.name]
    if len(set(names)) < len(names) and any(one.name != one.variable.name for one in declared):
        raise coded(ValueError, "LJ301")(
            f"inputs have the names {names}, and two are equal: expected each name once, give each In its own"
        )
    known = set(graph.inputs)
    for variable in needed:
        if variable not in known and not isinstance(variable, Constant):
            raise _missing(variable, graph)
    for node in graph.applies:
        _check_draw(node)
    for variable in variables:
        if variable not in needed:
            unused = f"input {variable!r}{where(variable.sources)} is not used by the outputs or updates"
            _report_unused(unused, policy)


def _missing(variable: Variable, graph: Graph) -> MissingInputError:
    if variable.scan is None:
        return coded(MissingInputError, "LJ302")(
            f"the graph needs {variable!r}{where(variable.sources)}, which is not among the inputs and "
            f"has no value; add it to inputs, or give it with givens"
        )
    reader = next((node for node in graph.applies if variable in node.inputs), None)
    read = "the graph" if reader is None else f"{reader.outputs[0]!r}{where(reader.sources)}"
    return coded(MissingInputError, "LJ116")(
        f"{read} needs {variable!r}, an argument of fn of scan {variable.scan!r}{where(variable.sources)}, which has "
        f"no value outside of the loop; return what you need from fn, and use the output of the scan"
    )


def _check_draw(node: Apply) -> None:
    """Raises for a draw that was made inside of a loop's ``fn`` and is read outside: its key is the loop's state."""
    for key in node.inputs if node.op.has("draw") else ():
        if key.dtype == KEY and isinstance(key, SharedVariable) and key.default_update is None:
            raise coded(MissingInputError, "LJ116")(
                f"{node.outputs[0]!r}{where(node.sources)} was drawn inside of fn of a scan and has no value outside "
                f"of it; return it from fn and use the output of the scan, or draw outside"
            )


def _report_unused(message: str, policy: Unused) -> None:
    message += "; remove it, or pass on_unused_input='ignore'"
    if policy == "raise":
        raise coded(UnusedInputError, "LJ303")(message)
    if policy == "warn":
        warn(message)
