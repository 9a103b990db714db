"""PyTensor graphs in LoopJAX, and LoopJAX in PyTensor and PyMC.

``from_pytensor`` takes a PyTensor graph and returns LoopJAX variables; ``mode`` compiles functions of PyTensor;
``pymc`` makes PyMC use both. Needs the extra ``loopjax[pytensor]``; nothing else of LoopJAX imports this package.
"""

from loopjax.pytensor.conversion import ConversionError
from loopjax.pytensor.from_pytensor import FromPyTensor, from_pytensor
from loopjax.pytensor.linker import mode
from loopjax.pytensor.report import GraphReport, report
from loopjax.pytensor.sampling import pymc

__all__ = ["ConversionError", "FromPyTensor", "GraphReport", "from_pytensor", "mode", "pymc", "report"]
