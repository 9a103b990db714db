"""The README's two commands are those that CI runs, its picture is up to date, and its links lead somewhere."""

import pathlib
import re

import loopjax
from benchmarks import picture

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_two_commands():
    commands = [block.strip() for block in blocks("sh")]
    assert len(commands) == 2
    assert commands[0].endswith("-m loopjax")
    assert commands[1].endswith("-m pytest")
    assert all(command.startswith("python3 -m venv ") for command in commands)


def test_links_lead_somewhere():
    linked = re.findall(r"\]\(([^)#:]+)[^)]*\)", README)
    assert len(linked) > 10
    assert not [path for path in linked if not (ROOT / path).exists()]


def test_picture_is_that_of_the_results():
    assert picture.FILE.read_text() == picture.picture()


def test_citation_has_the_version():
    assert f"version: {loopjax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
