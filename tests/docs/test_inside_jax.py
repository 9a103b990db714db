"""The page's code blocks print what their comments say."""

import contextlib
import io
import pathlib
import re

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "inside-jax.md").read_text()


def test_programs_print_what_their_comments_say():
    namespace, printed, wanted = {}, io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
            exec(compile(block, "page.py", "exec"), namespace)
            wanted += re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
    assert len(wanted) == 11
    assert printed.getvalue().splitlines() == wanted
