"""Where the user's program is, for errors found before there is a node to say it."""

from __future__ import annotations

from loopjax.errors import user_source, where


def here() -> str:
    """``' [model.py:12]'``, the user's line that is being recorded.

    Not for ``infer``, which runs again when a program is called: the node says where.
    """
    source = user_source()
    return where([source] if source is not None else [])
