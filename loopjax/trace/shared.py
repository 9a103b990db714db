"""Shared variables: state that lives on the device between calls, such as weights and random keys.

A shared variable is an input of every graph that reads it. ``function`` passes its value and, where it has an update,
replaces the value after the call: all updates of a call or none (``runtime/state.py``). A value is a ``jax.Array`` of
exactly the variable's dtype, also where JAX's x64 flag is off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import StateLost, about, coded, here, nearest, reported, user_source, where
from loopjax.ir.graph import Graph, Variable, recorded
from loopjax.ir.types import KEY, TensorType, dtype_name
from loopjax.trace.convert import numeric, strong
from loopjax.trace.promotion import accepts_numbers

T = TypeVar("T")

_joining = threading.RLock()


class SharedVariable(Variable):
    """State that functions read and update: a ``jax.Array`` of fixed dtype and number of dimensions.

    ``default_update``, where set, is the value that each call of a function gives a variable that it reads, unless the
    function has an update of its own for it. ``lock`` guards the value; variables may share one (``join_locks``).
    ``own`` is true where nothing else holds the array, so that a function with ``accept_inplace`` may overwrite it.
    ``safe`` is an array whose computation has not failed: often the value, which calls need not wait for then.
    """

    __slots__ = ("_value", "default_update", "is_joined", "lock", "own", "safe")

    def __init__(self, type: TensorType, value: jax.Array | None, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.source = user_source()
        self.default_update: Variable | None = None
        self.lock = threading.RLock()
        self.is_joined = False
        self._value = value
        self.safe: jax.Array | None = None
        self.own = False

    def __reduce__(self) -> tuple[Any, ...]:
        update = self.default_update
        graph = None if update is None else Graph([self], [update])
        return _restored, (self.type, self._locked(lambda: _packed(self.value)), self.name), graph

    def __setstate__(self, graph: Graph | None) -> None:
        self.default_update = None if graph is None else graph.outputs[0]

    def __repr__(self) -> str:
        return f"<shared {self.name or 'variable'}: {self.type}>"

    @property
    def value(self) -> jax.Array:
        """The current array; raises ``StateLost`` after a failed call that updated in place."""
        if self._value is None:
            raise coded(StateLost, "LJ801")(
                f"the value of {self!r} was lost by a failed call with accept_inplace; call set_value"
            )
        return self._value

    def get_value(self, borrow: bool = False) -> Any:
        """Return a copy of the value as a NumPy array; with ``borrow=True`` the ``jax.Array`` itself."""
        # Copied under the lock: a call with accept_inplace deletes the array.
        return self._locked(self._borrowed if borrow or self.dtype == KEY else lambda: np.array(self.value))

    @reported
    def set_value(self, value: Any, borrow: bool = False) -> None:
        """Replace the value; raise ``TypeError`` where its dtype or number of dimensions is another."""
        made = self._checked(value)
        self._locked(self._set, made)

    def _borrowed(self) -> jax.Array:
        self.own = False
        return self.value

    def _set(self, value: jax.Array) -> None:
        self.own = False
        self._value = value

    def _join(self, lock: Any) -> None:
        self.lock, self.is_joined = lock, True

    def _locked(self, run: Callable[..., T], *args: Any) -> T:
        """Calls a function while the variable's lock is held."""
        while True:
            lock = self.lock
            with lock:
                if lock is self.lock:  # no other thread has joined it meanwhile
                    return run(*args)

    def placed(self, value: Any) -> jax.Array:
        """Return an array of a value that the variable may have, on the devices of the present one."""
        made, present = self._checked(value), self._value
        if present is None or not present.committed:
            return made
        with jax.enable_x64(True):
            return jax.device_put(made, present.sharding)

    def _checked(self, value: Any) -> jax.Array:
        if isinstance(value, Variable):
            raise coded(TypeError, "LJ801")(
                f"set_value: {self!r} was given the symbolic {value!r}; write {value!r}.eval(){here()}"
            )
        if isinstance(value, jax.core.Tracer):
            raise coded(TypeError, "LJ801")(f"set_value: {self!r} cannot hold a JAX tracer; set it outside jit{here()}")
        if self.dtype == KEY:
            if not (isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
                raise coded(TypeError, "LJ801")(
                    f"set_value: {self!r} holds a typed JAX key, got {type(value).__name__}; write "
                    f"jax.random.key(seed){here()}"
                )
            return value
        with about(f"set_value: {self!r}"):
            array: Any = value if isinstance(value, jax.Array) else numeric(value)
        if not isinstance(value, (np.ndarray, jax.Array)) and accepts_numbers(array, self.dtype):
            array = array.astype(jnp.dtype(self.dtype))
        got = TensorType(dtype_name(array.dtype), tuple(array.shape))
        if not self.type.accepts(got):
            raise coded(TypeError, "LJ801")(
                f"set_value: {self!r} was given {got}; expected dtype {self.dtype} and {self.ndim} dimensions, sizes "
                f"as the type says. {self.type.remedy(got)}{where(self.sources)}"
            )
        return on_device(array)


def join_locks(variables: Iterable[SharedVariable]) -> list[Any]:
    """The distinct locks of a function's variables in a global order, by ``id``.

    Calls acquire them in that order, so that two calls cannot deadlock.

    Variables that belong to no other function get one lock in common, since to acquire many takes a good part of a
    short call. Functions of some of these variables take turns from then on, also where they share none.
    """
    variables = set(variables)
    with _joining:
        fresh = [one for one in variables if not one.is_joined]
        for one in fresh:
            one._locked(one._join, fresh[0].lock)
    return sorted({one.lock for one in variables}, key=id)


def _packed(value: jax.Array) -> Any:
    """Return a value as something that can be pickled: a key as its data and implementation."""
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(value)), str(jax.random.key_impl(value))
    return np.asarray(value)


