"""The network as a filler sees nothing hidden, depends on its seed alone, and refuses what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ModelProblem, UnknownName, ValueProblem
from vadose.fuse.adversarial import Adversarial
from vadose.synthetic import World, world

pytest.importorskip("torch")
QUICK = {"step": "supervised", "width": 6, "blocks": 1, "epochs": 2, "patience": 0}


@pytest.fixture(scope="module")
def small() -> World:
    return world(size=48, days=14, factor=4, seed=3)


def test_it_fills_everything_and_the_seed_decides(small: World) -> None:
    seen = small.coarse["soil_moisture"]
    model = small.land_model.assign(elevation=seen.isel(time=0, drop=True).fillna(0.2) * 100)
    one, same, other = (
        Adversarial(draws=2, seed=seed, settings=QUICK).fit(seen, model).fill(seen, model)
        for seed in (1, 1, 2)
    )
    assert one.notnull().all()
    assert (one >= 0).all()
    assert (one <= np.float32(0.6)).all()
    xr.testing.assert_identical(one, same)
    assert not one.equals(other)


def test_what_is_hidden_is_not_seen(small: World) -> None:
    seen = small.coarse["soil_moisture"]
    filler = Adversarial(draws=2, settings=QUICK).fit(seen, small.land_model)
    known = seen.where(seen["time"] != seen["time"][5])
    wrong = known.where(known["time"] == known["time"][4], known)
    first = filler.fill(known, small.land_model)
    assert first.equals(filler.fill(wrong, small.land_model))
    assert not first.isel(time=5).equals(filler.fill(seen, small.land_model).isel(time=5))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"guess": "kriging"}, UnknownName, "kriging"),
        ({"draws": 1}, ValueProblem, "2 draws or more"),
        ({"share": 1.5}, ValueProblem, "share=1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, error, words) -> None:
    with pytest.raises(error, match=words):
        Adversarial(**settings)


def test_a_fit_is_needed(small: World) -> None:
    with pytest.raises(ModelProblem, match="expected a fitted filler"):
        Adversarial().fill(small.coarse["soil_moisture"], small.land_model)
