"""SMAP readers against the real granules, and against files made of them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest
from dask.callbacks import Callback

from vadose.errors import FileProblem, NoOverlap, UnitProblem
from vadose.grids import grid_of, lonlat, named_grid
from vadose.products import smap, smap_l4, smap_part
from vadose.products.smap_flags import (
    RETRIEVAL_REASONS,
    SURFACE_REASONS,
    combine_passes,
    combine_quality,
    decode_quality,
)
from vadose.schema import QUALITY, check_cube, check_values

sys.path.insert(0, str(Path(__file__).parent))
from fixtures_smap import GRANULES, GROUP, SMAP, gridded, write_geophysical, write_level3

sys.path.pop(0)

needs_data = pytest.mark.skipif(not SMAP.is_dir(), reason="needs ../shared/data/native/smap")
ALASKA = (-170.0, 55.0, -130.0, 72.0)

# Valid count, smallest, mean and largest soil moisture inside the file's own valid range.
GOLDEN = {
    GRANULES[0]: (1152, 0.0628096, 0.2348249, 0.4996458),
    GRANULES[1]: (604, 0.0673958, 0.2310466, 0.4994522),
}


class Computations(Callback):
    """Count the tasks that dask runs."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def _pretask(self, key, graph, state):
        self.count += 1


