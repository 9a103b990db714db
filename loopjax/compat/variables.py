"""Variables of a peer library: the core's, with the conventions of the peer in what they answer.

Three classes per library stand for ``Variable``, ``Constant`` and ``SharedVariable`` while its functions record. They
differ from the core's in attributes and methods only, and a graph may hold both. Each operator and method of the core
is taken over such that the conventions are in force while it records.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from loopjax.compat import kinks, reductions
from loopjax.compat.arguments import fitting
from loopjax.compat.library import LIBRARIES, Library
from loopjax.compat.notes import CompatNote
from loopjax.compat.random import generator_method
from loopjax.compat.types import PeerType, broadcast_pattern, peer_type
from loopjax.errors import coded
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.methods import Methods
from loopjax.ir.public_ops import ops
from loopjax.ir.types import KEY, TensorType
from loopjax.trace.shared import SharedVariable

COMPARISONS = ("lt", "le", "gt", "ge")
"""Ops whose results have no truth value, as in Theano."""

_UNARY = """
arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh deg2rad exp exp2 expm1 floor log log10 log1p log2 rad2deg
sgn sin sinh sqrt sqr tan tanh trunc
"""
UNARY = tuple(_UNARY.split())
"""Elementwise functions that are methods, too."""


_TYPE: Any = vars(Variable)["type"]
"""The slot that holds the type of a variable."""


class PeerMethods:
    """Attributes and methods that variables of the peers have, and variables of the core have not."""

    library: Library

    @property
    def type(self) -> TensorType:
        """The type, with the attributes that programs of the peer read."""
        found: TensorType = _TYPE.__get__(self)
        return found

    @type.setter
    def type(self, value: TensorType) -> None:
        _TYPE.__set__(self, peer_type(self.library.type, value))

    @property
    def tag(self) -> Any:
        """A place for attributes of the user's own, such as ``test_value``."""
        return vars(self).setdefault("_tag", SimpleNamespace())

    @tag.setter
    def tag(self, value: Any) -> None:
        if value is not None:
            vars(self)["_tag"] = value

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """For each axis, if its size is known to be 1."""
        return broadcast_pattern(self.type)

    @property
    def mT(self) -> Any:  # noqa: N802 - NumPy's name
        """The last two axes exchanged."""
        return ops.swapaxes(self, -1, -2)

    def __bool__(self) -> bool:
        owner = getattr(self, "owner", None)
        if not self.library.truthy or (owner is not None and owner.op.named(*COMPARISONS)):
            raise coded(TypeError, "LJ201")(
                f"{self!r} is symbolic and has no truth value; write switch(condition, a, b), or until(condition) in a "
                f"scan"
            )
        return True

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bool, int, float, complex, np.generic, np.ndarray)):
            text = f"{self!r} == {other!r:.40} is False, as it compares identity; eq(x, y) compares elements"
            warnings.warn(text, CompatNote, stacklevel=2)
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        make, arguments, *state = reduced
        if getattr(self, "owner", None) is not None:
            # The graph itself would be rebuilt before the conventions are in force.
            rebuild, parts = arguments[0].__reduce__()
            return _restored, (self.library.name, _output_of, make, rebuild, *parts)
        return (_restored, (self.library.name, make, *arguments), *state)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = generator_method(self, name) if self.type.dtype == KEY else None
        if method is not None:
            return self.library.recording(method)
        nearest = difflib.get_close_matches(name, dir(type(self)), 1)
        meant = f"; the nearest name is {nearest[0]!r}" if nearest else ""
        raise coded(AttributeError, "LJ207")(f"{self!r} has no attribute {name!r}{meant}")

    def __getitem__(self, key: Any) -> Any:
        # A list with slices stands for a tuple, as in NumPy of the time.
        if isinstance(key, list) and any(isinstance(entry, (slice, type(None), type(...))) for entry in key):
            key = tuple(key)
        return ops.index(self, key)

    def __abs__(self) -> Any:
        return kinks.abs(self)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Maximum over axes; see ``loopjax.compat.kinks``."""
        return kinks.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Minimum over axes; see ``loopjax.compat.kinks``."""
        return kinks.min(self, axis, keepdims)

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        """Sum over axes; see ``loopjax.compat.reductions``."""
        return reductions.sum(self, axis, dtype, keepdims, acc_dtype)

    def prod(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        """Product over axes; see ``loopjax.compat.reductions``."""
        return reductions.prod(self, axis, dtype, keepdims, acc_dtype)

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        """Arithmetic mean over axes; see ``loopjax.compat.reductions``."""
        return reductions.mean(self, axis, dtype, False, keepdims, acc_dtype)

    def cumsum(self, axis: int | None = None) -> Any:
        """Cumulative sums along an axis; see ``loopjax.compat.reductions``."""
        return reductions.cumsum(self, axis)

    def cumprod(self, axis: int | None = None) -> Any:
        """Cumulative products along an axis; see ``loopjax.compat.reductions``."""
        return reductions.cumprod(self, axis)

    def flatten(self, ndim: int = 1, outdim: int | None = None) -> Any:
        """Trailing axes merged, down to ``ndim`` axes."""
        return ops.flatten(self, ndim if outdim is None else outdim)

    def clip(self, a_min: Any, a_max: Any) -> Any:
        """Elements limited to a range; see ``loopjax.compat.kinks``."""
        return kinks.clip(self, a_min, a_max)

    def clone(self, name: str | None = None, **options: Any) -> Any:
        """A new input of the same type."""
        return self.type(name if name is not None else getattr(self, "name", None))

    def transfer(self, target: str) -> Any:
        """The variable itself: JAX places arrays."""
        return self

    def get_parents(self) -> list[Any]:
        """The node that computes the variable, in a list; empty for an input."""
        owner = getattr(self, "owner", None)
        return [] if owner is None else [owner]

    def conjugate(self) -> Any:
        """Complex conjugate."""
        return ops.conj(self)

    def nonzero_values(self) -> Any:
        """The elements that are not zero, as a vector."""
        return ops["nonzero_values"](self)

    def choose(self, choices: Any, mode: str = "raise") -> Any:
        """Elements of the arrays that the integers of this variable choose."""
        from loopjax.compat.tensors import choose

        return choose(self, choices, mode=mode)

    def compress(self, a: Any, axis: int | None = None) -> Any:
        """Rows of ``a`` where this vector is true."""
        return ops["compress"](self, a, axis)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Any:
        """Positions at which ``v`` keeps this vector sorted."""
        return ops["searchsorted"](self, v, side, sorter)

    def norm(self, L: Any = 2, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: N803 - Theano's name
        """Norm of the elements, of order ``L``."""
        return ops.norm(self, L, axis, keepdims)

    def get_test_value(self) -> Any:
        """The value given as ``tag.test_value``, or what it computes from such values."""
        from loopjax.compat.graphs import get_test_value

        return get_test_value(self)

    @property
    def owner_op(self) -> Any:
        """The op that computes the variable; ``None`` of an input."""
        owner = getattr(self, "owner", None)
        return None if owner is None else owner.op

    @property
    def owner_op_and_inputs(self) -> tuple[Any, ...]:
        """The op that computes the variable, and its inputs."""
        owner = getattr(self, "owner", None)
        return (None,) if owner is None else (owner.op, *owner.inputs)

    def dprint(self, **options: Any) -> Any:
        """Print the graph of the variable."""
        from loopjax.compat.printing import debugprint

        return debugprint(self, **options)

    def get_scalar_constant_value(self) -> Any:
        """The value of a scalar that is known while recording."""
        from loopjax.compat.graphs import get_scalar_constant_value

        return get_scalar_constant_value(self)

    get_underlying_scalar_constant = get_scalar_constant_value

    def eval(self, inputs_to_values: Mapping[Any, Any] | None = None, **options: Any) -> Any:
        """Compute the value. Compiled once; default updates are made, as by a function."""
        from loopjax.compat.functions import function
        from loopjax.compat.graphs import graph_inputs

        by_name = {variable.name: variable for variable in graph_inputs([self])}  # type: ignore[list-item]
        given = {
            by_name.get(key, key) if isinstance(key, str) else key: value
            for key, value in (inputs_to_values or {}).items()
        }
        compiled = vars(self).setdefault("_compiled", {})
        if tuple(given) not in compiled:
            compiled[tuple(given)] = function(list(given), self, on_unused_input="ignore")
        return compiled[tuple(given)](*given.values())


def _method(name: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return ops[name](self)

    method.__name__, method.__doc__ = name, f"Elementwise ``{name}``."
    return method


for _name in UNARY:
    setattr(PeerMethods, _name, _method(_name))


class PeerSharedMethods:
    """Methods of shared variables of the peers."""

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """A copy of the value as a NumPy array, which may be written to; ``set_value`` stores one."""
        return super().get_value()  # type: ignore[misc]

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Replace the value; converted where the dtype holds every element."""
        kind: TensorType = self.type  # type: ignore[attr-defined]
        super().set_value(new_value if kind.dtype == KEY else fitting(new_value, kind))  # type: ignore[misc]

    @property
    def container(self) -> SimpleNamespace:
        """The value as ``container.value``."""
        return SimpleNamespace(value=self.get_value())

    def zero(self, borrow: bool = False) -> None:
        """Set every element to 0."""
        self.set_value(np.zeros_like(self.get_value()))


def make_classes(library: Library) -> None:
    """Make the classes of a library's types and variables."""
    library.type = type("TensorType", (PeerType,), {"library": library, "__module__": library.path})
    own = {**library.methods_recording(Methods), **library.methods_recording(PeerMethods)}
    plain = {name: vars(PeerMethods)[name] for name in ("type", "tag", "broadcastable", "__bool__")}
    base = type("Variable", (PeerMethods,), {**own, **plain, "library": library, "__module__": library.path})
    library.variable = base
    names: dict[type, tuple[str, tuple[type, ...]]] = {
        Variable: ("TensorVariable", ()),
        Constant: ("TensorConstant", ()),
        SharedVariable: ("TensorSharedVariable", (PeerSharedMethods,)),
    }
    library.classes = {
        kind: type(name, (base, *more, kind), {"__module__": library.path}) for kind, (name, more) in names.items()
    }


def _output_of(make: Callable[..., Any], rebuild: Callable[..., Any], *parts: Any) -> Any:
    return make(rebuild(*parts))


def _restored(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """Make a pickled variable anew, as one of its library."""
    with LIBRARIES[name].scope():
        return make(*arguments)


for _library in LIBRARIES.values():
    make_classes(_library)
