"""Blocks side by side: in their order, each with its cores, and nothing of it is left afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from vadose.models.cores import side_by_side  # noqa: E402


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def seen_by_a_new_thread() -> int:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 23])
def test_every_item_comes_once_and_in_order(workers: int, count: int) -> None:
    values = side_by_side(lambda number: number**2, range(count), workers=workers)
    assert list(values) == [number**2 for number in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("cores", [1, 2])
def test_each_has_its_cores_and_the_caller_has_its_own_back(workers: int, cores: int) -> None:
    seen = side_by_side(lambda _: torch.get_num_threads(), range(6), workers=workers, cores=cores)
    assert set(seen) == {cores}
    assert torch.get_num_threads() == seen_by_a_new_thread() == 3


def test_they_are_at_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    assert len(list(side_by_side(lambda _: both.wait(), range(2), workers=2))) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_is_told_and_leaves_nothing_behind(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda number: 1 // number, [1, 0], workers=workers))
    assert torch.get_num_threads() == seen_by_a_new_thread() == 3


def test_of_several_at_once_the_last_puts_back_what_the_first_found() -> None:
    first = side_by_side(lambda number: number, [1, 2], workers=2)
    second = side_by_side(lambda number: number, [3, 4], workers=2)
    assert (next(first), next(second)) == (1, 3)
    assert list(first) == [2]
    assert list(second) == [4]
    assert torch.get_num_threads() == seen_by_a_new_thread() == 3