def _restored(type: TensorType, packed: Any, name: str | None) -> SharedVariable:
    """Return a new shared variable of a pickled value."""
    if isinstance(packed, tuple):
        return recorded(SharedVariable)(type, jax.random.wrap_key_data(packed[0], impl=packed[1]), name)
    return recorded(SharedVariable)(type, on_device(packed), name)


def on_device(array: Any) -> jax.Array:
    """Return an array on the device, of exactly its dtype whatever JAX's x64 flag is; a ``jax.Array`` unchanged."""
    if isinstance(array, jax.Array):
        return array
    with jax.enable_x64(True):
        # Copied first: JAX may read the caller's memory after the call has returned.
        return jnp.asarray(np.array(array))


@reported
def shared(
    value: Any,
    name: str | None = None,
    borrow: bool = False,
    *,
    dtype: Any = None,
    shape: Sequence[int | None] | None = None,
    **accepted: Any,
) -> SharedVariable:
    """Return a variable with a value that functions read and update.

    Derivatives with respect to it work as for any variable.

    Parameters
    ----------
    value : array_like or jax.Array
        The first value: a number (int64 or floatX), an array, with or without a sharding, or a typed JAX key.
    name : str, optional
        The name in errors and printed graphs.
    borrow : bool, default False
        Accepted for old programs; a ``jax.Array`` never changes, so there is nothing to copy.
    dtype : str or numpy.dtype, optional
        The dtype; that of ``value`` by default.
    shape : sequence of int or None, optional
        Sizes that every later value has; by default only the number of dimensions is fixed.
    **accepted : object
        ``allow_downcast``, ``strict``, ``target`` and ``broadcastable`` are accepted for old programs.

    Returns
    -------
    SharedVariable
        The variable, with ``get_value`` and ``set_value``.

    Raises
    ------
    TypeError
        ``value`` is symbolic or a JAX tracer, or there is an unknown argument.
    ValueError
        ``value`` has not the ``shape``.

    Examples
    --------
    >>> import loopjax
    >>> count = loopjax.shared(0, name="count")
    >>> step = loopjax.function([], count, updates={count: count + 1})
    >>> int(step()), int(step()), int(count.get_value())
    (0, 1, 2)
    """
    known = ("value", "name", "borrow", "dtype", "shape")
    unknown = sorted(set(accepted) - {"allow_downcast", "strict", "target", "broadcastable"})
    if unknown:
        raise coded(TypeError, "LJ801")(
            f"shared() got unknown arguments {unknown}; it takes {known}{nearest(unknown[0], known)}"
        )
    if shape is not None and not isinstance(shape, (list, tuple)):
        raise coded(TypeError, "LJ506")(f"shape is a list of sizes, got {shape!r:.80}; write shape=(3, None)")
    if isinstance(value, Variable):
        raise coded(TypeError, "LJ801")(f"shared() takes a value, not the symbolic {value!r}; pass its x.eval()")
    if isinstance(value, jax.core.Tracer):
        raise coded(TypeError, "LJ801")("shared() cannot hold a JAX tracer; create it outside jit")
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return recorded(SharedVariable)(TensorType(KEY, value.shape), value, name)
    array: Any = value if isinstance(value, jax.Array) else strong(value, dtype)
    if dtype is not None and isinstance(array, jax.Array):
        with jax.enable_x64(True):
            array = array.astype(dtype_name(dtype))
    sizes = tuple(shape) if shape is not None else (None,) * array.ndim
    type = TensorType(dtype_name(array.dtype), sizes)
    if not type.accepts(type.with_shape(array.shape)):
        raise coded(ValueError, "LJ801")(
            f"shared() was given a value of shape {tuple(array.shape)} and shape={sizes}; expected sizes of the value, "
            f"and None for those that may vary"
        )
    return recorded(SharedVariable)(type, on_device(array), name)
