"""A peer library: its settings, its flags and the scope in which its functions record.

A ``Library`` is the only description of a peer. While one of its functions runs, ``recording`` puts its conventions
into force: variables are made in its classes (``compat/variables.py``) and floatX is that of its flags. The IR is the
core's; conventions end where the function returns.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from loopjax.compat.flags import Flags
from loopjax.config import Conventions, conventions


@dataclass(eq=False)
class Library(Conventions):
    """A peer library and its settings.

    ``truthy``: variables other than comparisons are true. ``softmax_of_vector_is_row``: ``nnet.softmax`` of a vector is
    a matrix of one row. ``softmax_axis``: the default axis of ``special.softmax``. ``type`` is
    the class of its types, ``variable`` the base of its classes of variables.
    """

    name: str
    title: str
    version: str
    truthy: bool = True
    softmax_of_vector_is_row: bool = False
    softmax_axis: int | None = -1
    flags: Flags = field(init=False)
    classes: Mapping[type, type] = field(init=False, default_factory=dict)
    type: Any = field(init=False, default=None)
    variable: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.flags = Flags(self.name)

    @property
    def path(self) -> str:
        """The import path of the top module."""
        return f"loopjax.compat.{self.name}"

    @property
    def floatX(self) -> str:  # type: ignore[override]  # noqa: N802 - the name that programs use
        return str(self.flags.floatX)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """The context in which the library's conventions are in force."""
        token = conventions.set(self)
        try:
            yield
        finally:
            conventions.reset(token)

    def recording(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the library's conventions in force while it runs."""

        @functools.wraps(function)
        def records(*args: Any, **kwargs: Any) -> Any:
            token = conventions.set(self)
            try:
                return function(*args, **kwargs)
            finally:
                conventions.reset(token)

        return records

    def class_recording(self, kind: type) -> Any:
        """Return a subclass whose methods record under the library's conventions."""
        members = {**self.methods_recording(kind), "__init__": self.recording(kind.__init__)}
        return type(kind.__name__, (kind,), {**members, "__module__": self.path})

    def methods_recording(self, owner: type) -> dict[str, Any]:
        """Return the methods and properties of a class, and of its bases, that record under the conventions."""
        found: dict[str, Any] = {}
        for name, member in inspect.getmembers_static(owner):
            if name in vars(object) or name in ("__class_getitem__", "__init_subclass__"):
                continue
            if inspect.isfunction(member):
                found[name] = self.recording(member)
            elif isinstance(member, property) and member.fget is not None:
                found[name] = property(self.recording(member.fget), member.fset, doc=member.__doc__)
        return found


def current() -> Library:
    """Return the library whose conventions are in force."""
    return cast(Library, conventions.get())


THEANO = Library("theano", "Theano", "1.0.5", softmax_of_vector_is_row=True)
AESARA = Library("aesara", "Aesara", "2.9.4")
PYTENSOR = Library("pytensor", "PyTensor", "3.0.7", truthy=False, softmax_axis=None)
LIBRARIES: dict[str, Library] = {library.name: library for library in (THEANO, AESARA, PYTENSOR)}
"""The peers by name."""
