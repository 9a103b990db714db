"""Writes what the code of documentation pages prints into the ``text`` blocks that follow it.

    python -m tests.docs.update_pages docs/internals.md

The tests compare these blocks with what the code prints; read the difference before committing it.
"""

import contextlib
import io
import pathlib
import re
import sys


def updated(text, page):
    """The text of a page with each ``text`` block replaced by what the code since the last one printed."""
    namespace, printed = {}, io.StringIO()

    def block(match):
        kind, code = match.groups()
        if kind == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(code, page, "exec"), namespace)
            commented = len(re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE))
            kept = printed.getvalue().splitlines(keepends=True)[commented:]
            printed.seek(0)
            printed.truncate()
            printed.write("".join(kept))
            return match.group()
        shown = printed.getvalue()
        printed.seek(0)
        printed.truncate()
        return f"```text\n{shown}```"

    return re.sub(r"^```(python|text)\n(.*?)^```$", block, text, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        path.write_text(updated(path.read_text(), path.name))
