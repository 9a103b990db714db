"""Errors: they survive pickling, keep their kind, and come in one traceback with the user's line."""

import pickle
import subprocess
import sys

import pytest

import loopjax
import loopjax.tensor as at
from loopjax import errors
from loopjax.errors import GradientError, LengthError, about, alike, reported

LINE = r" \[test_errors.py:\d+\](\n|$)"


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_errors_come_back_from_another_process(kind):
    if not issubclass(kind, Exception):
        return
    error = kind("differs", 0, (1,), 1.0, 2.0) if kind is GradientError else kind("differs")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert str(back) == "differs"


def test_an_error_of_another_package_becomes_a_builtin_one():
    class Foreign(TypeError):
        def __init__(self, one, two):
            super().__init__(one)

    assert type(alike(Foreign(1, 2), "text")) is TypeError
    assert type(alike(LengthError("old"), "text")) is LengthError


def test_about_adds_a_subject_and_the_line_once():
    with pytest.raises(ValueError, match=rf"^scan 'a': wrong{LINE}") as caught, about("scan 'a'"), about("scan 'a'"):
        raise ValueError("wrong")
    assert caught.value.__suppress_context__


def test_an_error_of_the_users_code_is_not_touched():
    def mine():
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        reported(mine)()
    with pytest.raises(ValueError, match=r"^mine$"):
        loopjax.scan(lambda v: mine(), at.dvector("x"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: at.tanh(x, x), r"^tanh\(x\) takes 1 positional argument but 2 were given"),
        (lambda x: at.tanh("a"), r"^tanh: argument x: expected a variable, .* got str: 'a'"),
        (lambda x: x.reshape("a"), r"^reshape: argument newshape: .* got str: 'a'|^reshape: newshape holds"),
        (lambda x: at.concatenate([x, None]), r"^join: argument tensors: .* got NoneType: None"),
    ],
)
def test_a_public_function_names_itself_the_argument_and_the_line(call, message):
    with pytest.raises(TypeError, match=message + ".*" + LINE) as caught:
        call(at.dvector("x"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_unknown_name_of_the_package_in_a_new_process():
    """The codes are imported when there is an error, also one of the package's own ``__getattr__``."""
    code = "import loopjax\ntry:\n    loopjax.nothing\nexcept AttributeError as error:\n    print(*error.__notes__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LJ207")
