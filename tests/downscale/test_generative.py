"""Generative downscaling draws fields that belong to places and days, and says what they say together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import vadose.synthetic
from vadose.downscale.base import Reach
from vadose.downscale.conserve import residual
from vadose.downscale.generative import Generative
from vadose.downscale.members import ClosedMembers, find_dispersion, sum_up
from vadose.downscale.noise import Noise, day_numbers, first_cell
from vadose.downscale.tiled import Tiled
from vadose.downscale.tiles import predict_tile, tiling_of
from vadose.errors import CubeProblem, ModelProblem, UnknownName, ValueProblem
from vadose.grids import latlon, named_grid
from vadose.models import RandomForest
from vadose.schema import check_cube, check_values

FACTOR = 4
PREDICTORS = ["ndvi", "land_surface_temperature", "sand"]
TARGET = "soil_moisture"
DAY = int(day_numbers(np.array(["2020-05-01"], "M8[D]"))[0])


class Regression:
    """A line through the predictors, and Gaussian errors around it."""

    name = "regression"
    kind = "rows"

    def fit(self, X: Any, y: Any, *, weight: Any = None, groups: Any = None) -> Regression:
        self.line_ = np.linalg.lstsq(np.c_[X, np.ones(len(X))], y, rcond=None)[0]
        self.sd_ = float(np.std(y - self.predict(X)))
        return self

    def predict(self, X: Any) -> Any:
        # term by term, so that no bit depends on how many rows there are
        return (
            sum(X[:, place].astype("f8") * one for place, one in enumerate(self.line_[:-1]))
            + (self.line_[-1])
        )

    def sample(self, X: Any, noise: Any, *, steps: int) -> Any:
        return self.predict(X) + self.sd_ * noise

    def save(self, folder: Any) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Any) -> Regression:
        raise NotImplementedError


@pytest.fixture(scope="module")
def cubes() -> tuple[xr.Dataset, xr.Dataset]:
    """Fine predictors and a coarse cube of 8 x 8 cells, both with gaps."""
    world = vadose.synthetic.world(size=32, days=5, factor=FACTOR, seed=1)
    fine = world.predictors[PREDICTORS]
    fine["sand"][3:5, 6] = np.nan
    fine["ndvi"][1, 20, 21] = np.nan
    means = fine.coarsen(y=FACTOR, x=FACTOR).mean()
    values = {name: (means[name].dims, means[name].values, fine[name].attrs) for name in PREDICTORS}
    coarse = world.coarse_truth[[TARGET]].assign(values)
    coarse[TARGET][1, 1, 4] = np.nan
    return fine, coarse


def generative(cubes: tuple[xr.Dataset, xr.Dataset], **settings: Any) -> Generative:
    return Generative(Regression(), PREDICTORS, **settings).fit(cubes[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("coherence", ["shared", "smooth", "independent"])
def test_tiles_and_chunks_change_no_bit(
    coherence: Any, cubes: tuple[xr.Dataset, xr.Dataset]
) -> None:
    fine, coarse = cubes
    drawn = generative(cubes, members=3, noise=coherence, length=5)
    whole = check_values(check_cube(drawn.predict(fine, coarse)))
    lazy = drawn.predict(fine.chunk({"time": 2, "y": 9}), coarse)
    assert lazy.identical(whole)
    tiling = tiling_of(fine, coarse, TARGET, cells={"y": 3, "x": 2}, together=2)
    for tile in list(tiling)[::5]:
        part = predict_tile(
            drawn,
            tiling,
            tile,
            lambda window: fine.isel(window).load(),
            lambda window: coarse.isel(window).load(),
            fine["time"].values,
            coarse["time"].values,
        )
        expected = whole.isel(tiling.inside(tile))
        for name in whole.data_vars:
            np.testing.assert_array_equal(part[name], expected[name], err_msg=str(name))
    drawn = generative(cubes, members=3, noise=coherence, length=5, keeps_members=False)
    tiled = Tiled(drawn, cells=3, together=2).predict(fine, coarse)
    for name in tiled.data_vars:
        np.testing.assert_array_equal(tiled[name], whole[name], err_msg=str(name))
    assert drawn.reach(FACTOR) == Reach()


def test_the_mean_spread_and_quantiles_are_those_of_the_members(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    product = generative(cubes, members=19, noise="smooth").predict(*cubes)
    members = product[f"{TARGET}_members"]
    assert members.dims == ("member", "time", "y", "x")
    np.testing.assert_allclose(product[TARGET], members.mean("member", skipna=False), rtol=1e-6)
    spread = members.std("member", ddof=1, skipna=False)
    np.testing.assert_allclose(product[f"{TARGET}_spread"], spread, rtol=1e-4)
    # of 19 draws, 1 in 20 falls below the lowest and 1 in 20 above the highest
    assert product[f"{TARGET}_lower"].equals(members.min("member", skipna=False))
    assert product[f"{TARGET}_upper"].equals(members.max("member", skipna=False))
    assert product[f"{TARGET}_lower"].attrs["quantiles_of"] == "19 members"
    is_gap = np.isnan(cubes[0]["sand"]) | np.isnan(cubes[0]["ndvi"])
    assert (members.isnull() == is_gap).all()
    assert product[TARGET].attrs["ancillary_variables"].split()[-1] == f"{TARGET}_interval_width"


def test_intervals_of_ten_shared_members_cover_what_they_say() -> None:
    truth = np.random.default_rng(0).standard_normal(4000)
    grid = named_grid("EASE2_9km")[500:501, 900:901]
    noise = Noise(10, "shared")
    members = np.stack([noise.field(grid, DAY + day) for day in range(4000)], axis=1)[..., 0]
    product = xr.Dataset(
        {
            TARGET: (
                ("time", "y", "x"),
                np.zeros((4000, 1, 1), "f4"),
                {"units": "m3 m-3"},
            )
        },
        coords={
            **vadose.grids.coordinates(grid),
            "time": np.datetime64("2000-01-01", "ns") + np.arange(4000).astype("m8[D]"),
        },
    )
    told = sum_up(product, TARGET, members[..., None], level=0.9, is_stratified=True)
    lower, upper = (told[f"{TARGET}_{end}"].values.ravel() for end in ("lower", "upper"))
    share = np.mean((truth >= lower) & (truth <= upper))
    assert share == pytest.approx(0.9, abs=0.015)


def test_shared_noise_is_one_value_smooth_noise_a_field_and_independent_noise_speckle(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    grid = named_grid("EASE2_9km")[400:656, 900:1156]
    fields = {
        name: Noise(2, name, length=8).field(grid, DAY)  # type: ignore[arg-type]
        for name in ("shared", "smooth", "independent")
    }
    assert np.ptp(fields["shared"][0]) == 0
    assert fields["shared"][0, 0, 0] != fields["shared"][1, 0, 0]
    for name in ("smooth", "independent"):
        values = fields[name]
        assert values.std() == pytest.approx(1.0, abs=0.06), name
        assert np.corrcoef(values[0].ravel(), values[1].ravel())[0, 1] == pytest.approx(0, abs=0.1)
    neighbours = {
        name: np.corrcoef(values[0, :, 1:].ravel(), values[0, :, :-1].ravel())[0, 1]
        for name, values in fields.items()
        if name != "shared"
    }
    assert neighbours["smooth"] > 0.98
    assert abs(neighbours["independent"]) < 0.02


def test_smooth_noise_has_unit_variance_at_every_place() -> None:
    grid = latlon(1.0)[40:52, 100:112]
    noise = Noise(40, "smooth", length=5)
    many = np.concatenate([noise.field(grid, day) for day in range(100)])
    assert np.abs(many.std(axis=0) - 1).max() < 0.06
    assert stats.kstest(many[:, 3, 7], "norm").pvalue > 0.01


def test_noise_belongs_to_the_cell_the_day_the_member_and_the_seed() -> None:
    whole = latlon(0.25)[300:500, 600:840]  # on both sides of the equator and of Greenwich
    for name in ("shared", "smooth", "independent"):
        noise = Noise(3, name, length=7)  # type: ignore[arg-type]
        field = noise.field(whole, DAY)
        part = noise.field(whole[55:71, 66:190], DAY)
        np.testing.assert_array_equal(part, field[:, 55:71, 66:190])
        assert not np.array_equal(noise.field(whole, DAY + 1), field)
        assert not np.array_equal(Noise(3, name, length=7, seed=1).field(whole, DAY), field)  # type: ignore[arg-type]
    assert first_cell(whole[1:, 2:]) == (first_cell(whole)[0] + 1, first_cell(whole)[1] + 2)


def test_shared_members_span_the_slices_of_the_normal_distribution() -> None:
    grid = latlon(10.0)
    values = np.sort(Noise(8, "shared").field(grid, DAY)[:, 0, 0])
    slices = np.floor(stats.norm.cdf(values) * 8)
    np.testing.assert_array_equal(slices, np.arange(8))
    first = [Noise(8, "shared").field(grid, DAY + day)[0, 0, 0] for day in range(2000)]
    assert stats.kstest(first, "norm").pvalue > 0.01  # each member by itself is standard normal


def test_independent_noise_makes_speckle_and_shared_noise_makes_none(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    def speckle(coherence: Any) -> float:
        product = generative(cubes, members=2, noise=coherence).predict(*cubes)
        members = product[f"{TARGET}_members"]
        return float(abs((members[1] - members[0]).diff("x")).mean())

    sd = generative(cubes).model.sd_  # type: ignore[attr-defined]
    assert speckle("shared") < 1e-7
    # of four draws, two with either sign: the mean size of a normal value of variance 4
    assert speckle("independent") == pytest.approx(2 * sd * np.sqrt(2 / np.pi), rel=0.03)


def test_every_member_closes_inside_the_bounds(cubes: tuple[xr.Dataset, xr.Dataset]) -> None:
    fine, coarse = cubes
    product = check_cube(ClosedMembers(generative(cubes, members=4)).predict(fine, coarse))
    members = product[f"{TARGET}_members"]
    for member in members:
        assert float(abs(residual(member, coarse[TARGET])).max()) < 6e-4
    assert float(members.min()) >= 0
    assert float(abs(product["closure_residual"]).max()) < 6e-4
    free = generative(cubes, members=4).predict(fine, coarse)
    is_known = product["closure_residual"].notnull()
    closed_spread = product[f"{TARGET}_spread"].where(is_known).mean()
    assert float(closed_spread) < 0.2 * float(free[f"{TARGET}_spread"].where(is_known).mean())


def test_members_are_drawn_together_until_their_spread_is_their_error(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    rng = np.random.default_rng(0)
    plain = generative(cubes, members=8, noise="smooth", length=2).predict(*cubes)
    mean, spread = plain[TARGET].values, plain[f"{TARGET}_spread"].values
    observed = mean + 0.5 * spread.mean(where=np.isfinite(spread)) * rng.standard_normal(mean.shape)
    drawn = plain[f"{TARGET}_members"].values.reshape(8, -1)
    factor = find_dispersion(drawn, observed.ravel())
    assert factor == pytest.approx(0.5 * np.sqrt(8 / 9), rel=0.1)
    narrow = generative(cubes, members=8, noise="smooth", length=2, dispersion=factor)
    product = narrow.predict(*cubes)
    np.testing.assert_allclose(product[f"{TARGET}_spread"], factor * spread, rtol=1e-3)
    np.testing.assert_allclose(product[TARGET], mean, rtol=1e-5)
    with pytest.raises(ValueProblem, match=r"8 members at 9 places.*at 10 places or more"):
        find_dispersion(drawn[:, :9], observed.ravel()[:9])
    with pytest.raises(ValueProblem, match="dispersion above 0"):
        generative(cubes, dispersion=0.0)


def test_what_observations_err_by_is_no_part_of_the_dispersion() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(5000)
    observed = truth + 2.0 * rng.standard_normal(5000)
    slices = stats.norm.ppf((np.arange(10) + 0.5) / 10)
    members = np.sqrt(5.0) * (slices / slices.std())[:, None] * np.ones(5000)
    # learned from values that err, members have the spread of these
    assert find_dispersion(members, observed, is_stratified=True) == pytest.approx(1.0, abs=0.03)
    factor = find_dispersion(members, observed, error=2.0, is_stratified=True)
    assert factor == pytest.approx(1 / np.sqrt(5.0), rel=0.1)
    with pytest.raises(ValueProblem, match=r"difference of .*more than the observations' own.* 5"):
        find_dispersion(members, observed, error=5.0)


def test_many_smooth_members_are_balanced_at_every_place() -> None:
    grid = latlon(1.0)[40:52, 100:112]
    field = Noise(10, "smooth", length=5).field(grid, DAY)
    np.testing.assert_allclose(field.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(field.std(axis=0), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(
        field[:, 3:8, 2:6], Noise(10, "smooth", length=5).field(grid[3:8, 2:6], DAY)
    )


class AsLearned(Regression):
    coherence = "smooth"


def test_noise_hangs_together_as_the_model_has_learned(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    learned = Generative(AsLearned(), PREDICTORS, members=3).fit(cubes[1])  # type: ignore[arg-type]
    given = generative(cubes, members=3, noise="smooth", length=FACTOR)
    assert learned.noise.coherence == "smooth"
    assert learned.predict(*cubes).equals(given.predict(*cubes))
    assert generative(cubes, members=3).noise.coherence == "shared"


def test_a_field_without_time_has_members_too(cubes: tuple[xr.Dataset, xr.Dataset]) -> None:
    fine, coarse = (cube.isel(time=0, drop=True) for cube in cubes)
    product = generative((fine, coarse), members=3).predict(fine, coarse)
    assert product[f"{TARGET}_members"].dims == ("member", "y", "x")


def test_what_cannot_be_drawn_is_refused(cubes: tuple[xr.Dataset, xr.Dataset]) -> None:
    with pytest.raises(ModelProblem, match=r"'random_forest': found one that gives a value alone"):
        Generative(RandomForest(), PREDICTORS)
    with pytest.raises(ValueProblem, match=r"members=1.*2 members or more"):
        generative(cubes, members=1)
    with pytest.raises(UnknownName, match=r"noise 'smoth'.*Did you mean 'smooth'"):
        generative(cubes, noise="smoth")
    with pytest.raises(ValueProblem, match=r"length=0.*1 or more"):
        generative(cubes, length=0)
    with pytest.raises(ModelProblem, match="no fit"):
        Generative(Regression(), PREDICTORS).predict(*cubes)  # type: ignore[arg-type]
    bare = generative(cubes, keeps_members=False)
    with pytest.raises(CubeProblem, match=r"also soil_moisture_members.*keeps_members=True"):
        ClosedMembers(bare).predict(*cubes)