@pytest.fixture(scope="session")
def level3(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("level3")
    return write_level3(folder / "SMAP_L3_SM_P_20150811_R18290_001.h5")


@pytest.fixture(scope="session")
def level3_enhanced(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("level3e")
    return write_level3(folder / "SMAP_L3_SM_P_E_20150811_R18290_001.h5", factor=4)


def summary(values: np.ndarray) -> tuple[int, float, float, float]:
    valid = values[np.isfinite(values)].astype("f8")
    return valid.size, valid.min(), valid.mean(), valid.max()


# Level 2


@needs_data
@pytest.mark.parametrize("granule", GRANULES)
def test_level2_golden_and_independent(granule):
    cube = smap.SPL2SMP.open(granule)
    check_values(cube)
    with h5py.File(granule) as file:
        raw = file[GROUP]["soil_moisture"][:].astype("f8")
        low, high = (file[GROUP]["soil_moisture"].attrs[f"valid_{end}"] for end in ("min", "max"))
    kept = raw[(raw >= low) & (raw <= high)]
    found = summary(cube["soil_moisture"].values)
    np.testing.assert_allclose(found, (kept.size, kept.min(), kept.mean(), kept.max()), rtol=1e-6)
    np.testing.assert_allclose(found, GOLDEN[granule], rtol=1e-6)
    assert cube["soil_moisture"].attrs["depth_to"] == 0.05
    assert cube["soil_moisture"].attrs["cell_methods"] == "time: point"


@needs_data
def test_level2_cells_lie_where_the_file_says():
    cube = smap.SPL2SMP.open(GRANULES[0])
    assert grid_of(cube) == named_grid("EASE2_36km")
    longitude, latitude = lonlat(grid_of(cube))
    with h5py.File(GRANULES[0]) as file:
        held = file[GROUP]
        index = held["EASE_row_index"][:], held["EASE_column_index"][:]
        np.testing.assert_allclose(latitude[index], held["latitude"][:], atol=2e-5)
        np.testing.assert_allclose(longitude[index], held["longitude"][:], atol=2e-5)


@needs_data
def test_half_orbits_of_a_day_are_steps_in_order_and_duplicates_are_dropped(tmp_path):
    again = shutil.copy(GRANULES[0], tmp_path)
    cube = smap.SPL2SMP.open([GRANULES[1], again, GRANULES[0]])
    stamps = np.array(["2015-08-11T01:30:02", "2015-08-11T03:08:28"], "M8[ns]")
    np.testing.assert_array_equal(cube["time"].values, stamps)
    assert cube.attrs["duplicate_times_dropped"] == 1
    assert cube.attrs["number_of_files"] == 3
    assert summary(cube["soil_moisture"][0].values)[0] == 1152
    assert summary(smap.SPL2SMP.open(SMAP)["soil_moisture"].values)[0] == 1152 + 604


@needs_data
def test_half_orbit_over_midnight_belongs_to_the_day_of_its_start(tmp_path):
    late = tmp_path / "SMAP_L2_SM_P_02815_A_20150811T235002_R18290_001.h5"
    shutil.copy(GRANULES[0], late)
    day = ("2015-08-11", "2015-08-11")
    assert smap.SPL2SMP.open(late, period=day)["time"].values[0] == np.datetime64(
        "2015-08-11T23:50:02"
    )
    with pytest.raises(NoOverlap, match="none of them within it"):
        smap.SPL2SMP.open(late, period=("2015-08-12", "2015-08-12"))


@needs_data
def test_renamed_files_are_dated_by_their_metadata(tmp_path, level3):
    granule, daily = tmp_path / "a.h5", tmp_path / "b.h5"
    shutil.copy(GRANULES[0], granule)
    shutil.copy(level3, daily)
    stamp = smap.SPL2SMP.open(granule)["time"].values[0]
    assert stamp == np.datetime64("2015-08-11T01:30:02")
    assert smap.SPL3SMP.open(daily)["time"].values[0] == np.datetime64("2015-08-11")
    with h5py.File(daily, "a") as file:
        del file["Metadata"]
    with pytest.raises(FileProblem, match="no date in its name and none in Metadata/Extent"):
        smap.SPL3SMP.open(daily)


@needs_data
def test_flag_bits_are_those_the_file_names():
    with h5py.File(GRANULES[0]) as file:
        named = {
            name: file[GROUP][name].attrs["flag_meanings"].decode().split()
            for name in ("retrieval_qual_flag", "surface_flag")
        }
    assert len(named["surface_flag"]) == len(SURFACE_REASONS)
    words = {
        "open_water": ("water", "coastal"),
        "urban": ("urban",),
        "precipitation": ("precipitation",),
        "snow": ("snow",),
        "frozen": ("frozen",),
        "mountainous": ("mountainous",),
        "dense_vegetation": ("dense_vegetation",),
        "other": ("nadir",),
    }
    for meaning, reason in zip(named["surface_flag"], SURFACE_REASONS, strict=True):
        assert any(word in meaning for word in words[reason]), (meaning, reason)
    assert [name.split("_")[-1] for name in named["retrieval_qual_flag"]] == [
        "recommended",
        "attempted",
        "success",
        "success",
    ]
    assert len(RETRIEVAL_REASONS) == 3


@needs_data
def test_quality_against_the_raw_flags():
    cube = smap.SPL2SMP.open(GRANULES[0])
    quality, moisture = cube["quality"].values[0], cube["soil_moisture"].values[0]
    with h5py.File(GRANULES[0]) as file:
        held = file[GROUP]
        index = held["EASE_row_index"][:], held["EASE_column_index"][:]
        retrieval, surface = held["retrieval_qual_flag"][:], held["surface_flag"][:]
        raw = held["soil_moisture"][:]
    found = quality[index]

    def has(reason):
        return found & QUALITY.mask(reason) > 0

    np.testing.assert_array_equal(has("not_recommended"), retrieval & 1 > 0)
    np.testing.assert_array_equal(has("retrieval_failed"), retrieval & 6 > 0)
    np.testing.assert_array_equal(has("frozen"), surface & (128 | 256) > 0)
    np.testing.assert_array_equal(has("snow"), surface & (32 | 64) > 0)
    np.testing.assert_array_equal(has("open_water"), surface & 7 > 0)
    np.testing.assert_array_equal(has("dense_vegetation"), surface & 1024 > 0)
    np.testing.assert_array_equal(has("out_of_range"), raw > 0.5)
    assert has("out_of_range").sum() == 181
    # Nothing the product recommends is lost to its valid range, and flagged values are kept.
    assert not (has("out_of_range") & (retrieval & 1 == 0)).any()
    assert (np.isfinite(moisture[index]) & has("not_recommended")).sum() == 1152 - 592
    fine = np.isfinite(moisture[index]) & (retrieval & 7 == 0)
    assert fine.sum() == 592
    # The radiometer's own frozen-ground bit does not count against a recommended retrieval.
    assert (found[fine] == 0).sum() == 589
    assert (found[fine] == QUALITY.mask("frozen")).sum() == 3
    off_swath = np.ones(quality.shape, bool)
    off_swath[index] = False
    assert (quality[off_swath] == 0).all()
    assert np.isnan(moisture[off_swath]).all()


def test_flag_fill_is_not_read_as_bits():
    assert decode_quality(np.array([65534], "u2"), np.array([65534], "u2")).tolist() == [0]


# Laziness and selection


@needs_data
def test_opening_computes_nothing_and_a_region_reads_only_itself(level3, monkeypatch):
    windows = []
    raw = smap.Pass._raw

    def spy(self, name, rows, columns):
        values, attributes = raw(self, name, rows, columns)
        windows.append(values.shape)
        return values, attributes

    monkeypatch.setattr(smap.Pass, "_raw", spy)
    with Computations() as computations:
        cube = smap.SPL3SMP.open(level3, region=ALASKA, period=("2015-08-11", "2015-08-11"))
    assert computations.count == 0
    assert windows == []
    assert dask.is_dask_collection(cube["soil_moisture"].data)
    shape = (cube.sizes["y"], cube.sizes["x"])
    whole = smap.SPL3SMP.open(level3)
    part = whole["soil_moisture"].sel(y=cube["y"], x=cube["x"]).values
    windows.clear()
    with Computations() as computations:
        np.testing.assert_array_equal(cube["soil_moisture"].values, part)
    assert computations.count > 0
    assert set(windows) == {shape}
    longitude, latitude = lonlat(grid_of(cube))
    assert latitude.min() > 54
    assert latitude.max() < 73
    assert -171 < longitude.min() < longitude.max() < -129


@needs_data
def test_parts_of_parts_agree_with_the_whole(level3):
    cube = smap.SPL3SMP_AM.open(level3)["soil_moisture"]
    whole = cube.values
    np.testing.assert_array_equal(cube[0, 30:60, 100:140][::2].values, whole[0, 30:60:2, 100:140])
    np.testing.assert_array_equal(cube[:, ::-1, 140:100:-3].values, whole[:, ::-1, 140:100:-3])
    assert cube[:, 5:5].values.shape == (1, 0, 964)
    np.testing.assert_array_equal(cube[0, 40, :].values, whole[0, 40, :])
    np.testing.assert_array_equal(cube.isel(y=[50, 40, 60]).values, whole[:, [50, 40, 60]])
    np.testing.assert_array_equal(cube.isel(x=7).values, whole[:, :, 7])


@needs_data
def test_region_and_period_without_data_say_so(level3):
    with pytest.raises(NoOverlap, match="2015-08-12"):
        smap.SPL3SMP.open(level3, period=("2015-08-12", "2015-08-20"))
    with pytest.raises(NoOverlap, match="region"):
        smap.SPL3SMP.open(level3, region=(0.0, 86.0, 10.0, 89.0))


# Level 3


@needs_data
def test_passes_are_the_granules_they_were_made_of(level3):
    for product, granule in ((smap.SPL3SMP_AM, GRANULES[0]), (smap.SPL3SMP_PM, GRANULES[1])):
        cube = product.open(level3)
        check_values(cube)
        daily = cube["soil_moisture"].values
        np.testing.assert_allclose(summary(daily), GOLDEN[granule], rtol=1e-6)
        orbit = smap.SPL2SMP.open(granule)
        for name in orbit:
            np.testing.assert_array_equal(cube[name].values, orbit[name].values)
        assert cube["time"].values[0] == np.datetime64("2015-08-11T00:00")


@needs_data
def test_combination_is_that_of_ma(level3):
    cube = smap.SPL3SMP.open(level3)
    assert cube["soil_moisture"].attrs["cell_methods"] == "time: mean"
    passes = []
    for granule in GRANULES:
        values = gridded(granule, "soil_moisture")[0]
        passes.append(np.where((values < 0.02) | (values > 0.5), np.nan, values))
    both = np.isfinite(passes).all(axis=0)
    expected = np.where(np.isfinite(passes[0]), passes[0], passes[1])
    expected[both] = (passes[0][both] + passes[1][both]) / 2
    np.testing.assert_allclose(cube["soil_moisture"].values[0], expected, rtol=1e-6)
    assert both.sum() == 56
    assert np.isfinite(expected).sum() == 1152 + 604 - 56
    # The reasons of the passes that made the value.
    morning, evening = (
        product.open(level3)["quality"].values[0] for product in (smap.SPL3SMP_AM, smap.SPL3SMP_PM)
    )
    quality = cube["quality"].values[0]
    only_morning = np.isfinite(passes[0]) & ~np.isfinite(passes[1])
    np.testing.assert_array_equal(quality[only_morning], morning[only_morning])
    np.testing.assert_array_equal(quality[both], (morning | evening)[both])


def test_combining_by_hand():
    morning = np.array([0.2, 0.2, np.nan, np.nan], "f4")
    evening = np.array([0.4, np.nan, 0.4, np.nan], "f4")
    np.testing.assert_allclose(combine_passes(morning, evening), [0.3, 0.2, 0.4, np.nan], rtol=1e-6)
    reasons = (np.array([1, 1, 1, 1], "u2"), np.array([4, 4, 4, 4], "u2"))
    has_value = (np.isfinite(morning), np.isfinite(evening))
    assert combine_quality(reasons, has_value).tolist() == [5, 1, 4, 5]


@needs_data
def test_enhanced_product(level3_enhanced):
    cube = smap.SPL3SMP_E.open(level3_enhanced, region=(-130.0, 15.0, -100.0, 45.0))
    assert dict(cube.sizes) | {"time": 1} == dict(cube.sizes)
    whole = smap.SPL3SMP_E_AM.open(level3_enhanced)
    assert grid_of(whole) == named_grid("EASE2_9km")
    count, low, mean, high = GOLDEN[GRANULES[0]]
    np.testing.assert_allclose(
        summary(whole["soil_moisture"].values), (16 * count, low, mean, high), rtol=1e-6
    )
    assert np.isfinite(cube["soil_moisture"].values).any()


def test_every_product_is_told_apart_by_name_and_pattern():
    names = {
        "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5": {"SPL2SMP"},
        "SMAP_L3_SM_P_20150811_R18290_001.h5": {"SPL3SMP", "SPL3SMP_AM", "SPL3SMP_PM"},
        "SMAP_L3_SM_P_E_20150811_R18290_001.h5": {"SPL3SMP_E", "SPL3SMP_E_AM", "SPL3SMP_E_PM"},
        "SMAP_L4_SM_gph_20150401T013000_Vv7032_001.h5": {"SPL4SMGP"},
        "SMAP_L4_SM_aup_20150401T000000_Vv7032_001.h5": {"SPL4SMAU"},
    }
    for name, products in names.items():
        found = {p.name for p in smap.PRODUCTS.values() if Path(name).match(p.pattern)}
        assert found == products
    assert all(key == product.name for key, product in smap.PRODUCTS.items())


# Files that are not what they should be


@needs_data
@pytest.mark.parametrize(
    ("name", "product", "message"),
    [
        ("SC_SPL3SMP_009_prefetch.nc4", smap.SPL3SMP, "found no soil_moisture, retrieval_qual"),
        ("SC_SPL3SMP_subsetted_with_maskfill_mf.nc4", smap.SPL3SMP, "found no soil_moisture"),
        (
            "hoss_shape_file_2d_no_dimensions_reference.nc4",
            smap.SPL3SMP_E_PM,
            "no soil_moisture_pm",
        ),
        (
            "SC_SPL3SMP_008_prefetch.nc4",
            smap.SPL3SMP_PM,
            "no Soil_Moisture_Retrieval_Data_PM, only",
        ),
        ("SMAP_L3_FT_P_corners_input.h5", smap.SPL3SMP, "only Freeze_Thaw_Retrieval_Data_Global"),
        ("SMAP_L4_SM_aup_UTM_input.h5", smap.SPL4SMAU, "no sm_surface_analysis, only sm_profile"),
        ("SMAP_L4_SM_aup_input.h5", smap.SPL4SMGP, "found no Geophysical_Data, only Analysis_Data"),
    ],
)
def test_other_files_are_named_with_what_they_hold(name, product, message):
    with pytest.raises(FileProblem, match=message) as caught:
        product.open(SMAP / name)
    assert name in str(caught.value)


@needs_data
def test_a_part_is_placed_by_the_numbers_of_its_cells_where_the_archive_writes_its_own_coordinates():
    """A half-orbit that NASA has put on 200 by 200 cells of its grid, whose centres it also gives."""
    path = SMAP / "SPL2SMP_reference.nc"
    cube = smap.SPL2SMP.open(path)
    with h5py.File(path) as file:
        x, y = (file[f"Soil_Moisture_Retrieval_Data/{axis}-dim"][:] for axis in "xy")
        raw = file["Soil_Moisture_Retrieval_Data/soil_moisture"][:]
    np.testing.assert_allclose(cube["x"], x, atol=1)
    np.testing.assert_allclose(cube["y"], y, atol=1)
    seen = np.isfinite(cube["soil_moisture"].values[0])
    assert np.array_equal(cube["soil_moisture"].values[0][seen], raw[seen])
    assert seen.any()


@needs_data
@pytest.mark.parametrize(
    ("name", "group", "shape", "grid", "first"),
    [
        # rows 0 to 26 and columns 294 to 455, says the request in the file's own history
        (
            "SC_SPL3SMP_subsetted_with_maskfill_mf.nc4",
            "Soil_Moisture_Retrieval_Data_AM",
            (27, 162),
            "EASE2_36km",
            (0, 294),
        ),
        (
            "hoss_shape_file_2d_no_dimensions_reference.nc4",
            "Soil_Moisture_Retrieval_Data_AM",
            (274, 620),
            "EASE2_9km",
            None,
        ),
    ],
)
def test_subsets_of_the_archive_are_placed_where_they_were_cut(name, group, shape, grid, first):
    """Those of NASA's Harmony: one with nothing but latitude and longitude, one with x and y."""
    whole = named_grid(grid)
    with h5py.File(SMAP / name) as file:
        part = smap_part.part_of(SMAP / name, file, group, "", shape, whole)
        if first is None:
            x, y = file[f"{group}/x"][:], file[f"{group}/y"][:]
            first = tuple(int(np.floor(one)) for one in (~whole.affine * (x[0], y[0]))[::-1])
    assert part == whole[first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]]


@needs_data
def test_off_swath_coordinates_of_the_files_are_no_grid():
    with h5py.File(SMAP / "SC_SPL3SMP_009_prefetch.nc4") as file:
        latitude = file["Soil_Moisture_Retrieval_Data_PM/latitude_pm"][:]
    assert (latitude == -9999).sum() > 1000


@needs_data
def test_absurd_files(level3, tmp_path):
    path = tmp_path / level3.name
    path.write_bytes(GRANULES[0].read_bytes()[:100_000])
    with pytest.raises(FileProblem, match="cannot be read as SPL3SMP"):
        smap.SPL3SMP.open(path)
    path.write_bytes(b"")
    with pytest.raises(FileProblem, match="empty file"):
        smap.SPL3SMP.open(path)
    shutil.copy(level3, path)
    with h5py.File(path, "a") as file:
        file[f"{GROUP}_AM/soil_moisture"].attrs["units"] = b"percent"
    with pytest.raises(UnitProblem, match="'percent'"):
        smap.SPL3SMP.open(path)
    shutil.copy(level3, path)
    with h5py.File(path, "a") as file:
        del file[f"{GROUP}_PM/surface_flag_pm"]
    with pytest.raises(FileProblem, match="no surface_flag_pm, only latitude_pm"):
        smap.SPL3SMP.open(path)
    assert smap.SPL3SMP_AM.open(path)["soil_moisture"].notnull().sum() == 1152


@needs_data
def test_values_that_fail_while_they_are_read_name_the_file(level3, tmp_path):
    path = tmp_path / level3.name
    shutil.copy(level3, path)
    with h5py.File(path, "a") as file:
        held = file[f"{GROUP}_AM"]
        attributes = dict(held["soil_moisture"].attrs)
        del held["soil_moisture"]
        held["soil_moisture"] = np.full((406, 964), b"wet")
        held["soil_moisture"].attrs.update(attributes)
    cube = smap.SPL3SMP_AM.open(path)
    with pytest.raises(FileProblem, match=f"{path.name}.*expected numbers"):
        cube["soil_moisture"].compute()
    path.unlink()
    with pytest.raises(FileProblem, match=path.name):
        cube["quality"].compute()


# Level 4


@needs_data
@pytest.mark.parametrize(
    ("name", "stamp", "variable", "golden"),
    [
        (
            "SMAP_L4_SM_aup_input.h5",
            "2020-01-28T15:00",
            "soil_moisture",
            (246473, 0.02681995, 0.2590892376, 0.79512596),
        ),
        (
            "SMAP_L4_SM_aup_dimension_list_input.h5",
            "2015-04-01T06:00",
            "root_zone_soil_moisture",
            (3564, 0.02605393, 0.1901157538, 0.37183642),
        ),
        (
            "SPL4SMAU_test_reference.h5",
            "2015-03-31T18:00",
            "root_zone_soil_moisture",
            (334, 0.01521194, 0.2497762622, 0.88662934),
        ),
        (
            "SPL4SMAU_test_reference.h5",
            "2015-03-31T18:00",
            "soil_moisture_uncertainty",
            (334, 0.00670394, 0.0404029795, 0.14528571),
        ),
    ],
)
def test_level4_golden_and_independent(name, stamp, variable, golden):
    cube = smap.SPL4SMAU.open(SMAP / name)
    check_values(cube)
    assert cube["time"].values[0] == np.datetime64(stamp)
    with h5py.File(SMAP / name) as file:
        raw = file[smap_l4.ANALYSIS[variable][0]][:].astype("f8")
    raw = raw[raw != -9999]
    found = summary(cube[variable].values)
    np.testing.assert_allclose(found, (raw.size, raw.min(), raw.mean(), raw.max()), rtol=1e-6)
    np.testing.assert_allclose(found, golden, rtol=1e-6)


@needs_data
def test_level4_part_is_cut_from_the_named_grid():
    cube = smap.SPL4SMAU.open(SMAP / "SMAP_L4_SM_aup_input.h5")
    with h5py.File(SMAP / "SMAP_L4_SM_aup_input.h5") as file:
        first = file["cell_column"][:].astype("i8")
        x, y = file["x"][:], file["y"][:]
    np.testing.assert_allclose(cube["x"], x, atol=1)
    np.testing.assert_allclose(cube["y"], y, atol=1)
    world = named_grid("EASE2_9km")
    column = np.rint((cube["x"].values[0] - world.affine.c) / world.affine.a - 0.5)
    assert column == first[first < 3856].min()
    assert "root_zone_soil_moisture" not in cube
    assert cube["soil_moisture"].attrs["depth_to"] == 0.05


@needs_data
def test_level4_midnight_stays_in_its_day_and_utm_is_read(tmp_path):
    path = tmp_path / "SMAP_L4_SM_aup_UTM.h5"
    shutil.copy(SMAP / "SMAP_L4_SM_aup_UTM_input.h5", path)
    with h5py.File(path, "a") as file:
        file["Analysis_Data"].move("sm_profile_analysis", "sm_rootzone_analysis")
        seconds = file["time"][0]
    # The units' own epoch would put it into the last minute of March.
    assert np.datetime64("2000-01-01T11:58:55") + np.timedelta64(int(seconds), "s") < np.datetime64(
        "2015-04-01"
    )
    cube = smap.SPL4SMAU.open(path, period=("2015-04-01", "2015-04-01"))
    assert cube["time"].values[0] == np.datetime64("2015-04-01T00:00")
    grid = grid_of(cube)
    with h5py.File(path) as file:
        latitude, longitude = file["cell_lat"][:], file["cell_lon"][:]
        valid = latitude > -90
    found = lonlat(grid)
    # Cells were taken from the nearest 9 km cell: half a cell at most.
    assert np.abs(found[1] - latitude)[valid].max() < 0.07
    assert np.abs(found[0] - longitude)[valid].max() < 0.07
    assert summary(cube["root_zone_soil_moisture"].values)[0] == 17972


@needs_data
def test_level4_means_are_stamped_at_their_start_and_rates_are_per_day(tmp_path):
    path = write_geophysical(tmp_path / "SMAP_L4_SM_gph_20150401T013000_Vv7032_001.h5")
    cube = check_cube(smap.SPL4SMGP.open(path))
    assert cube["time"].values[0] == np.datetime64("2015-04-01T00:00")
    assert cube["soil_moisture"].attrs["cell_methods"] == "time: mean"
    assert cube["root_zone_soil_moisture"].attrs["depth_to"] == 1.0
    np.testing.assert_allclose(cube["precipitation"].values, 0.864, rtol=1e-6)
    assert (cube["snow_water_equivalent"].values == 12).all()
    with h5py.File(path, "a") as file:
        file["Geophysical_Data/snow_mass"].attrs["units"] = b"m"
    with pytest.raises(UnitProblem, match="snow_mass: found 'm', expected 'kg m-2'"):
        smap.SPL4SMGP.open(path)


@needs_data
def test_level4_absurd_grid_or_time(tmp_path):
    path = write_geophysical(tmp_path / "SMAP_L4_SM_gph_20150401T013000_Vv7032_001.h5")
    with h5py.File(path, "a") as file:
        file["x"][:] = file["x"][:] + 3000.0
    with pytest.raises(FileProblem, match="cells off the grid, expected a part of EASE2_9km"):
        smap.SPL4SMGP.open(path)
    path = write_geophysical(path)
    with h5py.File(path, "a") as file:
        file["y"][:] = file["y"][:][::-1]
    with pytest.raises(FileProblem, match="wrong order"):
        smap.SPL4SMGP.open(path)
    path = write_geophysical(path)
    with h5py.File(path, "a") as file:
        del file["projection_information"]
    with pytest.raises(FileProblem, match="no projection"):
        smap.SPL4SMGP.open(path)
    path = write_geophysical(path)
    with h5py.File(path, "a") as file:
        file["time"][:] = np.nan
    assert smap.SPL4SMGP.open(path)["time"].values[0] == np.datetime64("2015-04-01T00:00")
    nameless = path.rename(tmp_path / "renamed.h5")
    with pytest.raises(FileProblem, match="no usable time"):
        smap.SPL4SMGP.open(nameless)


@needs_data
@pytest.mark.parametrize("fill", [1e300, np.nan, -1.0])
def test_fill_value_that_is_none_makes_no_reasons_off_the_swath(tmp_path, fill):
    path = tmp_path / GRANULES[0].name
    shutil.copy(GRANULES[0], path)
    with h5py.File(path, "r+") as file:
        file[f"{GROUP}/soil_moisture"].attrs["_FillValue"] = fill
    cube, intact = (smap.SPL2SMP.open(one).load() for one in (path, GRANULES[0]))
    np.testing.assert_array_equal(cube["soil_moisture"], intact["soil_moisture"])
    np.testing.assert_array_equal(cube["quality"], intact["quality"])


@needs_data
@pytest.mark.parametrize(("key", "value"), [("valid_max", np.nan), ("valid_min", 9.0)])
def test_valid_range_that_is_none_is_refused(tmp_path, key, value):
    path = tmp_path / GRANULES[0].name
    shutil.copy(GRANULES[0], path)
    with h5py.File(path, "r+") as file:
        file[f"{GROUP}/soil_moisture"].attrs[key] = value
    with pytest.raises(FileProblem, match=r"soil_moisture: found valid range .* expected two"):
        smap.SPL2SMP.open(path).load()
