"""The ``config`` of a peer library: flags that programs read and write.

``floatX`` has an effect; ``mode`` and ``on_unused_input`` are the defaults of ``function``. All other flags are kept
and do nothing, since XLA compiles. A flag in a section, ``config.scan.allow_gc``, is the same as
``config.scan__allow_gc``. The environment variable of the library, ``THEANO_FLAGS=floatX=float32``, is read on import.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopjax.errors import coded

FLOATS = ("float16", "bfloat16", "float32", "float64")

DEFAULTS: dict[str, Any] = {
    "floatX": "float64",
    "warn_float64": "ignore",
    "device": "cpu",
    "init_gpu_device": "",
    "force_device": False,
    "mode": "Mode",
    "linker": "cvm",
    "optimizer": "o4",
    "optimizer_including": "",
    "optimizer_excluding": "",
    "optimizer_requiring": "",
    "optimizer_verbose": False,
    "on_opt_error": "warn",
    "on_unused_input": "raise",
    "on_shape_error": "warn",
    "allow_gc": True,
    "cast_policy": "custom",
    "int_division": "int",
    "deterministic": "default",
    "compute_test_value": "off",
    "compute_test_value_opt": "off",
    "print_test_value": False,
    "exception_verbosity": "low",
    "traceback__limit": 8,
    "traceback__compile_limit": 0,
    "profile": False,
    "profile_memory": False,
    "profile_optimizer": False,
    "profiling__time_thunks": True,
    "profiling__n_apply": 20,
    "profiling__n_ops": 20,
    "profiling__destination": "stderr",
    "openmp": False,
    "openmp_elemwise_minsize": 200000,
    "enable_initial_driver_test": True,
    "gpuarray__preallocate": -1.0,
    "gpuarray__sched": "default",
    "gpuarray__single_stream": True,
    "lib__cnmem": 0.0,
    "lib__amblibm": False,
    "dnn__enabled": "auto",
    "dnn__conv__algo_fwd": "small",
    "dnn__conv__algo_bwd_data": "none",
    "dnn__conv__algo_bwd_filter": "none",
    "dnn__conv__workmem": "",
    "nvcc__fastmath": False,
    "nvcc__flags": "",
    "cuda__root": "",
    "cxx": "",
    "gcc__cxxflags": "",
    "gcc__version_workaround": False,
    "blas__ldflags": "",
    "blas__check_openmp": True,
    "cmodule__mac_framework_link": False,
    "cmodule__warn_no_version": False,
    "ctc__root": "",
    "compiledir": "",
    "base_compiledir": "",
    "compiledir_format": "",
    "compile__timeout": 120,
    "compile__wait": 5,
    "scan__allow_gc": False,
    "scan__allow_output_prealloc": True,
    "scan__debug": False,
    "tensor__cmp_sloppy": 0,
    "tensor__insert_inplace_optimizer_validate_nb": -1,
    "tensor__local_elemwise_fusion": True,
    "experimental__unpickle_gpu_on_cpu": False,
    "unpickle_function": True,
    "reoptimize_unpickled_function": False,
    "assert_no_cpu_op": "ignore",
    "pickle_test_value": True,
    "warn__ignore_bug_before": "0.9",
    "warn__round": False,
    "check_input": True,
    "check_stack_trace": "off",
    "check_preallocated_output": "",
    "max_err_count": 0,
    "numpy__seterr_all": "ignore",
    "numpy__seterr_divide": "None",
    "numpy__seterr_over": "None",
    "numpy__seterr_under": "None",
    "numpy__seterr_invalid": "None",
    "print_global_stats": False,
    "NanGuardMode__nan_is_error": True,
    "NanGuardMode__inf_is_error": True,
    "NanGuardMode__big_is_error": True,
    "NanGuardMode__action": "raise",
    "DebugMode__patience": 10,
    "DebugMode__check_c": True,
    "DebugMode__check_py": True,
    "DebugMode__check_finite": True,
    "DebugMode__check_strides": 0,
    "DebugMode__warn_input_not_reused": True,
    "DebugMode__check_preallocated_output": "",
    "ProfileMode__min_memory_size": 1024,
    "ProfileMode__n_apply_to_print": 15,
    "ProfileMode__n_ops_to_print": 20,
    "conv__assert_shape": False,
    "magma__enabled": False,
    "metaopt__verbose": 0,
    "numba__vectorize_target": "cpu",
    "numba__fastmath": True,
    "numba__cache": True,
    "cycle_detection": "regular",
    "nocleanup": False,
    "add_stack_trace": "off",
    "unittests__rseed": 666,
    "tests__rseed": 666,
}
"""Every flag with its default; ``__`` separates sections."""


class Flags:
    """The flags of a library; ``change_flags`` sets some for a while."""

    def __init__(self, library: str) -> None:
        values = dict(DEFAULTS)
        for entry in os.environ.get(f"{library.upper()}_FLAGS", "").split(","):
            name, is_set, text = entry.strip().partition("=")
            if is_set:
                values[name.replace(".", "__")] = _parsed(text)
        vars(self)["_values"] = values

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = vars(self)["_values"]
        if name in values:
            return values[name]
        if not name.startswith("_") and any(flag.startswith(f"{name}__") for flag in values):
            return Section(self, name)
        nearest = difflib.get_close_matches(name, values, 1)
        meant = f"; did you mean {nearest[0].replace('__', '.')!r}?" if nearest else ""
        raise coded(AttributeError, "LJ207")(f"config has no flag {name.replace('__', '.')!r}{meant}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "floatX" and value not in FLOATS:
            raise coded(ValueError, "LJ901")(f"config.floatX is one of {FLOATS}, not {value!r}")
        vars(self)["_values"][name] = value

    @contextmanager
    def change_flags(self, *args: Any, **changes: Any) -> Iterator[None]:
        """Set flags until the context ends; also a decorator of functions. Flags come by keyword or as a dict."""
        for more in args:
            changes = {**more, **changes}
        changes = {name.replace(".", "__"): value for name, value in changes.items()}
        values: dict[str, Any] = vars(self)["_values"]
        before = dict(values)
        try:
            for name, value in changes.items():
                setattr(self, name, value)
            yield
        finally:
            values.clear()
            values.update(before)

    def __repr__(self) -> str:
        return "\n".join(f"{name.replace('__', '.')} = {value!r}" for name, value in vars(self)["_values"].items())


class Section:
    """The flags of one section, ``config.scan``."""

    def __init__(self, flags: Flags, name: str) -> None:
        vars(self).update(_flags=flags, _name=name)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_flags"], f"{vars(self)['_name']}__{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_flags"], f"{vars(self)['_name']}__{name}", value)


def _parsed(text: str) -> Any:
    """Return the value of a flag from an environment variable."""
    named = {"true": True, "false": False}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
