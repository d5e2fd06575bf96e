"""Planted resolutions are found: of smoothed fields, of repeated coarse cells, and not of noise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from vadose.cubes.regrid import area_mean, nearest
from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import coarsened, coordinates, latlon, named_grid
from vadose.validate.resolution import curve, effective_resolution
from vadose.validate.spectrum import spectra
from vadose.validate.variogram import variograms

#: At 30° of latitude the cells of EASE-Grid 2.0 are squares on the ground.
GRID = named_grid("EASE2_1km")[3620:3812, 27468:27660]
CELL = 1.00089502334956  # km
SIGMA = 2.0
BLOCK = 12


def red_noise(slope: float, *, steps: int = 3, seed: int = 0) -> xr.DataArray:
    """Make fields whose power falls with this power of the wavenumber."""
    rng = np.random.default_rng(seed)
    wavenumber = np.hypot(np.fft.fftfreq(384)[:, None], np.fft.fftfreq(384))
    wavenumber[0, 0] = 1.0
    waves = np.fft.fft2(rng.standard_normal((steps, 384, 384))) * wavenumber ** (-slope / 2)
    values = np.fft.ifft2(waves).real[:, :192, :192]
    times = np.datetime64("2019-07-01", "ns") + np.arange(steps) * np.timedelta64(1, "D")
    return xr.DataArray(
        0.25 + 0.05 * values / values.std(),
        dims=("time", "y", "x"),
        coords={**coordinates(GRID), "time": times},
    )


@pytest.fixture(scope="module")
def products() -> dict[str, xr.DataArray]:
    truth = red_noise(3.0)
    coarse = coarsened(GRID, BLOCK)
    rng = np.random.default_rng(1)
    return {
        "truth": truth,
        "smooth": truth.copy(data=gaussian_filter(truth.values, (0, SIGMA, SIGMA))),
        "repeated": nearest(area_mean(truth, coarse), GRID),
        "noisy": truth + 0.01 * rng.standard_normal(truth.shape),
        "constant": xr.full_like(truth, 0.3),
        "opposite": 0.5 - truth,
    }


@pytest.fixture(scope="module")
def scales(products: dict[str, xr.DataArray]) -> xr.Dataset:
    return spectra(products, reference="truth", box=96)


@pytest.fixture(scope="module")
def lags(products: dict[str, xr.DataArray]) -> xr.Dataset:
    gaps = np.random.default_rng(2).random((192, 192)) < 0.3
    gappy = {name: one.where(~gaps) for name, one in products.items()}
    return variograms(gappy, reference="truth", longest=40.0)


def test_a_field_smoothed_at_a_known_scale_has_the_resolution_of_its_filter(
    scales: xr.Dataset,
) -> None:
    """A Gaussian leaves exp(-(2 pi s / wavelength)²) of the power."""
    for share in (0.3, 0.5, 0.7):
        found = effective_resolution(scales, "smooth", measure="variance", share=share)
        expected = 2 * np.pi * SIGMA * CELL / np.sqrt(-np.log(share))
        assert found.status == "found"
        assert found.wavelength == pytest.approx(expected, rel=0.08)
    transfer = curve(scales, "smooth", measure="variance")
    long = scales["wavelength"] > 10.0
    expected_curve = np.exp(-((2 * np.pi * SIGMA * CELL / scales["wavelength"]) ** 2))
    np.testing.assert_allclose(transfer[long], expected_curve[long], atol=0.08)


def test_repeated_coarse_cells_resolve_no_more_than_the_cells(
    scales: xr.Dataset, lags: xr.Dataset
) -> None:
    for told in (scales, lags):
        for measure in ("both", "agreement"):
            found = effective_resolution(told, "repeated", measure=measure)
            assert found.status == "found"
            assert found.wavelength >= 2 * 0.9 * BLOCK * CELL
    # their edges have the variance that their pattern lacks: it is not to be trusted alone
    steep = spectra(
        {
            "truth": red_noise(4.0),
            "repeated": nearest(area_mean(red_noise(4.0), coarsened(GRID, BLOCK)), GRID),
        },
        reference="truth",
        box=64,
    )
    alone = effective_resolution(steep, "repeated", measure="variance", share=0.3)
    assert alone.wavelength < BLOCK
    assert effective_resolution(steep, "repeated").wavelength >= BLOCK * CELL


def test_nothing_is_lost_of_the_truth_itself(scales: xr.Dataset, lags: xr.Dataset) -> None:
    for told in (scales, lags):
        found = effective_resolution(told, "truth")
        assert found.status == "at the finest scale"
        assert found.wavelength == pytest.approx(2 * CELL, rel=0.25)
        np.testing.assert_allclose(curve(told, "truth"), 1.0, rtol=1e-9)


def test_noise_has_variance_and_no_agreement(scales: xr.Dataset) -> None:
    by_variance = effective_resolution(scales, "noisy", measure="variance")
    assert by_variance.status == "at the finest scale"
    by_agreement = effective_resolution(scales, "noisy", measure="agreement")
    assert by_agreement.status == "found"
    # half of the variance is in common where the powers of truth and noise are equal
    noise = 0.01**2 * CELL**2
    truth = scales["variance"].sel(product="truth").mean("time")
    crossing = float(scales["wavelength"][int((truth < noise).argmax("scale"))])
    assert by_agreement.wavelength == pytest.approx(crossing, rel=0.15)
    assert effective_resolution(scales, "noisy") == by_agreement


def test_what_does_not_vary_or_goes_the_other_way_resolves_nothing(
    scales: xr.Dataset, lags: xr.Dataset
) -> None:
    for told in (scales, lags):
        longest = float(told["wavelength"].max())
        for name in ("constant", "opposite"):
            found = effective_resolution(told, name)
            assert found.status == "at the longest scale"
            assert found.wavelength == longest
        reversed_variance = effective_resolution(told, "opposite", measure="variance")
        assert reversed_variance.status == "at the finest scale"


def test_without_a_reference_a_power_law_of_long_waves_stands_for_it(
    products: dict[str, xr.DataArray],
) -> None:
    alone = spectra({"smooth": products["smooth"], "truth": products["truth"]}, box=96)
    whole = effective_resolution(alone, "truth", law=(90.0, 20.0))
    assert whole.status == "at the finest scale"
    found = effective_resolution(alone, "smooth", law=(90.0, 20.0))
    assert found.status == "found"
    assert 5.0 < found.wavelength < 2 * np.pi * SIGMA / np.sqrt(np.log(2)) * 1.2
    with pytest.raises(ValueProblem, match="scales: found no reference"):
        effective_resolution(alone, "smooth")
    with pytest.raises(ValueProblem, match=r"law: found 0 scales between 1 and 1.5 km, expected 3"):
        effective_resolution(alone, "smooth", law=(1.5, 1.0))


def test_one_day_can_be_asked_for(scales: xr.Dataset) -> None:
    days = [
        effective_resolution(scales.isel(time=[step]), "smooth", measure="variance").wavelength
        for step in range(3)
    ]
    together = effective_resolution(scales, "smooth", measure="variance").wavelength
    assert min(days) <= together <= max(days)
    assert len(set(days)) == 3


def test_a_day_without_a_box_has_no_say(products: dict[str, xr.DataArray]) -> None:
    truth, smooth = (products[name] for name in ("truth", "smooth"))
    holed = truth.copy()
    holed[1, ::20, ::20] = np.nan
    told = spectra({"truth": holed, "smooth": smooth}, reference="truth", box=64)
    assert told["boxes"].values.tolist() == [25, 0, 25]
    assert np.isnan(told["variance"].isel(time=1)).all()
    without = told.isel(time=[0, 2])
    assert effective_resolution(told, "smooth") == effective_resolution(without, "smooth")


def test_settings_and_names_are_checked(scales: xr.Dataset) -> None:
    with pytest.raises(UnknownName, match=r"product 'smoth'.*Did you mean 'smooth'"):
        effective_resolution(scales, "smoth")
    with pytest.raises(UnknownName, match="measure 'power'"):
        effective_resolution(scales, "smooth", measure="power")  # type: ignore[arg-type]
    with pytest.raises(ValueProblem, match="share: found 0, expected above 0"):
        effective_resolution(scales, "smooth", share=0.0)
    nothing = scales.copy()
    nothing["variance"] = 0.0 * nothing["variance"]
    found = effective_resolution(nothing, "smooth")
    assert found.status == "unknown"
    assert np.isnan(found.wavelength)


def test_fields_of_other_grids_days_or_dims_are_refused() -> None:
    grid = latlon(0.5, (0, 0, 10, 10))
    field = xr.DataArray(np.zeros(grid.shape), dims=("y", "x"), coords=coordinates(grid))
    with pytest.raises(CubeProblem, match="b: found another grid or other days"):
        spectra({"a": field, "b": field[1:]}, box=8)
    with pytest.raises(CubeProblem, match=r"a: found dimensions \('member', 'y', 'x'\)"):
        spectra({"a": field.expand_dims("member")}, box=8)
    with pytest.raises(UnknownName, match="reference 'c'"):
        spectra({"a": field}, reference="c", box=8)
    with pytest.raises(ValueProblem, match="products: found none"):
        variograms({})
