"""The table of variables is sound, and each way of not being a cube has its own words."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from vadose.errors import CubeProblem, UnitProblem, UnknownName, VadoseError, ValueProblem
from vadose.grids import coordinates, latlon
from vadose.schema import (
    FILL_LIKE,
    FLAGS,
    IGBP,
    ORIGIN,
    QUALITY,
    VARIABLES,
    Variable,
    check_cube,
    check_values,
    variable,
)

#: Units of docs/conventions.md.
UNITS = {"m3 m-3", "K", "mm day-1", "kg m-2", "m", "day", "degree", "%", "1"}
UNITS |= {"degrees_east", "degrees_north"}


def make_cube() -> xr.Dataset:
    shape = (3, 2, 4)
    cube = xr.Dataset(coords=coordinates(latlon(1.0, (0.0, 50.0, 4.0, 52.0))))
    cube["time"] = np.arange("2019-07-01", 3, dtype="M8[D]").astype("M8[us]")
    for name, values in {
        "soil_moisture": np.full(shape, 0.2, "f4"),
        "origin": np.ones(shape, "u1"),
        "is_water": np.zeros(shape, "i1"),
    }.items():
        cube[name] = (("time", "y", "x"), values, VARIABLES[name].attributes())
    cube["elevation"] = (("y", "x"), np.ones((2, 4)), VARIABLES["elevation"].attributes())
    return cube


# --- the table ---


@pytest.mark.parametrize("row", VARIABLES.values(), ids=VARIABLES.keys())
def test_every_row_is_sound(row: Variable) -> None:
    low, high = row.valid_range
    assert low < high
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name)
    assert row.units in UNITS
    assert row.long_name
    assert row.long_name == row.long_name.strip()
    assert re.fullmatch(r"([a-z][a-z0-9_]*( standard_error)?)?", row.standard_name)
    assert row.attributes()["units"] == row.units
    assert ("standard_name" in row.attributes()) == bool(row.standard_name)
    if row.kind == "continuous" and row.name != "snow_water_equivalent":  # ice may reach 65535
        assert not any(low <= fill <= high for fill in FILL_LIKE)


@pytest.mark.parametrize("row", VARIABLES.values(), ids=VARIABLES.keys())
def test_codes_are_never_interpolated_or_averaged(row: Variable) -> None:
    if row.kind == "continuous":
        assert row.aggregation in ("mean", "sum", "max")
        assert row.interpolation in ("smooth", "nearest")
    else:
        assert row.aggregation not in ("mean", "sum")
        assert row.interpolation == "nearest"


def test_names_are_unique_and_keys_are_names() -> None:
    assert all(key == row.name for key, row in VARIABLES.items())
    long_names = [row.long_name for row in VARIABLES.values()]
    assert len(set(long_names)) == len(long_names)


def test_every_class_has_a_share() -> None:
    assert len(IGBP.meanings) == 17
    assert all(f"land_cover_{meaning}" in VARIABLES for meaning in IGBP.meanings)


def test_codes_fill_their_valid_range() -> None:
    for name, flags in {"origin": ORIGIN, "land_cover": IGBP}.items():
        values = flags.attributes()["flag_values"]
        assert isinstance(values, np.ndarray)
        assert VARIABLES[name].valid_range == (values.min(), values.max())
    for name, bits in {"quality": QUALITY, "flags": FLAGS}.items():
        assert VARIABLES[name].valid_range == (0, bits.mask(*bits.meanings))


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        VARIABLES["ndvi"].units = "%"  # type: ignore[misc]


def test_variable_names_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match=r"variable 'soil_moistur'.* Did you mean 'soil_moisture'"
    ):
        variable("soil_moistur")


# --- flags and bits ---


def test_flags_follow_cf() -> None:
    for flags in (ORIGIN, IGBP):
        attributes = flags.attributes()
        values, meanings = attributes["flag_values"], str(attributes["flag_meanings"]).split()
        assert isinstance(values, np.ndarray)
        assert values.dtype == np.uint8
        assert tuple(meanings) == flags.meanings
        assert [flags.code(meaning) for meaning in meanings] == list(values)


def test_origin_codes_are_those_of_the_conventions() -> None:
    meanings = ("missing", "observed", "downscaled", "filled", "extrapolated", "masked")
    assert [ORIGIN.code(meaning) for meaning in meanings] == [0, 1, 2, 3, 4, 5]


def test_unknown_meanings_are_named() -> None:
    with pytest.raises(UnknownName, match="flag 'guessed': found no such name, expected one of"):
        ORIGIN.code("guessed")
    with pytest.raises(UnknownName, match=r"quality reason 'cloudy'.* Did you mean 'cloud'"):
        QUALITY.mask("frozen", "cloudy")
    with pytest.raises(UnknownName, match=r"flag 'extrapolate'.* Did you mean 'extrapolated'"):
        FLAGS.mask("extrapolate")


@given(st.lists(st.sampled_from(QUALITY.meanings)))
def test_bits_are_independent(meanings: list[str]) -> None:
    total = QUALITY.mask(*meanings)
    assert {name for name in QUALITY.meanings if total & QUALITY.mask(name)} == set(meanings)


# --- check_cube ---


def test_a_cube_passes_as_it_is() -> None:
    cube = make_cube()
    assert check_cube(cube, required=["soil_moisture", "elevation"]) is cube
    assert check_values(cube) is cube
    ensemble = cube.expand_dims(member=[0, 1])
    assert check_cube(ensemble) is ensemble
    assert check_cube(cube.isel(time=slice(0, 1), y=slice(0, 1), x=slice(0, 1)))


def change(name: str, **attrs: object) -> Callable[[xr.Dataset], object]:
    return lambda cube: cube[name].attrs.update(attrs)


def with_dtype(name: str, dtype: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda cube: cube.assign({name: cube[name].astype(dtype, keep_attrs=True)})


def with_times(*times: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda cube: cube.assign_coords(time=np.array(times, "M8[us]"))


WRONG: dict[str, tuple[Callable[[xr.Dataset], object], type[VadoseError], str]] = {
    "unknown variable": (
        lambda cube: cube.rename(soil_moisture="sm"),
        UnknownName,
        r"variable 'sm': found no such name",
    ),
    "order of dims": (
        lambda cube: cube.transpose("x", "y", "time"),
        CubeProblem,
        r"input: soil_moisture: found dimensions \('x', 'y', 'time'\), expected \[member,\] "
        r"\[time,\] y, x\. Rename or transpose them\.",
    ),
    "foreign dim": (
        lambda cube: cube.expand_dims("level"),
        CubeProblem,
        r"found dimensions \('level', 'time', 'y', 'x'\)",
    ),
    "no map": (
        lambda cube: cube.isel(x=0, drop=True),
        CubeProblem,
        r"found dimensions \('time', 'y'\)",
    ),
    "no unit": (
        lambda cube: cube["soil_moisture"].attrs.pop("units"),
        UnitProblem,
        r"input: soil_moisture: found no unit, expected 'm3 m-3'\. Convert it when reading\.",
    ),
    "wrong unit": (
        change("soil_moisture", units="percent"),
        UnitProblem,
        r"found unit 'percent', expected 'm3 m-3'",
    ),
    "integers where floats belong": (
        with_dtype("soil_moisture", "i2"),
        CubeProblem,
        r"soil_moisture: found type int16, expected floating point",
    ),
    "floats where codes belong": (
        with_dtype("origin", "f4"),
        CubeProblem,
        r"origin: found type float32, expected integers \(codes\)",
    ),
    "floats where masks belong": (
        with_dtype("is_water", "f8"),
        CubeProblem,
        r"is_water: found type float64, expected integers \(codes\)",
    ),
    "no y": (
        lambda cube: cube.drop_vars("y"),
        CubeProblem,
        r"input: found no coordinate 'y', expected cell centres",
    ),
    "no grid": (
        lambda cube: cube.drop_vars("spatial_ref"),
        CubeProblem,
        r"found no coordinate 'spatial_ref', expected the grid of the cube\. Build coordinates "
        r"with vadose\.grids\.coordinates\(grid\)\.",
    ),
    "y upward": (
        lambda cube: cube.isel(y=slice(None, None, -1)),
        CubeProblem,
        r"found unsorted coordinates, expected y from north to south, x from west to east",
    ),
    "x westward": (
        lambda cube: cube.isel(x=slice(None, None, -1)),
        CubeProblem,
        r"found unsorted coordinates",
    ),
    "x unknown": (
        lambda cube: cube.assign_coords(x=[0.5, np.nan, 2.5, 3.5]),
        CubeProblem,
        r"found unsorted coordinates",
    ),
    "time as number": (
        lambda cube: cube.assign_coords(time=[1, 2, 3]),
        CubeProblem,
        r"input: time: found type int64, expected datetime64",
    ),
    "no time stamps": (
        lambda cube: cube.drop_vars("time"),
        CubeProblem,
        r"input: time: found type int64, expected datetime64",
    ),
    "time backward": (
        lambda cube: cube.isel(time=slice(None, None, -1)),
        CubeProblem,
        r"found missing, duplicate or unordered time stamps, expected strictly increasing time",
    ),
    "time twice": (
        with_times("2019-07-01", "2019-07-01", "2019-07-02"),
        CubeProblem,
        r"duplicate or unordered time stamps",
    ),
    "time missing": (
        with_times("2019-07-01", "NaT", "2019-07-02"),
        CubeProblem,
        r"found missing, duplicate",
    ),
    "only time missing": (
        lambda cube: cube.isel(time=[0]).assign_coords(time=np.array(["NaT"], "M8[us]")),
        CubeProblem,
        r"found missing, duplicate",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_cube_is_told_why(kind: str) -> None:
    spoil, problem, text = WRONG[kind]
    cube = make_cube()
    spoiled = spoil(cube)
    cube = spoiled if isinstance(spoiled, xr.Dataset) else cube
    with pytest.raises(problem, match=text):
        check_cube(cube, source="input")


def test_required_variables_are_named() -> None:
    with pytest.raises(
        CubeProblem,
        match=r"file\.nc: found variables \['elevation', .*\], expected also ndvi, sand\.",
    ):
        check_cube(make_cube(), required=["sand", "ndvi", "elevation"], source="file.nc")


def test_values_are_not_read_by_check_cube() -> None:
    cube = make_cube().chunk(time=1)

    def refuse(values: np.ndarray) -> np.ndarray:
        raise AssertionError("read")

    cube["soil_moisture"].data = cube["soil_moisture"].data.map_blocks(
        refuse, dtype="f4", meta=np.array((), "f4")
    )
    check_cube(cube)


# --- check_values ---


def test_no_valid_value_is_refused() -> None:
    cube = make_cube()
    cube["soil_moisture"][:] = np.nan
    with pytest.raises(
        ValueProblem,
        match=r"cube: soil_moisture: found no valid value \(all NaN\), expected data",
    ):
        check_values(cube)


def test_gaps_pass() -> None:
    cube = make_cube()
    cube["soil_moisture"][1:] = np.nan
    assert check_values(cube) is cube


def test_values_out_of_range_are_counted_and_the_worst_is_shown() -> None:
    cube = make_cube()
    cube["soil_moisture"].values[0, 0, :3] = [1.5, -2.5, np.nan]
    with pytest.raises(ValueProblem) as caught:
        check_values(cube, source="file.nc")
    assert str(caught.value) == (
        "file.nc: soil_moisture: found 2 values outside the valid range, the worst -2.5, expected "
        "0 to 1 m3 m-3. Mask fill values and convert units when reading."
    )


@pytest.mark.parametrize("fill", FILL_LIKE)
def test_fill_values_are_recognised(fill: float) -> None:
    cube = make_cube()
    cube["soil_moisture"].values[0, 0, 0] = fill
    with pytest.raises(
        ValueProblem, match=r"1 values outside the valid range, the worst .* \(a fill value\?\)"
    ):
        check_values(cube)


def test_unknown_codes_are_refused() -> None:
    cube = make_cube()
    cube["origin"].values[0, 0, 0] = 255
    with pytest.raises(
        ValueProblem, match=r"origin: found 1 values .* worst 255, expected 0 to 6 1"
    ):
        check_values(cube)


@given(value=st.floats(width=32), name=st.sampled_from(["soil_moisture", "elevation"]))
def test_exactly_the_valid_range_and_gaps_pass(value: float, name: str) -> None:
    cube = make_cube()
    cube[name].values[..., 0, 0] = value
    low, high = VARIABLES[name].valid_range
    if np.isnan(value) or low <= value <= high:
        check_values(cube)
    else:
        with pytest.raises(ValueProblem, match=name):
            check_values(cube)
