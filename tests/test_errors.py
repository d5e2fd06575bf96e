"""The words of an error: what is wrong, what was found and expected, what to do."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path

import pytest

from vadose import errors
from vadose.errors import MissingExtra, UnknownName, VadoseError

PROBLEMS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VadoseError) and kind not in (VadoseError, UnknownName, MissingExtra)
]


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_problem_tells_the_same_four_things(kind: type[VadoseError]) -> None:
    problem = kind(
        "soil_moisture", found="unit 'percent'", expected="unit 'm3 m-3'", remedy="Convert it."
    )
    assert str(problem) == (
        "soil_moisture: found unit 'percent', expected unit 'm3 m-3'. Convert it."
    )
    assert (problem.subject, problem.found) == ("soil_moisture", "unit 'percent'")
    assert (problem.expected, problem.remedy) == ("unit 'm3 m-3'", "Convert it.")


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_problem_has_a_sentence_about_itself(kind: type[VadoseError]) -> None:
    assert (kind.__doc__ or "").startswith("Report ")


def test_expectation_and_remedy_may_be_left_out() -> None:
    assert str(VadoseError("file.nc", found="nothing")) == "file.nc: found nothing."
    assert (
        str(VadoseError("file.nc", found="nothing", remedy="Look again."))
        == "file.nc: found nothing. Look again."
    )


def test_a_path_may_be_the_subject() -> None:
    assert str(VadoseError(Path("a/b.nc"), found="nothing")).startswith("a/b.nc: ")


def test_all_problems_are_caught_together() -> None:
    for kind in [*PROBLEMS, UnknownName, MissingExtra]:
        assert issubclass(kind, VadoseError)
    with pytest.raises(VadoseError):
        raise UnknownName("grid", "a", ["b"])


def test_unknown_name_lists_the_names_in_order_and_suggests_the_nearest() -> None:
    assert str(UnknownName("variable", "soil_moistur", ["soil_moisture", "elevation"])) == (
        "variable 'soil_moistur': found no such name, expected one of elevation, soil_moisture. "
        "Did you mean 'soil_moisture'?"
    )


def test_unknown_name_suggests_nothing_when_nothing_is_near() -> None:
    assert str(UnknownName("grid", "qqq", ["EASE2_36km"])) == (
        "grid 'qqq': found no such name, expected one of EASE2_36km."
    )


def test_missing_extra_tells_how_to_install_it() -> None:
    assert str(MissingExtra("torch", extra="torch")) == (
        "torch: found no such library. Install it with: pip install 'vadose[torch]'"
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "problem",
    [
        *(kind(Path("a/b.nc"), found="b", expected="c", remedy="D.") for kind in PROBLEMS),
        VadoseError("a", found="b"),
        UnknownName("grid", "EASE2_36", ["EASE2_36km", "EASE2_9km"]),
        MissingExtra("torch", extra="torch"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_every_problem_comes_back_whole_from_another_process(
    problem: VadoseError, protocol: int
) -> None:
    problem.add_note("while opening a folder")
    for back in (pickle.loads(pickle.dumps(problem, protocol)), copy.copy(problem)):  # noqa: S301
        assert type(back) is type(problem)
        assert str(back) == str(problem)
        assert back.args == problem.args
        assert vars(back) == vars(problem)
