"""State files: arrays by name in NumPy's ``npz``, with what NumPy cannot say of them in a header of JSON.

``numpy.load(path)["state/W"]`` reads the array ``W``. Dtypes that NumPy has no name for (``bfloat16``, 8-bit floats)
are stored as their bytes, and random keys as their data; the header has the dtype, and the generator of a key. Nothing
is pickled, so that a file of unknown origin runs no code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import coded, here
from loopjax.runtime.atomic_file import replacing
from loopjax.runtime.x64 import is_key

HEADER = "header"

STATE = "state/"
"""Prefix of the names of shared variables' values."""


def save(path: str | os.PathLike[str], arrays: Mapping[str, Any], **about: Any) -> None:
    """Writes arrays, and what JSON can hold about them, to a file, atomically."""
    header = {"dtypes": {name: _dtype(array) for name, array in arrays.items()}, **about}
    entries: dict[str, Any] = {HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    entries.update((name, _bits(array)) for name, array in arrays.items())
    with replacing(_place(path)) as file:
        np.savez(file, **entries)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a file that ``save`` wrote: its arrays by name, and what was said about them."""
    place = _place(path)
    if not place.exists():
        raise coded(FileNotFoundError, "LJ802")(
            f"{os.fspath(path)!r} is not there; expected a file that save_state or export wrote{here()}"
        )
    try:
        with place.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            header = json.loads(bytes(file[HEADER]))
            return {name: _array(file[name], dtype) for name, dtype in header.pop("dtypes").items()}, header
    except Exception as error:  # a damaged file fails in many ways: of zip, zlib, numpy and json
        raise coded(ValueError, "LJ802")(
            f"{os.fspath(path)!r} is no file of LoopJAX, or is damaged ({type(error).__name__}); expected one that "
            f"save_state or export wrote{here()}"
        ) from error


def _place(path: object) -> Path:
    if isinstance(path, (str, os.PathLike)):
        return Path(path)
    raise coded(TypeError, "LJ802")(f"path is {path!r:.80}; expected a string or a Path, write 'state.npz'{here()}")


def state_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The values of shared variables by name."""
    return {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}


def _dtype(array: Any) -> str:
    return f"key {jax.random.key_impl(array)}" if is_key(array) else str(array.dtype)


def _bits(array: Any) -> np.ndarray[Any, Any]:
    """The elements on the host, of a dtype that NumPy can write."""
    found = np.asarray(jax.random.key_data(array) if is_key(array) else array)
    return found if found.dtype.isbuiltin == 1 else found.view(f"u{found.itemsize}")


def _array(bits: np.ndarray[Any, Any], dtype: str) -> Any:
    if dtype.startswith("key "):
        return jax.random.wrap_key_data(jnp.asarray(bits), impl=dtype.removeprefix("key "))
    return bits.view(jnp.dtype(dtype))
