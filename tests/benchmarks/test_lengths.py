"""The measurement of programs that are called with many lengths."""

from benchmarks.lengths import Called, called, report
from benchmarks.programs.varying_lengths import PROGRAMS, k_means


def test_a_program_is_called_with_each_length():
    found = called(k_means, (5, 9, 7, 6))
    assert found.compilations == 3
    assert found.calls == 4
    assert min(found.seconds, found.milliseconds, found.padded, found.exact) > 0
    assert Called.from_json(found.as_json()) == found
    assert "k means" in report([found])


def test_there_are_20_programs_with_a_description():
    assert len({make.__name__ for make in PROGRAMS}) == 20
    assert all(make.__doc__ for make in PROGRAMS)
