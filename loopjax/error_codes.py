"""Codes of errors, ``LJ101`` and so on: each is a kind of wrong program, with a section in ``docs/errors.md``.

A code is a note of the error (PEP 678), which a traceback shows below the message, with the command that prints the
section. The kind is read from the message, the first of ``KINDS`` that fits. A code keeps its meaning; new kinds get
new codes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of error: its code, its title, and a pattern of its messages."""

    code: str
    title: str
    pattern: str


KINDS = tuple(
    Kind(*row)
    for row in (
        # Loops
        ("LJ101", "The step is no function", r"\b(fn|fun) is .*expected a function"),
        ("LJ102", "The step returns something else", r"fn returned |with lengths every output"),
        ("LJ103", "The step takes other arguments", r"fn.* does not take the \d+ arguments"),
        ("LJ104", "As many outputs as entries of outputs_info", r"outputs and outputs_info has"),
        ("LJ105", "A state changes its dtype", r"state '.*' .*starts as"),
        (
            "LJ106",
            "A state changes its shape or structure",
            r"Start from a value of the shape|expected the structure of",
        ),
        ("LJ107", "A sequence without an axis", r"a sequence needs a first axis"),
        ("LJ108", "A loop without a length", r"has neither sequences nor n_steps"),
        ("LJ109", "Taps", r"taps is an int|taps of a state|: taps \[.*repeat|shift all taps"),
        ("LJ110", "Taps without values to read at first", r"no 'initial' value|row 0 the oldest|with a leading time"),
        ("LJ111", "A sequence that is too short", r"sequence '.*' has \d+ rows"),
        ("LJ112", "Keys of a sequence or a state", r"has unknown keys|is a dict without the key"),
        ("LJ113", "The condition of until", r"until\(\) takes|stops by until|Leave until out"),
        ("LJ114", "Updates of a loop", r"would lose that|updates that fn returns|is updated twice in one step"),
        ("LJ115", "A strict loop uses what is not passed", r"is strict and its fn"),
        (
            "LJ116",
            "A value of a step outside of the step",
            r"inside of fn|argument of fn|outside of the loop|before its first step",
        ),
        (
            "LJ117",
            "Checkpoints",
            r"checkpoint is an int|Budget takes|Every takes|a gradient of .* (needs at least|steps)",
        ),
        ("LJ118", "Lengths of examples", r"\blengths is |lengths' is|more than n_steps|with lengths its"),
        ("LJ119", "Outputs and updates that are not unpacked", r"scan returns \(outputs, updates\)"),
        # Variables
        ("LJ201", "A variable is not true or false", r"has no truth value"),
        ("LJ202", "A variable has no length to iterate over", r"be iterated|no len\(\)|unknown length"),
        ("LJ203", "Comparison with ==", r"would compare identity"),
        ("LJ204", "Assignment to an element", r"set_subtensor\(x\[|in the place of x \+= y|_subtensor: part"),
        (
            "LJ205",
            "An index of another kind",
            r"an index is an integer|an index takes one|a slice has step|more indices",
        ),
        ("LJ206", "An index out of bounds", r"out of bounds"),
        ("LJ207", "A name that is not there", r"has no (attribute|setting)|there is no |has no '|that records an op"),
        # Functions and calls
        ("LJ301", "Inputs of a function", r"inputs (is a list|holds|have the names)|inputs are "),
        ("LJ302", "The graph needs another input", r"the graph needs"),
        ("LJ303", "An input that nothing needs", r"is not used|no output (needs|depends)|givens replaces .*which"),
        ("LJ304", "The update of a shared variable", r"the update of|updates are keyed by|two new values"),
        ("LJ305", "Replacements", r"replaces |replace"),
        ("LJ306", "Pairs", r"expected a pair|list of pairs"),
        ("LJ307", "An argument of a call", r"\binput '|missing \['|has no input|inputs, got|arguments? .*were given"),
        ("LJ308", "A mode", r"\bmode is |Mode|rewrite"),
        # Gradients
        ("LJ401", "The cost is no scalar of floats", r"cost (must be|is one scalar)|needs a cost"),
        ("LJ402", "The cost does not depend on the variable", r"\bgrad with respect to"),
        ("LJ403", "Gradients are of variables of floats", r"\b(wrt|f|expression) (holds|is a variable)|with (wrt|f) "),
        ("LJ404", "Gradients that are given", r"known_grads|eval_points|is given is|gradient that"),
        ("LJ405", "A gradient that is wrong", r"finite differences"),
        # State and files
        ("LJ801", "The value of a shared variable", r"shared\(\)|set_value|was lost by a failed call"),
        ("LJ802", "A file", r"is no file|is not there|has format"),
        ("LJ803", "More memory than there is", r"more than any memory|memory than there is|bytes, and there are"),
        # Several devices
        ("LJ851", "An op that cannot be placed on devices", r"mesh has Explicit axes"),
        # Random numbers
        ("LJ601", "A seed", r"\bseed\b"),
        (
            "LJ602",
            "Parameters of a distribution",
            r"expected (values|low|left|a number from)|probabilit|elements cannot",
        ),
        ("LJ603", "Arguments of a distribution", r"and size, got|needs '\w+', got"),
        # Shapes and dtypes
        ("LJ501", "Shapes do not broadcast", r"not broadcast|do not fit|sizes that broadcast"),
        ("LJ502", "Shapes do not multiply", r"do not multiply|of a scalar: expected x and y|sums over|batched_dot"),
        ("LJ503", "A reshape to another number of elements", r"does not reshape|reshape to|of the shape specified"),
        ("LJ504", "Arrays that are joined", r"differ along axis|one number of dimensions|tensors is |join:"),
        ("LJ507", "Vectors and matrices", r"matri(x|ces).* expected|takes (a |a sorted )?(vector|matri)"),
        ("LJ505", "An axis", r"\baxis\b|\baxes\b|dimshuffle|axis\d"),
        ("LJ506", "Sizes", r"a size is negative|integers and integer scalars|shape holds|\b(shape|size|reps|sizes)\b"),
        ("LJ508", "No variable, number or array", r"expected a variable, a number or an array"),
        ("LJ509", "Arrays without numbers", r"is not numeric|masked array|lists of one length|not fit into"),
        ("LJ510", "A dtype", r"dtype|takes integers|\bcast\b|astype|imaginary|precision|negative powers"),
        # JAX
        ("LJ701", "A tracer of JAX in a graph or a value", r"JAX tracer|jax.Array that is traced"),
        ("LJ702", "A length that is needed before the program runs", r"inside of JAX|is known only after|not known"),
        ("LJ703", "The state of to_jax", r"as .*init\(\) gives it"),
        ("LJ704", "A function of JAX in wrap_jax", r"the function.* raised|it returns|wrap_jax"),
        # What is left
        ("LJ901", "An option", r"is one of|, not |only '|is (an int|a number|a string)|True, False"),
        ("LJ902", "An argument of another kind", r""),
    )
)
"""All kinds, those that fit few messages first."""


