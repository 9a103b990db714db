"""Errors of LoopJAX, and the user's line that each names."""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache, partial, wraps
from types import FrameType
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

import jax
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=BaseException)
P = ParamSpec("P")

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_EXAMPLES = os.path.join(_PACKAGE, "examples") + os.sep
_OWN = (_PACKAGE, contextlib.__file__, *(os.path.dirname(str(one.__file__)) + os.sep for one in (jax, np)))


@cache
def _is_own(file: str) -> bool:
    """Test if a file is LoopJAX's own or of what it calls; the examples in its wheel count as a user's."""
    return file.startswith(_OWN) and not file.startswith(_EXAMPLES)


def _is_generated(frame: FrameType) -> bool:
    """Test if a frame is of code that ``dataclasses`` wrote for a class of LoopJAX."""
    return frame.f_code.co_filename == "<string>" and str(frame.f_globals.get("__name__")).startswith("loopjax.")


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


_recorded_at: ContextVar[Source | None] = ContextVar("recorded_at", default=None)


@contextlib.contextmanager
def recorded_at(source: Source | None) -> Iterator[None]:
    """Record nodes at this line of a program that another library has traced; at the caller's where it is ``None``."""
    token = _recorded_at.set(source or _recorded_at.get())
    try:
        yield
    finally:
        _recorded_at.reset(token)


def user_source() -> Source | None:
    """Return the line of the innermost stack frame outside of LoopJAX."""
    if (source := _recorded_at.get()) is not None:
        return source
    frame = sys._getframe(1)
    while _is_own(frame.f_code.co_filename) or _is_generated(frame):
        back = frame.f_back
        if back is None:
            return None
        frame = back
    return Source(frame.f_code.co_filename, frame.f_lineno)


def source_of(fn: Any) -> str:
    """Return ``' [model.py:12]'``, the line on which a Python function is defined, if it has one."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return f" [{Source(code.co_filename, code.co_firstlineno)}]" if code is not None else ""


def coded(kind: Callable[P, E], code: str) -> Callable[P, E]:
    """Return the constructor of a kind of error with a code: ``raise coded(TypeError, "LJ105")(message)``."""
    return lambda *args, **kwargs: with_code(kind(*args, **kwargs), code)


def with_code(error: E, code: str) -> E:
    """Return an error with a code, where it has none yet."""
    from loopjax.error_codes import add_code  # a part of the package's import time, and rarely needed

    add_code(error, code)
    return error


class LoopJaxError(Exception):
    """Base class of LoopJAX's own errors."""


class MissingInputError(LoopJaxError):
    """A graph needs a variable that was not passed."""


class UnusedInputError(LoopJaxError):
    """A function has an input that none of its outputs needs."""


class DisconnectedInputError(LoopJaxError, ValueError):
    """A gradient with respect to a variable that the cost does not depend on."""


class ArgumentError(TypeError):
    """A value that cannot become a variable; the public function that was given it names the argument."""

    def __init__(self, message: str, value: object = None) -> None:
        super().__init__(message)
        self.value = value


class ArgumentRangeError(ArgumentError, OverflowError):
    """A number that no dtype holds."""


class GradientError(LoopJaxError):
    """A gradient that differs from finite differences, raised by ``verify_grad``.

    ``argument`` is the number of the argument, ``place`` the index in it where they differ most, ``analytic`` and
    ``numeric`` the elements there by ``grad`` and by finite differences.
    """

    def __init__(self, message: str, argument: int, place: tuple[int, ...], analytic: float, numeric: float) -> None:
        super().__init__(message)
        self.argument = argument
        self.place = place
        self.analytic = analytic
        self.numeric = numeric

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.argument, self.place, self.analytic, self.numeric), self.__dict__


class LengthError(LoopJaxError, ValueError):
    """A length that is needed before it can be known, or does not fit."""


class StateLost(LoopJaxError, RuntimeError):
    """A shared variable whose value a failed call has overwritten; set it again."""


class UnsupportedError(LoopJaxError, NotImplementedError):
    """A meaningful program that this version of LoopJAX cannot run."""


_LINES = re.compile(r"\[[^\[\]]+:\d+(, [^\[\]]+:\d+)*\]$")
_SUBJECT = re.compile(r"scan '|[\w.]+( '[^']*')?(\[\d+\])?: ")

