"""Modules under the import paths of Theano and Aesara.

``from loopjax.scan.utils import until`` and ``loopjax.scan.utils.until`` both work, although ``loopjax.scan`` is a
function: each path is a module in ``sys.modules``, and also an attribute of the object before its last dot.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

from loopjax import random, tensor
from loopjax.checkpoint.scan_checkpoints import scan_checkpoints
from loopjax.compat.print_op import Print
from loopjax.errors import DisconnectedInputError, GradientError
from loopjax.ir.printing import dprint, pp
from loopjax.ir.types import TensorType
from loopjax.random.size_first import MRG_RandomStreams, RandomStreams
from loopjax.runtime.function import Function, function
from loopjax.runtime.mode import INSTEAD, NAMED, Mode, read_mode, unavailable
from loopjax.runtime.signature import In, Out
from loopjax.testing.verify_grad import verify_grad
from loopjax.trace.grad import grad
from loopjax.trace.jacobian import Lop, Rop, hessian, jacobian
from loopjax.trace.scan import scan
from loopjax.trace.shared import SharedVariable, shared
from loopjax.trace.step_results import until
from loopjax.trace.updates import OrderedUpdates
from loopjax.trace.views import foldl, foldr, map, reduce


def _module(path: str, names: Mapping[str, Any], owner: object = None) -> ModuleType:
    """Make a module of these names that can be imported by its path, and set it as an attribute of ``owner``."""
    module = ModuleType(path, "An alias of Theano's or Aesara's module; see loopjax.compat.aliases.")
    vars(module).update(names)
    sys.modules[path] = module
    if owner is not None:
        setattr(owner, path.rpartition(".")[2], module)
    return module


def _by_name(*values: Any) -> dict[str, Any]:
    """Functions and classes, by their names."""
    return {value.__name__: value for value in values}


_VIEWS = _by_name(map, reduce, foldl, foldr)

# `from loopjax.scan import scan` finds this module; the attribute `scan` of `loopjax` is the function.
_scan = _module("loopjax.scan", {**_by_name(scan, until, scan_checkpoints), **_VIEWS})
_CHECKPOINTS = _by_name(scan_checkpoints)
_SCAN_FILES = {"utils": _by_name(until), "basic": _by_name(scan), "views": _VIEWS, "checkpoints": _CHECKPOINTS}
for _name, _names in _SCAN_FILES.items():
    setattr(_scan, _name, _module(f"loopjax.scan.{_name}", _names, owner=scan))

# Theano's names of that folder and of its utils.
scan_module = _module("loopjax.scan_module", {"scan": scan, "until": until, **_VIEWS})
_module("loopjax.scan_module.scan_utils", {"until": until}, owner=scan_module)

sys.modules["loopjax.tensor.random"] = random
_module("loopjax.tensor.random.utils", {"RandomStream": random.RandomStream}, owner=random)
_module("loopjax.tensor.type", {"TensorType": TensorType}, owner=tensor)
_module("loopjax.tensor.sharedvar", {"TensorSharedVariable": SharedVariable}, owner=tensor)
_EXTRA = (
    "bincount broadcast_to compress cumprod cumsum diff fill_diagonal ravel_multi_index repeat searchsorted squeeze "
    "to_one_hot unravel_index"
)
_module("loopjax.tensor.extra_ops", {name: getattr(tensor, name) for name in _EXTRA.split()}, owner=tensor)
_NLINALG = (
    "alloc_diag det diag eigh extract_diag inv lstsq matrix_dot matrix_inverse matrix_power norm pinv qr slogdet svd "
    "trace"
)
_SLINALG = (
    "cho_solve cholesky eigvalsh expm kron solve solve_lower_triangular solve_symmetric solve_triangular "
    "solve_upper_triangular"
)
for _name, _list in {"nlinalg": _NLINALG, "slinalg": _SLINALG}.items():
    _module(f"loopjax.tensor.{_name}", {name: getattr(tensor.linalg, name) for name in _list.split()}, owner=tensor)
_module("loopjax.tensor.shared_randomstreams", {"RandomStreams": RandomStreams}, owner=tensor)
sandbox = _module("loopjax.sandbox", {})
_module("loopjax.sandbox.rng_mrg", {"MRG_RandomStreams": MRG_RandomStreams}, owner=sandbox)

_GRADIENT = _by_name(grad, jacobian, hessian, Lop, Rop, verify_grad, GradientError, DisconnectedInputError)
_BARRIERS = ("consider_constant", "disconnected_grad", "grad_clip", "grad_scale", "zero_grad")
gradient = _module("loopjax.gradient", {**_GRADIENT, **{name: getattr(tensor, name) for name in _BARRIERS}})
setattr(tensor, "verify_grad", verify_grad)  # noqa: B010 - it runs functions, which tensor/ may not import
_PRINTING = {"Print": Print, "dprint": dprint, "debugprint": dprint, "pp": pp, "pprint": pp}
printing = _module("loopjax.printing", _PRINTING)
compile = _module("loopjax.compile", _by_name(function, Function, In, Out, SharedVariable, shared))
_MODES: dict[str, Any] = {
    "Mode": Mode,
    "FAST_RUN": read_mode("FAST_RUN"),
    "FAST_COMPILE": read_mode("FAST_COMPILE"),
    "get_mode": read_mode,
    "get_default_mode": partial(read_mode, None),
    "predefined_modes": {name: read_mode(name) for name in NAMED},
}
vars(compile).update(_MODES)
_module("loopjax.compile.mode", _MODES, owner=compile)
for _name in INSTEAD:
    _old = {_name: partial(lambda name, *args, **kwargs: unavailable(name), _name)}
    vars(compile).update(_old)
    _module(f"loopjax.compile.{_name.lower()}", _old, owner=compile)
_module("loopjax.compile.sharedvalue", {"shared": shared, "SharedVariable": SharedVariable}, owner=compile)
updates = _module("loopjax.updates", {"OrderedUpdates": OrderedUpdates})
