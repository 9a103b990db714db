"""What all tests share: every graph is verified after every rewrite, and floatX is unset unless a test sets it."""

import pytest

from loopjax import config

config.verify = True


@pytest.fixture(autouse=True)
def floatX_as_it_was():
    """Read, it has a dtype; set to that again, it no longer follows JAX's flag."""
    before = config._floatX
    yield
    config._floatX = before
