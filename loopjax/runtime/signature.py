"""Arguments of a compiled function: declared by ``In``, checked and converted at each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import jax
import numpy as np

from loopjax.errors import about, check_flag, check_name, coded, here, nearest, where
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.types import KEY, TensorType
from loopjax.runtime.x64 import is_key
from loopjax.trace.convert import numeric
from loopjax.trace.promotion import accepts_numbers, is_as_wide
from loopjax.trace.shared import SharedVariable, on_device

MISS: Any = object()
"""The result of a fast path that has no entry for a call: nothing has been changed, and the general path serves it."""


Layout = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]]
"""From arguments by position and by name to the values of all inputs, in their order."""


class In:
    """An input of a function, with a default value, a name or rules of conversion.

    Parameters
    ----------
    variable
        The symbolic variable.
    name
        The keyword that calls use; the variable's own name by default.
    value
        The default, where a call gives no value; may be a shared variable, which is read at each call.
    allow_downcast
        Accepts values that lose precision.
    borrow, mutable
        Accepted for old programs: arguments are never written to.
    strict
        Accepts only arrays of exactly the input's type.

    Returns
    -------
    In
        An element of ``inputs`` of ``function``.

    Raises
    ------
    TypeError
        ``variable`` is no variable, or is shared.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x, rate = at.dscalar("x"), at.dscalar("rate")
    >>> f = loopjax.function([x, loopjax.In(rate, value=0.5)], x * rate)
    >>> float(f(4.0)), float(f(4.0, rate=2.0))
    (2.0, 8.0)
    """

    def __init__(
        self,
        variable: Variable,
        name: str | None = None,
        value: Any = None,
        *,
        allow_downcast: bool | None = None,
        borrow: bool | None = None,
        mutable: bool | None = None,
        strict: bool = False,
    ) -> None:
        if not isinstance(variable, Variable):
            raise coded(TypeError, "LJ301")(
                f"inputs holds {type(variable).__name__} {variable!r:.80}; expected a variable or In(variable), write "
                f"loopjax.tensor.dscalar('x'){here()}"
            )
        if isinstance(variable, SharedVariable):
            raise coded(TypeError, "LJ301")(
                f"inputs holds {variable!r}, which is shared: expected others, since a function finds it by "
                f"itself; to replace it use "
                f"givens{here()}"
            )
        if isinstance(variable, Constant):
            raise coded(TypeError, "LJ301")(
                f"inputs holds {variable!r}, whose value no call can give; expected an input, write "
                f"loopjax.tensor.tensor({variable.dtype!r}, shape=...), or loopjax.shared(value){here()}"
            )
        check_name(name)
        with about("In"):
            check_flag("strict", strict)
            check_flag("borrow", borrow, None)
            check_flag("mutable", mutable, None)
            check_flag("allow_downcast", allow_downcast, None)
        self.variable = variable
        self.name = name if name is not None else variable.name
        self.value = value
        self.allow_downcast = allow_downcast
        self.strict = strict

    def __reduce__(self) -> tuple[Any, ...]:
        variable = Variable(self.variable.type, name=self.variable.name)
        make = partial(In, allow_downcast=self.allow_downcast, strict=self.strict)
        return make, (variable, self.name, self.value)

    def convert(self, value: Any, allow_downcast: bool | None, position: int) -> Any:
        """Converts a value to an array of exactly the input's dtype; errors name the input."""
        array = self.checked(value, allow_downcast, position)
        return array if self.variable.dtype in (array.dtype, KEY) else array.astype(self.variable.dtype)

    def checked(self, value: Any, allow_downcast: bool | None, position: int) -> Any:
        """Converts a value to an array that can be cast to the input's dtype, or raises the same errors."""
        type = self.variable.type
        is_array = isinstance(value, (np.ndarray, jax.Array)) and not isinstance(value, np.ma.MaskedArray)
        if type.dtype == KEY:
            if not (isinstance(value, jax.Array) and is_key(value) and value.ndim == type.ndim):
                raise coded(TypeError, "LJ307")(
                    f"{self._place(position)}: expected {type}, got {value!r:.80}; pass jax.random.key(seed), of "
                    f"{type.ndim} dimensions"
                )
            array: Any = value
        elif is_array and value.dtype == type.dtype and value.ndim == type.ndim:
            array = value
        elif self.strict:
            raise coded(TypeError, "LJ307")(
                f"{self._place(position)} is strict: expected an array of type {type}, got {value!r:.80}"
            )
        else:
            downcast = allow_downcast if self.allow_downcast is None else self.allow_downcast
            array = self._read(value, downcast, position)
        for wanted, got in zip(type.shape, array.shape, strict=True):
            if wanted is not None and wanted != got:
                raise coded(ValueError, "LJ307")(f"{self._place(position)}: expected shape {type}, got {_shown(array)}")
        return array

    def _read(self, value: Any, downcast: bool | None, position: int) -> Any:
        type = self.variable.type
        if isinstance(value, Variable):
            raise coded(TypeError, "LJ307")(
                f"{self._place(position)}: expected a value, got the symbolic {value!r}; pass an array or a number, or "
                f"make a function of it"
            )
        try:
            array: Any = value if isinstance(value, jax.Array) else numeric(value)
        except OverflowError as error:
            raise coded(TypeError, "LJ307")(f"{self._place(position)}: expected {type}, got {error}") from None
        except TypeError:
            raise self._not_numeric(value, position) from None
        if array.ndim != type.ndim:
            raise coded(TypeError, "LJ307")(
                f"{self._place(position)}: expected {type.ndim} dimensions ({type}), got {_shown(array)}; pass "
                f"{_NOUNS.get(type.ndim, f'an array of {type.ndim} dimensions')}"
            )
        if not downcast and not _keeps(value, array, type.dtype, exactly=downcast is False):
            raise coded(TypeError, "LJ307")(
                f"{self._place(position)}: expected {type.dtype}, got {_shown(array)}, which would lose "
                f"precision; cast it with .astype({type.dtype!r}), or pass allow_input_downcast=True to function"
            )
        return array

    def _not_numeric(self, value: Any, position: int) -> TypeError:
        ndim = self.variable.ndim
        form = f"{_NOUNS.get(ndim, 'an array')} of numbers, its rows of one length" if ndim else _NOUNS[0]
        masked = "; fill it with .filled(value)" if isinstance(value, np.ma.MaskedArray) else ""
        return coded(TypeError, "LJ307")(
            f"{self._place(position)}: expected {self.variable.type}, got {type(value).__name__} {value!r:.80}{masked}"
            f"; pass {form}"
        )

    def _place(self, position: int) -> str:
        label = f"input {self.name!r}" if self.name else f"input {position}"
        return f"{label}{where(self.variable.sources)}"


