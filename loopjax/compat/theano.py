"""Theano's modules and conventions, for ``import loopjax.compat.theano as theano``; see ``loopjax.compat``."""

from loopjax.compat.modules import populate

populate(__name__)
