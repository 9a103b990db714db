"""Programs of Theano, Aesara and PyTensor, unchanged but for their imports.

``import loopjax.compat.theano as theano, loopjax.compat.theano.tensor as T`` gives the modules, names and conventions
of Theano: floatX float64, NumPy results, variables that are true, slopes at kinks, ``config`` flags, modes. They hold
in these modules and nowhere else. ``install("theano")`` puts the modules under the library's own name, so that other
packages find them by ``import theano``. `aliases` has the import paths under ``loopjax`` itself.
"""

from __future__ import annotations

import importlib
import sys

from loopjax.errors import coded

LIBRARIES = ("theano", "aesara", "pytensor")
"""The peer libraries."""


def install(name: str) -> None:
    """Make the modules of a peer library importable under its own name, in this process.

    Parameters
    ----------
    name : {"theano", "aesara", "pytensor"}
        The library.

    Returns
    -------
    None
        ``import theano`` then finds ``loopjax.compat.theano``.

    Raises
    ------
    ValueError
        There is no such library.
    ImportError
        The library itself has been imported already.

    Examples
    --------
    >>> import loopjax.compat
    >>> loopjax.compat.install("theano")
    >>> import theano
    >>> theano.__name__
    'loopjax.compat.theano'
    """
    if name not in LIBRARIES:
        raise coded(ValueError, "LJ901")(f"install() takes one of {LIBRARIES}, not {name!r}")
    path = f"{__name__}.{name}"
    module = importlib.import_module(path)
    if sys.modules.get(name, module) is not module:
        raise ImportError(f"{name} has been imported from {sys.modules[name]!r}; call install() before")
    sys.modules[name] = module
    inner = {key: found for key, found in sys.modules.items() if key.startswith(f"{path}.")}
    sys.modules.update({name + key.removeprefix(path): found for key, found in inner.items()})