_REPORTED = (TypeError, ValueError, IndexError, OverflowError, LoopJaxError)
"""The errors that say what is wrong with an argument."""


def located(error: Exception, message: str, sources: Iterable[Source]) -> Exception:
    """Return the error with ``message`` and the user's lines, unless it ends with lines already or there are none."""
    lines = where(sources)
    if not lines or _LINES.search(str(error)):
        return error
    return alike(error, message + lines)


def alike(error: Exception, message: str) -> Exception:
    """Return an error of the same kind and traceback: of its class, or a builtin one where that is another package's.

    It is to be raised ``from None``: a user reads one traceback.
    """
    if isinstance(error, LoopJaxError):
        made: Exception = copy.copy(error)  # with its attributes
        made.args = (message,)
        return made.with_traceback(error.__traceback__)
    kinds = (IndexError, OverflowError, TypeError, ValueError, NotImplementedError)
    kind: Any = type(error)
    if kind.__module__ != "builtins":
        kind = next(kind for kind in kinds if isinstance(error, kind))
    made = kind(message)
    for note in getattr(error, "__notes__", ()):
        made.add_note(note)
    return made.with_traceback(error.__traceback__)


class about:  # noqa: N801 - a context manager, named as one that is written as a function
    """Context in which errors get the prefix ``subject`` and the user's line, where they do not have them already.

    No line is added without ``lines``, where errors raised inside have lines of their own.
    """

    __slots__ = ("lines", "subject")

    def __init__(self, subject: str, lines: bool = True) -> None:
        self.subject = subject
        self.lines = lines

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if not isinstance(error, _REPORTED):
            return
        text = str(error)
        message = text if text.startswith(self.subject) else f"{self.subject}: {text}"
        line = here() if self.lines else ""
        message += "" if message.endswith(line) else line
        if message != text:
            raise alike(error, message) from None


def reported(function: F) -> F:
    """Decorator of a public function: its errors begin with its name and end with the user's line.

    Arguments must be what simple annotations say: numbers, flags, strings and choices. An error of the user's own code,
    which the function calls, passes as it is.
    """
    name = function.__name__
    checks: list[tuple[int, str, Callable[[str, object], None]]] | None = None

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        nonlocal checks
        if checks is None:
            checks = _annotated(function)  # at the first call: the package has 500 such functions
        try:
            for position, argument, check in checks:
                if position < len(args):
                    check(argument, args[position])
                elif argument in kwargs:
                    check(argument, kwargs[argument])
            return function(*args, **kwargs)
        except _REPORTED as error:
            text = str(error)
            line = here()
            if not _is_raised_here(error):
                raise
            if text.endswith(line) and _SUBJECT.match(text):
                with_code(error, _OTHER)
                raise
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                # Python could not call it.
                known = inspect.signature(function).parameters
                text = f"{name}({', '.join(known)}) {text.partition(') ')[2]}{_meant(kwargs, known)}"
            elif isinstance(error, ArgumentError):
                text = _named(error, function, args, kwargs)
            label = f"{name} {kwargs['name']!r}" if isinstance(kwargs.get("name"), str) else name
            message = text if _SUBJECT.match(text) or text.startswith(name) else f"{label}: {text}"
            made = alike(error, message if message.endswith(line) else message + line)
            raise with_code(made, _OTHER) from None

    return checked  # type: ignore[return-value]


def _annotated(function: Callable[..., Any]) -> list[tuple[int, str, Callable[[str, object], None]]]:
    """List position, name and check of the parameters whose annotations are simple; ``normal_axis`` checks the axes."""
    plain = inspect.unwrap(function)
    code = plain.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    checks = []
    for position, name in enumerate(names):
        kind, _, other = str(plain.__annotations__.get(name, "")).partition(" | ")
        if name.startswith("axis") or other not in ("", "None"):
            continue
        check = _KINDS.get(kind)
        if kind.startswith("Literal["):
            check = partial(check_choice, choices=ast.literal_eval(f"({kind[8:-1]}{', None' * bool(other)},)"))
        elif check is not None and other:
            check = partial(_unless_none, check)
        if check is not None:
            checks.append((position if position < code.co_argcount else sys.maxsize, name, check))
    return checks