class Out:
    """An output of a function.

    Parameters
    ----------
    variable
        The symbolic variable.
    borrow
        Accepted for old programs: results are never copied.

    Returns
    -------
    Out
        An output for ``function``.

    Raises
    ------
    TypeError
        By ``function``, where ``variable`` is no variable and no value.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> float(loopjax.function([x], loopjax.Out(x + 1, borrow=True))(1.0))
    2.0
    """

    def __init__(self, variable: Variable, borrow: bool = False) -> None:
        if variable is None:
            raise coded(TypeError, "LJ902")(f"Out() takes a variable, got None; write Out(x) or outputs=None{here()}")
        with about("Out"):
            check_flag("borrow", borrow)
        self.variable = variable


def _keeps(value: Any, array: Any, dtype: str, exactly: bool = False) -> bool:
    """Test if a conversion to ``dtype`` keeps the precision that the value was given with, or ``exactly`` the value."""
    given = str(array.dtype)
    if given == dtype or array.size == 0:
        return True
    if exactly and isinstance(array, np.ndarray) and np.can_cast(array.dtype, dtype, "same_kind"):
        with np.errstate(over="ignore"):
            return bool(np.array_equal(array, array.astype(dtype), equal_nan=array.dtype.kind in "fc"))
    # Python and NumPy scalars, lists of them, and Python numbers that JAX traces, whose values are not known.
    if isinstance(value, jax.core.Tracer) and getattr(value, "weak_type", False):
        return is_as_wide(dtype, given)
    if not isinstance(value, (np.ndarray, jax.Array)):
        return accepts_numbers(array, dtype)
    return dtype != "bfloat16" and given != "bfloat16" and np.can_cast(array.dtype, dtype, "safe")


_NOUNS = {0: "one number", 1: "a vector", 2: "a matrix"}


def _shown(array: Any) -> str:
    return str(TensorType(str(array.dtype), tuple(array.shape)))


