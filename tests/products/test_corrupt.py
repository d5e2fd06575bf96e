"""A little of ``benchmarks/corrupt_inputs.py``, and whether it would notice."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from vadose.products.sample import SAMPLE_PATH, open_sample

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from anatomy import format_of, stored_blocks, structure_places
from corrupt_inputs import OUTCOMES, Variant, Worker, compare, count, run, variants
from damage import DAMAGES
from readers import DATA

sys.path.pop(0)

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no native files in {DATA}")


def planned(number: int, seed: int) -> list[Variant]:
    return list(variants(DATA, number, seed))


@needs_data
def test_damaged_files_are_named_or_read_right() -> None:
    results = run(planned(24, 1), workers=2)
    found = count(results)
    faults = [(v, a) for v, a in results if a["outcome"] in ("tracebacks", "hangs", "silent_nan")]
    assert not faults
    assert found["tried"] == 24 == sum(found[outcome] for outcome in OUTCOMES)
    assert found["clear_errors"] >= 8
    for variant, answer in results:
        if answer["outcome"] == "clear_errors" and variant.product != "ISMN":
            assert ": found " in answer["detail"]


def test_plan_is_the_same_for_the_same_seed_and_covers_all_kinds() -> None:
    plan = planned(200, 3)
    assert plan == planned(200, 3)
    assert plan != planned(200, 4)
    assert len({one.seed for one in plan}) == len(plan) == 200
    assert {one.kind for one in plan} >= {"truncated", "flipped data", "wrong type", "bomb"}


def test_values_that_change_or_go_or_move_are_noticed() -> None:
    intact = open_sample()[["soil_moisture", "precipitation"]].isel(y=slice(100, 120)).load()
    assert compare(intact, intact.copy(deep=True), is_partial=False) == ""
    gone = intact.copy(deep=True)
    place = tuple(np.argwhere(np.isfinite(gone["soil_moisture"].values))[0])
    gone["soil_moisture"].values[place] = np.nan
    assert compare(intact, gone, is_partial=True) == "soil_moisture: 1 other values, 1 of them gone"
    gone["soil_moisture"].values[place] = 0.123
    assert compare(intact, gone, is_partial=True) == "soil_moisture: 1 other values, 0 of them gone"
    moved = intact.assign_coords(x=intact["x"].values + 0.25)
    assert compare(intact, moved, is_partial=True) == "other x"
    less = intact.drop_vars("precipitation")
    assert compare(intact, less, is_partial=True) == ""
    assert compare(intact, less, is_partial=False) == "without ['precipitation']"


def test_worker_that_does_not_answer_or_dies_is_a_fault_and_another_takes_its_place(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    variant = Variant("SAMPLE", str(SAMPLE_PATH), "truncated", (0, 1))
    assert worker.ask(variant)["outcome"] == "clear_errors"
    worker.limit = 0.0
    assert worker.ask(Variant("SAMPLE", str(SAMPLE_PATH), "bomb", (0, 2)))["outcome"] == "hangs"
    assert worker.process is None
    worker.limit = 20.0
    dead = worker.ask(Variant("SAMPLE", str(SAMPLE_PATH), "no such damage", (0, 3)))
    assert dead["outcome"] == "tracebacks"
    assert "KeyError" in dead["detail"]
    worker.stop()


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_done_and_repeats_itself(kind: str, tmp_path: Path) -> None:
    whole = SAMPLE_PATH.read_bytes()
    told = []
    for name in ("one.nc", "two.nc"):
        (tmp_path / name).write_bytes(whole)
        told.append(DAMAGES[kind](tmp_path / name, np.random.default_rng(5), "soil_moisture"))
        assert (tmp_path / name).read_bytes() != whole
    assert told[0] == told[1]
    assert told[0].text


def test_bytes_that_checksums_guard_are_known() -> None:
    assert format_of(SAMPLE_PATH) == "hdf5"
    blocks = stored_blocks(SAMPLE_PATH, "soil_moisture")
    assert len(blocks) == 64  # 8 x 8 chunks
    assert all(is_guarded and size > 0 for _, size, is_guarded in blocks)
    places, is_guarded = structure_places(SAMPLE_PATH)
    assert is_guarded
    assert places[:8] == list(range(8))
