"""Shared variables: named state that lives between calls."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import StateLost, user_source, where
from loopjax.ir.graph import Graph, Variable
from loopjax.ir.types import KEY, TensorType, dtype_name
from loopjax.trace.convert import constant

_order = itertools.count()


class SharedVariable(Variable):
    """State that functions read and update: a ``jax.Array`` on the device, of fixed dtype and ndim.

    ``default_update``, where set, is the value that every call of a function that reads the variable gives
    it, unless the function has an update of its own for it. ``own`` says that nobody else holds the array, so that a
    function with ``accept_inplace`` may overwrite it.
    """

    __slots__ = ("_value", "default_update", "lock", "order", "own")

    def __init__(self, type: TensorType, value: jax.Array | None, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.source = user_source()
        self.default_update: Variable | None = None
        self.lock = threading.RLock()
        self.order = next(_order)
        self._value = value
        self.own = False

    def __reduce__(self) -> tuple[Any, ...]:
        update = self.default_update
        graph = None if update is None else Graph([self], [update])
        return _restored, (self.type, _packed(self.value), self.name), graph

    def __setstate__(self, graph: Graph | None) -> None:
        self.default_update = None if graph is None else graph.outputs[0]

    def __repr__(self) -> str:
        return f"<shared {self.name or 'variable'}: {self.type}>"

    @property
    def value(self) -> jax.Array:
        """The array as it is now; raises ``StateLost`` after a failed call that updated in place."""
        if self._value is None:
            raise StateLost(f"the value of {self!r} was lost by a failed call with accept_inplace; call set_value")
        return self._value

    def get_value(self, borrow: bool = False) -> Any:
        """A copy of the value as a NumPy array; with ``borrow=True`` the ``jax.Array`` itself."""
        with self.lock:
            value = self.value
            self.own = self.own and not borrow
        return value if borrow or self.dtype == KEY else np.array(value)

    def set_value(self, value: Any, borrow: bool = False) -> None:
        """Replaces the value.

        Raises ``TypeError`` where the dtype or the number of dimensions is not the variable's.
        """
        made = self._checked(value)
        with self.lock:
            self._value = made
            self.own = False

    def _checked(self, value: Any) -> jax.Array:
        if isinstance(value, jax.core.Tracer):
            raise TypeError(f"{self!r} cannot hold a JAX tracer; set it outside jit")
        if self.dtype == KEY:
            if not (isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
                raise TypeError(f"{self!r} holds a typed JAX key, got {type(value).__name__}")
            return value
        if isinstance(value, (bool, int, float, complex, list, tuple)):
            value = self._from_numbers(constant(value).data)
        array = value if isinstance(value, jax.Array) else np.asarray(value)
        got = TensorType(dtype_name(array.dtype), tuple(array.shape))
        if not self.type.accepts(got):
            raise TypeError(
                f"{self!r} was given {got}; expected dtype {self.dtype} and {self.ndim} dimensions, sizes as "
                f"the type says. {self.type.remedy(got)}{where(self.sources)}"
            )
        return on_device(array)

    def _from_numbers(self, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Python numbers in the variable's dtype, where that holds them; else as they are, to be refused."""
        if self.type.is_float and data.dtype.kind in "iuf":
            return data.astype(self.dtype)
        if self.type.is_integer and data.dtype.kind in "iu" and data.size:
            info = np.iinfo(self.dtype)
            return data.astype(self.dtype) if info.min <= data.min() and data.max() <= info.max else data
        return data


def _packed(value: jax.Array) -> Any:
    """A value as something that can be pickled: a key as its data and implementation."""
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(value)), str(jax.random.key_impl(value))
    return np.asarray(value)


def _restored(type: TensorType, packed: Any, name: str | None) -> SharedVariable:
    """A shared variable as it was pickled; a new one, of the same value."""
    if isinstance(packed, tuple):
        return SharedVariable(type, jax.random.wrap_key_data(packed[0], impl=packed[1]), name)
    return SharedVariable(type, on_device(packed), name)


def on_device(array: Any) -> jax.Array:
    """A NumPy array as a ``jax.Array`` of exactly its dtype, whatever JAX's x64 flag; a ``jax.Array`` as it is."""
    if isinstance(array, jax.Array):
        return array
    with jax.enable_x64(True):
        # A copy of our own first: JAX may read the caller's memory after the call has returned.
        return jnp.asarray(np.array(array))


def shared(
    value: Any,
    name: str | None = None,
    borrow: bool = False,
    *,
    dtype: Any = None,
    shape: Sequence[int | None] | None = None,
    **accepted: Any,
) -> SharedVariable:
    """A shared variable that starts at ``value``.

    ``value`` is a number (int64 or floatX), a NumPy array or a ``jax.Array`` with or without a sharding;
    ``dtype`` casts it. ``shape`` fixes sizes for every later value; by default only the number of dimensions is
    fixed. ``borrow`` and ``allow_downcast``, ``strict`` are accepted for old programs: a ``jax.Array``
    never changes, so there is nothing to copy.
    """
    unknown = set(accepted) - {"allow_downcast", "strict", "target", "broadcastable"}
    if unknown:
        raise TypeError(f"shared() got unknown arguments {sorted(unknown)}")
    if isinstance(value, Variable):
        raise TypeError(f"shared() takes a value, not the symbolic {value!r}; use its .eval()")
    if isinstance(value, jax.core.Tracer):
        raise TypeError("shared() cannot hold a JAX tracer; create it outside jit")
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return SharedVariable(TensorType(KEY, ()), value, name)
    array: Any = value if isinstance(value, jax.Array) else constant(value, dtype=dtype).data
    if dtype is not None and isinstance(array, jax.Array):
        with jax.enable_x64(True):
            array = array.astype(dtype_name(dtype))
    sizes = tuple(shape) if shape is not None else (None,) * array.ndim
    type = TensorType(dtype_name(array.dtype), sizes)
    if not type.accepts(type.with_shape(array.shape)):
        raise ValueError(f"shared() was given a value of shape {tuple(array.shape)} and shape={sizes}")
    return SharedVariable(type, on_device(array), name)