class Signature:
    """The inputs of a function, by position and by name."""

    def __init__(self, inputs: Sequence[In], allow_downcast: bool | None, label: str) -> None:
        self.inputs = tuple(inputs)
        self._allow_downcast = allow_downcast
        self.is_exact = allow_downcast is False or any(one.allow_downcast is False for one in inputs)
        self._label = label
        self._places = {one.name: place for place, one in enumerate(inputs) if one.name}
        self.defaults = tuple(_default(one, allow_downcast, place) for place, one in enumerate(inputs))

    def placed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        """Binds positional, keyword and default arguments to the inputs, as ``inspect.Signature.bind``."""
        count = len(args)
        if count > len(self.inputs):
            raise coded(TypeError, "LJ307")(
                f"{self._label} takes {len(self.inputs)} inputs {self._names()}, got {count}; pass one value for each"
            )
        if count == len(self.inputs) and not kwargs:
            return args
        values = [*args, *self.defaults[count:]]
        for name, value in kwargs.items():
            place = self._places.get(name)
            if place is None:
                raise coded(TypeError, "LJ307")(
                    f"{self._label} has no input {name!r}; its inputs are {list(self._places)}"
                    f"{nearest(name, self._places)}"
                )
            if self._names().count(name) > 1:
                raise coded(TypeError, "LJ307")(f"{self._label} has several inputs {name!r}; give them by position")
            if place < count:
                raise coded(TypeError, "LJ307")(f"{self._label} got input {name!r} by position and by name; pass one")
            values[place] = value
        if _Missing in map(type, values):
            missing = [one.name or f"input {i}" for i, one in enumerate(self.inputs) if type(values[i]) is _Missing]
            raise coded(TypeError, "LJ307")(
                f"{self._label} is missing {missing}; its inputs are {self._names()}: pass a value, or give it one by "
                f"In(variable, value=...)"
            )
        return values

    def layout(self, count: int, names: Sequence[str]) -> Layout | None:
        """A function that puts the arguments of a call in the order of the inputs: ``count`` by position, and those of
        ``names``, in any order; ``None`` where all are given by position.

        It does what ``placed`` does for a call that gives its arguments in this way, and raises ``KeyError`` where a
        name is missing.
        """
        if count == len(self.inputs):
            return None
        names = sorted(names, key=self._places.__getitem__)
        by_name, defaults = taking(names), self.defaults
        if len(names) == len(self.inputs):
            return lambda args, kwargs: by_name(kwargs)
        given = {place: place for place in range(count)}
        given.update((self._places[name], count + number) for number, name in enumerate(names))
        take = taking([given.get(place, len(given) + place) for place in range(len(self.inputs))])
        return lambda args, kwargs: take((*args, *by_name(kwargs), *defaults))

    def converted(self, values: Sequence[Any]) -> list[Any]:
        """Converts values to arrays of exactly the inputs' dtypes."""
        pairs = zip(self.inputs, values, strict=True)
        return [one.convert(value, self._allow_downcast, place) for place, (one, value) in enumerate(pairs)]

    def checked(self, values: Sequence[Any]) -> list[Any]:
        """Converts values to arrays that can be cast to the inputs' dtypes."""
        pairs = zip(self.inputs, values, strict=True)
        return [one.checked(value, self._allow_downcast, place) for place, (one, value) in enumerate(pairs)]

    def _names(self) -> list[str | None]:
        return [one.name for one in self.inputs]


def taking(places: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """``operator.itemgetter`` of any number of places or keys, which always gives a sequence."""
    return itemgetter(*places) if len(places) > 1 else lambda values: tuple([values[place] for place in places])


def resolved(values: Sequence[Any]) -> list[Any]:
    """The values, with shared variables among them replaced by their arrays."""
    return [value.get_value(borrow=True) if isinstance(value, SharedVariable) else value for value in values]


class _Missing:
    """Marker for an input without a default."""


def _default(one: In, allow_downcast: bool | None, place: int) -> Any:
    """A default as a call takes it: a number becomes an array on the device, once."""
    if one.value is None:
        return _Missing()
    if type(one.value) not in (bool, int, float):
        if not isinstance(one.value, SharedVariable):
            one.checked(one.value, allow_downcast, place)
        return one.value
    array = one.convert(one.value, allow_downcast, place)
    with jax.ensure_compile_time_eval():
        return on_device(array)
