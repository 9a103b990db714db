"""LoopJAX records Theano-style loops, rewrites them and compiles them with JAX. See the README for a first program."""

from loopjax import random, tensor
from loopjax.checkpoint.scan_checkpoints import scan_checkpoints
from loopjax.compat.aliases import compile, gradient, printing, sandbox, scan_module, updates
from loopjax.config import VERSION, config
from loopjax.errors import missing_name as _missing_name
from loopjax.interop.associative_scan import associative_scan
from loopjax.interop.load import load
from loopjax.interop.stepper import stepper
from loopjax.interop.to_jax import to_jax
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.printing import dprint, pp
from loopjax.report.explain import explain
from loopjax.runtime.function import Function, function
from loopjax.runtime.mode import Mode
from loopjax.runtime.signature import In, Out
from loopjax.tensor.conditional import ifelse
from loopjax.testing.verify_grad import verify_grad
from loopjax.trace.grad import grad
from loopjax.trace.jacobian import Lop, Rop, hessian, jacobian
from loopjax.trace.packed import Packed
from loopjax.trace.scan import scan
from loopjax.trace.shared import shared
from loopjax.trace.step_results import until
from loopjax.trace.substitute import clone_replace
from loopjax.trace.views import foldl, foldr, map, reduce

__version__ = VERSION
__getattr__ = _missing_name(__name__)

__all__ = [
    "Function",
    "In",
    "Lop",
    "Mode",
    "Out",
    "Packed",
    "Rop",
    "associative_scan",
    "clone_replace",
    "compile",
    "config",
    "dprint",
    "explain",
    "foldl",
    "foldr",
    "function",
    "grad",
    "gradient",
    "hessian",
    "ifelse",
    "jacobian",
    "load",
    "map",
    "pp",
    "printing",
    "random",
    "reduce",
    "sandbox",
    "scan",
    "scan_checkpoints",
    "scan_module",
    "shared",
    "stepper",
    "tensor",
    "to_jax",
    "until",
    "updates",
    "verify_grad",
    "wrap_jax",
]
