"""The README's code blocks do what its comments say, and its two commands are those that CI runs."""

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_programs_print_what_their_comments_say():
    namespace, printed, wanted = {}, io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        for block in blocks("python"):
            exec(compile(block, "bank.py", "exec"), namespace)
            wanted += re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
    (report,) = blocks("text")
    assert printed.getvalue() == "\n".join([*wanted[:-1], report.rstrip(), wanted[-1], ""])


def test_two_commands():
    commands = [block.strip() for block in blocks("sh")]
    assert len(commands) == 2
    assert commands[0].endswith("-m loopjax")
    assert commands[1].endswith("-m pytest")
    assert all(command.startswith("python3 -m venv ") for command in commands)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_links_lead_somewhere(name):
    assert (ROOT / name).stat().st_size > 0