def _unless_none(check: Callable[[str, object], None], argument: str, value: object) -> None:
    if value is not None:
        check(argument, value)


def _named(error: ArgumentError, function: F, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    """Return the text of an error with the name of the argument that holds its value."""
    for argument, value in inspect.signature(function).bind(*args, **kwargs).arguments.items():
        if any(one is error.value for one in _parts(value)):
            return f"{function.__name__}: argument {argument}: {error}"
    return str(error)


def _meant(kwargs: Iterable[str], known: Iterable[str]) -> str:
    """Return the names of parameters that are meant by other ones: JAX's, or misspelt."""
    known = list(known)
    unknown = [name for name in kwargs if name not in known]
    of_jax = [f"{_NAMES_OF_JAX[name]} for {name}" for name in unknown if _NAMES_OF_JAX.get(name) in known]
    return f"; write {', '.join(of_jax)}" if of_jax else "".join(nearest(name, known) for name in unknown[:1])


def _parts(value: object) -> Iterator[object]:
    """Return an argument and what its lists, tuples and dictionaries hold."""
    yield value
    if isinstance(value, (list, tuple, Mapping)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _parts(one)


def _is_raised_here(error: BaseException) -> bool:
    """Test if the frames between the handler of an error and its origin hold none of the user's."""
    frames = error.__traceback__
    while frames is not None:
        if not _is_own(frames.tb_frame.f_code.co_filename):
            return False
        frames = frames.tb_next
    return True


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_own(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def read_pairs(argument: str, value: Any) -> list[tuple[Any, Any]]:
    """Return a dict or pairs as a list of pairs; raise ``TypeError`` for anything else."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, str) or not isinstance(value, Iterable) or isinstance(value, (set, frozenset)):
        raise coded(TypeError, "LJ306")(
            f"{argument} is a dict or a list of pairs, got {type(value).__name__} {value!r:.80}; write "
            f"{{variable: value}} or [(variable, value)]{here()}"
        )
    pairs = list(value)
    for position, pair in enumerate(pairs):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise coded(TypeError, "LJ306")(
                f"{argument}[{position}] is {pair!r:.80}; expected a pair, write {argument}=[(variable, value)] or "
                f"{argument}={{variable: value}}{here()}"
            )
    return pairs


def check_callable(argument: str, value: object, expected: str, code: str = "LJ101") -> None:
    """Raise ``TypeError`` where an argument is not callable."""
    if not callable(value):
        raise coded(TypeError, code)(f"{argument} is {_shown(value)}; expected {expected}{here()}")


def check_integer(argument: str, value: object, least: int | None = None) -> None:
    """Raise ``TypeError`` where an argument is no Python or NumPy integer, ``ValueError`` where it is too small."""
    expected = "an int" if least is None else f"an int of at least {least}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        remedy = f"write {argument}={max(1, least or 1)}"
        raise _refused(TypeError, argument, f"{expected}, got {_shown(value)}; {remedy}")
    least, most = _RANGES.get(argument, (-(2**31) if least is None else least, 2**31 - 1))
    if value < least:
        raise _refused(ValueError, argument, f"{expected}, got {value}; expected at least {least}")
    if value > most:
        raise _refused(OverflowError, argument, f"{expected}, got {value}; expected at most {most}")


def check_number(argument: str, value: object) -> None:
    """Raise ``TypeError`` where an argument is no Python or NumPy real number, ``ValueError`` where it is NaN."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        remedy = f"expected a float, write {argument}=1.0"
        raise _refused(TypeError, argument, f"a number, got {_shown(value)}; {remedy}")
    if value != value:
        raise _refused(ValueError, argument, f"a number, got {value!r}; expected a number that is not NaN")
    least = _RANGES.get(argument, (-math.inf,))[0]
    if value < least:
        raise _refused(ValueError, argument, f"a number, got {value!r}; expected at least {least}")


def check_string(argument: str, value: object) -> None:
    """Raise ``TypeError`` where an argument is no string."""
    if not isinstance(value, str):
        raise _refused(TypeError, argument, f"a string, got {_shown(value)}; write {argument}='x'")


def _refused(kind: Callable[[str], E], argument: str, text: str) -> E:
    """Return the error of a value that an argument cannot have."""
    return coded(kind, _CODES.get(argument, "LJ901"))(f"{argument} is {text}{here()}")


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.80}"


def check_dtype(argument: str, value: object) -> None:
    """Raise ``TypeError`` where a dtype is no string, class or NumPy dtype; ``dtype_name`` tells more."""
    if not isinstance(value, (str, type, np.dtype)) or (isinstance(value, str) and not value):
        raise coded(TypeError, "LJ510")(
            f"{argument}: expected a dtype of numbers, got {type(value).__name__} {value!r:.80}; write "
            f"{argument}='float32'{here()}"
        )


def check_name(name: object) -> None:
    """Raise ``TypeError`` where a name is neither a string nor ``None``."""
    if name is not None:
        check_string("name", name)


def missing_name(module: str) -> Callable[[str], NoReturn]:
    """Return the ``__getattr__`` of a module: the error of an unknown name suggests the nearest, at the user's line."""

    def missing(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise coded(AttributeError, "LJ207")(
            f"module {module!r} has no attribute {name!r}: expected a name that dir({module}) lists"
            f"{nearest(name, dir(sys.modules[module]))}; write loopjax.wrap_jax(fn) for a function of JAX{here()}"
        )

    return missing


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'tanh'?"`` for a name that is not known, or nothing where none is near."""
    import difflib  # a part of the package's import time, and rarely needed

    known = list(known)
    near = [one for one in known if sorted(one) == sorted(name)] or difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_flag(argument: str, value: object, *others: object) -> None:
    """Raise ``TypeError`` where a flag is not true or false, nor one of ``others``."""
    if isinstance(value, (bool, np.bool_)) or any(value is other for other in others):
        return
    if type(value) is int and value in (0, 1):  # of old programs
        return
    accepted = ", ".join(["True", "False", *map(repr, others)])
    raise _refused(TypeError, argument, f"one of {accepted}, got {_shown(value)}")


def check_choice(argument: str, value: object, choices: Sequence[object]) -> None:
    """Raise ``ValueError`` where an option is none of its choices."""
    if isinstance(value, bool) or not any(isinstance(value, type(one)) and value == one for one in choices):
        *others, last = map(repr, choices)
        expected = f"{', '.join(others)} or {last}" if others else f"only {last}"
        raise _refused(ValueError, argument, f"{expected}, not {value!r:.80}")


_RANGES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("n_ones", "ndim"), (0, 64)),
    **dict.fromkeys(("abs_tol", "atol", "eps", "rel_tol", "rtol"), (0, sys.maxsize)),
    **dict.fromkeys(("n_tests", "num_groups"), (1, 2**31 - 1)),
}
"""The least and the greatest number that an argument of a name may be, where not every one of 32 bits is."""

_CODES = {
    **dict.fromkeys(("axis", "axis1", "axis2", "axes"), "LJ505"),
    **dict.fromkeys(("reps", "repeats", "shape", "size", "sizes"), "LJ506"),
    "mode": "LJ308",
    "seed": "LJ601",
}
"""The codes of arguments of these names, where they are not those of other options."""

_OTHER = "LJ902"
"""The code of errors without a kind of their own, among them those of Python where it cannot call a function."""

_NAMES_OF_JAX = {"init": "outputs_info", "length": "n_steps", "reverse": "go_backwards", "xs": "sequences"}
"""Parameters of ``lax.scan``, and what they are called here."""

_KINDS: dict[str, Callable[[str, object], None]] = {
    "DTypeLike": check_dtype,
    "bool": check_flag,
    "float": check_number,
    "int": check_integer,
    "str": check_string,
}
"""The checks of simple annotations."""


def here() -> str:
    """Return ``' [model.py:12]'``, the user's line that is being recorded, for errors before there is a node.

    Not for an op's ``infer``, which runs again when a program is called: there the node knows its line.
    """
    source = user_source()
    return where([source] if source is not None else [])


def where(sources: Iterable[Source]) -> str:
    """Return ``' [model.py:12]'`` for the user's lines, or nothing where none is known."""
    lines = ", ".join(dict.fromkeys(str(source) for source in sources))
    return f" [{lines}]" if lines else ""