def kind_of(message: str) -> Kind:
    """The kind of an error by its message, without the value that was passed."""
    return next(kind for kind in KINDS if re.search(kind.pattern, message, re.DOTALL))


def add_code(error: BaseException) -> None:
    """Give an error the note with its code, once."""
    if not any(note.startswith("LJ") for note in getattr(error, "__notes__", ())):
        kind = kind_of(str(error))
        error.add_note(
            f"{kind.code}: {kind.title}; python -m loopjax {kind.code} shows the wrong and the right program"
        )


def code_of(error: BaseException) -> str | None:
    """The code of an error, ``"LJ105"``, if it has one."""
    return next((note[:5] for note in getattr(error, "__notes__", ()) if note.startswith("LJ")), None)


def shipped(file: str) -> Path:
    """The path of a file that a wheel holds in the package and a checkout beside it."""
    package = Path(__file__).parent
    return next(path for place in (package, package.parent) if (path := place / file).exists())


def page() -> str:
    """The page of errors."""
    return shipped("docs/errors.md").read_text(encoding="utf-8")


def section_of(code: str) -> str:
    """The section of a code on the page of errors. Raises ``KeyError`` where there is no such code."""
    _, *sections = re.split(r"^\(lj\d+\)=\n\n## ", page(), flags=re.MULTILINE)
    return {section[:5]: section.rstrip() for section in sections}[code]
