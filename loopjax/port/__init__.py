"""``python -m loopjax.port``: ports programs of Theano, Aesara and PyTensor. A source enters, a report and edits leave.

A source of Python 2 becomes one of Python 3 (``python2``, ``division``); imports change to ``loopjax.compat``
(``imports``); each name of the library is looked up there (``names``); habits that need a look are found by the syntax
tree (``habits``, ``numpy_names``). ``source`` applies edits, so that comments and formatting stay.
"""

from loopjax.port.port import port
from loopjax.port.report import Finding, PortReport

__all__ = ["Finding", "PortReport", "port"]
