"""Programs compiled by passes with other thresholds than their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from loopjax.rewrite.driver import Pass
from loopjax.runtime import compiler


@contextmanager
def configured(*passes: Pass) -> Iterator[None]:
    """Programs that are compiled within run these passes where the pipeline has others of their classes."""
    given, default = {type(one): one for one in passes}, compiler.sized

    def sized(target):
        return tuple(replace(given[type(one)], target=target) if type(one) in given else one for one in default(target))

    with patch.object(compiler, "sized", sized):
        yield
