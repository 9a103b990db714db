"""The ops on symbolic variables and their typed inputs, imported as ``at`` or ``T``.

A program's numbers, arrays and variables go in, new variables come out: each function records a node of the graph and
computes nothing. A module's ``__all__`` lists the names that it adds here.
"""

import types
import typing

from loopjax import random as random
from loopjax.errors import missing_name as _missing_name
from loopjax.errors import reported as _reported
from loopjax.ir.graph import Constant as Constant
from loopjax.ir.graph import Variable as Variable
from loopjax.ir.types import TensorType as TensorType
from loopjax.tensor import constructors as constructors
from loopjax.tensor import example_lengths, numpy_protocol, padding, shear  # they register ops that no user calls
from loopjax.tensor import linalg as linalg
from loopjax.tensor import nnet as nnet
from loopjax.tensor.conditional import *
from loopjax.tensor.constructors import *
from loopjax.tensor.creation import *
from loopjax.tensor.elementwise import *
from loopjax.tensor.gradient_flow import *
from loopjax.tensor.indexing import *
from loopjax.tensor.positions import *
from loopjax.tensor.products import *
from loopjax.tensor.reduction import *
from loopjax.tensor.shape import *
from loopjax.tensor.sort import *
from loopjax.tensor.special import *
from loopjax.tensor.typed import *
from loopjax.trace.convert import as_variable as _as_variable
from loopjax.trace.convert import constant as constant
from loopjax.trace.grad import grad as grad
from loopjax.trace.jacobian import Lop as Lop
from loopjax.trace.jacobian import Rop as Rop
from loopjax.trace.jacobian import hessian as hessian
from loopjax.trace.jacobian import jacobian as jacobian

as_variable = _reported(_as_variable)

if not typing.TYPE_CHECKING:
    __getattr__ = _missing_name(__name__)

    # Type checkers take the names from the star imports and read no list that is computed.
    _NAMESPACES = ("constructors", "linalg", "nnet", "random")
    __all__ = sorted(
        name
        for name, value in globals().items()
        if name[0] != "_" and (name in _NAMESPACES or not isinstance(value, types.ModuleType))
    )
