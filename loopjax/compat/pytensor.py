"""PyTensor's modules and conventions, for ``import loopjax.compat.pytensor as pytensor``; see ``loopjax.compat``."""

from loopjax.compat.modules import populate

populate(__name__)
