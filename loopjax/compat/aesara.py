"""Aesara's modules and conventions, for ``import loopjax.compat.aesara as aesara``; see ``loopjax.compat``."""

from loopjax.compat.modules import populate

populate(__name__)
