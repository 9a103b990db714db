"""The page of errors: each wrong program raises the error of its section, and each right one runs."""

import re
import warnings
from pathlib import Path

import pytest

import loopjax
from loopjax.__main__ import main
from loopjax.error_codes import code_of, page, sections

TEXT = page()
PRELUDE, *SECTIONS = re.split(r"^\(lj\d+\)=\n\n(?=## )", TEXT, flags=re.MULTILINE)


def blocks(text):
    return re.findall(r"^```py\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_each_code_that_the_package_gives_has_a_section_and_each_section_a_code():
    package = Path(loopjax.__file__).parent
    given = {code for file in package.rglob("*.py") for code in re.findall(r'"(LJ\d+)"', file.read_text())}
    assert given == set(sections())
    assert [section[3:8].lower() for section in SECTIONS] == re.findall(r"^\((lj\d+)\)=$", TEXT, flags=re.MULTILINE)
    assert len(SECTIONS) == len(given)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section[3:8])
def test_the_wrong_program_raises_and_the_right_one_runs(section):
    (start,) = blocks(PRELUDE)
    wrong, right = blocks(section)
    names: dict[str, object] = {}
    exec(compile(start + right, "right.py", "exec"), names)
    with pytest.raises(Exception, match=r".") as caught, warnings.catch_warnings():
        exec(compile(start + wrong, "wrong.py", "exec"), {})
    assert code_of(caught.value) == section[3:8], f"{caught.value!r}"
    assert any(f"python -m loopjax {section[3:8]} shows" in note for note in caught.value.__notes__)


def test_the_command_prints_the_section_of_a_code(capsys):
    main(["LJ105", "LJ203"])
    shown = capsys.readouterr().out
    assert shown.startswith("LJ105: A state changes its dtype\n")
    assert shown.count("# wrong") == shown.count("# right") == 2
    assert "(lj" not in shown
    with pytest.raises(SystemExit, match="there is no error LJ999; codes are LJ101, "):
        main(["LJ999"])
