"""Plans for another backend than the one that runs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from loopjax.runtime.compiler import CompiledStage


@contextmanager
def planned_for(backend: str) -> Iterator[None]:
    """Programs that are compiled within are rewritten and planned as on this backend, though they run here."""
    here = CompiledStage._target
    with patch.object(CompiledStage, "_target", lambda *args: replace(here(*args), backend=backend)):
        yield
