"""SMOS readers against the real files."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr

from vadose.errors import FileProblem, NoOverlap, ValueProblem
from vadose.grids import cell_area, grid_of, lonlat
from vadose.products import smos, smos_l3
from vadose.products.isea import node_positions
from vadose.schema import QUALITY, check_values

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "smos"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/native/smos")

ORBITS = (
    DATA / "SM_REPR_MIR_SMUDP2_20100601T073146_20100601T082504_700_100_1.nc",
    DATA / "SM_REPR_MIR_SMUDP2_20100601T141203_20100601T150522_700_100_1.nc",
)
DAYS = tuple(
    DATA / f"SM_OPER_MIR_CLF31A_201505{day}T000000_201505{day}T235959_300_002_7.DBL.nc"
    for day in ("06", "07", "08")
)
PLACE = "Variable_Header:Specific_Product_Header:L2_Product_Location:"


def summary(values):
    valid = values[np.isfinite(values)].astype("f8")
    return valid.size, valid.min(), valid.mean(), valid.max()


# The grid of Level 2


@pytest.mark.parametrize("orbit", ORBITS)
def test_nodes_lie_where_the_headers_say(orbit):
    with h5py.File(orbit) as file:
        header = dict(file.attrs)
    for side, what in (("South", 1), ("North", 1), ("East", 0), ("West", 0)):
        number = int(header[f"{PLACE}{side}ernmost_Gridpoint_ID"])
        written = float(header[f"{PLACE}{side}ernmost_{('Longitude', 'Latitude')[what]}"])
        found = node_positions(np.array([number]))[what][0]
        # Longitudes stand close to the poles, where 0.002 degrees are a few metres.
        assert found == pytest.approx(written, abs=1e-3 if what else 2e-3)


@pytest.mark.parametrize("orbit", ORBITS)
def test_outermost_nodes_of_the_file_are_those_of_its_header(orbit):
    with h5py.File(orbit) as file:
        numbers, header = file["Grid_Point_ID"][:], dict(file.attrs)
    latitude = node_positions(numbers)[1]
    for side, place in (("South", latitude.argmin()), ("North", latitude.argmax())):
        written = float(header[f"{PLACE}{side}ernmost_Latitude"])
        assert latitude[place] == pytest.approx(written, abs=1e-3)


def test_all_nodes_share_the_globe_evenly():
    zone = np.arange(10)[:, None] * 1_000_000 + np.arange(1, 512**2, 7)[None] + 1
    numbers = np.concatenate([[1], zone.ravel(), [9_262_145]])
    longitude, latitude = node_positions(numbers)
    # Equal areas: the share of nodes in a box is the share of its area.
    for south, north in ((-90, -30), (-10, 25), (60, 90)):
        share = (np.sin(np.radians(north)) - np.sin(np.radians(south))) / 2
        inside = (latitude >= south) & (latitude < north)
        assert inside.mean() == pytest.approx(share, abs=2e-3)
    assert ((longitude > 0) & (longitude < 60)).mean() == pytest.approx(1 / 6, abs=2e-3)
    points = np.unique(np.round(np.stack([longitude, latitude]), 3), axis=1)
    assert points.shape[1] == numbers.size


def test_numbers_of_no_node_are_refused():
    with pytest.raises(ValueProblem, match="found 0, expected a point of ISEA 4H9"):
        node_positions(np.array([1, 0]))
    with pytest.raises(ValueProblem):
        node_positions(np.array([1_262_145]))


# Level 2


@pytest.mark.parametrize(
    ("orbit", "golden", "nodes"),
    [
        (ORBITS[0], (51, 0.02943499, 0.08007781, 0.18713954), 98),
        (ORBITS[1], (1403, 0.0, 0.16924924, 0.94271618), 3790),
    ],
)
def test_level2_golden_and_independent(orbit, golden, nodes):
    cube = smos.SMOS_L2.open(orbit)
    check_values(cube)
    values = cube["soil_moisture"].values[0]
    np.testing.assert_allclose(summary(values), golden, rtol=1e-5)
    with h5py.File(orbit) as file:
        moisture, numbers = file["Soil_Moisture"][:], file["Grid_Point_ID"][:]
    has_value = moisture != -999
    assert has_value.sum() == nodes
    # Cell by cell with a plain loop: the node with a value that is nearest to the centre.
    to_grid = pyproj.Transformer.from_crs(4326, 6933, always_xy=True)
    x, y = to_grid.transform(*node_positions(numbers[has_value]))
    step, best = 25025.26, {}
    for right, down, value in zip(
        (x + 694 * step) / step, (292 * step - y) / step, moisture[has_value], strict=True
    ):
        cell = int(down), int(right)
        away = (right - cell[1] - 0.5) ** 2 + (down - cell[0] - 0.5) ** 2
        if cell not in best or away < best[cell][0]:
            best[cell] = away, value
    assert len(best) == np.isfinite(values).sum()
    assert all(values[cell] == value for cell, (_, value) in best.items())


def test_level2_flags_are_not_hidden_by_their_fill_value():
    with h5py.File(ORBITS[1]) as file:
        confidence, science = file["Confidence_Flags"], file["Science_Flags"]
        # The traps: 0, "no flag", is declared as fill; masks are cut to 16 bits.
        assert confidence.attrs["_FillValue"] == 0
        assert (science.attrs["flag_masks"][16:] == 0).all()
        meanings = science.attrs["flag_meanings"].decode().split()
        masks = confidence.attrs["flag_masks"].tolist()
        named = confidence.attrs["flag_meanings"].decode().split()
    assert dict(zip(masks, named, strict=True)) == {
        2: "FL_RFI_PRONE_H",
        4: "FL_RFI_PRONE_V",
        16: "FL_NO_PROD",
        32: "FL_RANGE",
        64: "FL_DQX",
        128: "FL_CHI2_P",
        256: "FL_FARADAY_ROTATION_ANGLE",
    }
    assert {1 << bit for bit in smos.CONFIDENCE} == set(masks)
    assert [meanings[bit] for bit in smos.SCIENCE] == [
        "FL_TOPO_S",
        "FL_TOPO_M",
        "FL_OW",
        "FL_SNOW_MIX",
        "FL_SNOW_WET",
        "FL_SNOW_DRY",
        "FL_FROST",
        "FL_ICE",
        "FL_FLOOD_PROB",
        "FL_URBAN_LOW",
        "FL_URBAN_HIGH",
        "FL_SEA_ICE",
        "FL_COAST",
        "FL_RAIN",
        "FL_TAU_FO",
    ]
    cube = smos.SMOS_L2.open(ORBITS[1])
    has_value = np.isfinite(cube["soil_moisture"].values)
    quality = cube["quality"].values[has_value]
    assert 0 < (quality == 0).sum() < quality.size
    assert not (quality & QUALITY.mask("retrieval_failed")).any()
    off = cube["quality"].values[~has_value]
    assert (off & QUALITY.mask("retrieval_failed") > 0).sum() > 1000


def test_level2_steps_and_selection(tmp_path):
    cube = smos.SMOS_L2.open([ORBITS[1], ORBITS[0], ORBITS[1]])
    stamps = np.array(["2010-06-01T07:31:46", "2010-06-01T14:12:03"], "M8[ns]")
    np.testing.assert_array_equal(cube["time"].values, stamps)
    twice = shutil.copy(ORBITS[0], tmp_path)
    cube = smos.SMOS_L2.open([DATA, twice], region=(-170.0, 55.0, -135.0, 71.0))
    assert cube.sizes["time"] == 2
    assert cube.attrs["duplicate_times_dropped"] == 1
    assert summary(cube["soil_moisture"].values)[0] == 1403  # Alaska; the other orbit saw Greenland
    late = tmp_path / "SM_OPER_MIR_SMUDP2_20100601T233146_20100602T002504_700_100_1.nc"
    shutil.copy(ORBITS[0], late)
    cube = smos.SMOS_L2.open(late, period=("2010-06-01", "2010-06-01"))
    assert cube["time"].values[0] == np.datetime64("2010-06-01T23:31:46")
    with pytest.raises(NoOverlap, match="2010-06-02"):
        smos.SMOS_L2.open(late, period=("2010-06-02", "2010-06-02"))
    renamed = Path(shutil.copy(ORBITS[0], tmp_path / "orbit.nc"))
    assert smos.SMOS_L2.open(renamed)["time"].values[0] == stamps[0]


def test_level2_files_that_are_not(tmp_path):
    path = tmp_path / ORBITS[0].name
    path.write_bytes(ORBITS[0].read_bytes()[:200_000])
    with pytest.raises(FileProblem, match="cannot be read as SMOS_L2"):
        smos.SMOS_L2.open(path)
    shutil.copy(ORBITS[0], path)
    with h5py.File(path, "a") as file:
        del file["Confidence_Flags"]
    with pytest.raises(FileProblem, match="found no Confidence_Flags, only Chi_2"):
        smos.SMOS_L2.open(path)
    shutil.copy(ORBITS[0], path)
    with h5py.File(path, "a") as file:
        file["Soil_Moisture"].attrs["units"] = b"%"
    with pytest.raises(FileProblem, match="found Soil_Moisture in '%', expected m3"):
        smos.SMOS_L2.open(path)
    with pytest.raises(FileProblem, match="cannot be read as SMOS_L2"):
        smos.SMOS_L2.open(DAYS[0])


# Level 3


@pytest.mark.parametrize(
    ("path", "golden"),
    tuple(
        zip(
            DAYS,
            (
                (3563, 0.0, 0.1545062198, 1.0),
                (5254, 0.0, 0.1580845838, 1.0),
                (4019, 0.0, 0.1485320669, 1.0),
            ),
            strict=True,
        )
    ),
)
def test_level3_golden_and_independent(path, golden):
    cube = smos.PRODUCTS["SMOS_L3_A"].open(path)
    check_values(cube)
    with netCDF4.Dataset(path) as file:
        raw = np.ma.filled(file["Soil_Moisture"][:].astype("f8"), np.nan)
        latitude, longitude = file["lat"][:], file["lon"][:]
        days = np.unique(file["Mean_Acq_Time_Days"][:].compressed())
    values = cube["soil_moisture"].values[0]
    np.testing.assert_allclose(summary(values), golden, rtol=1e-6)
    # North is up, whatever the file does, and every cell is where it was.
    assert latitude[0] < latitude[-1]
    np.testing.assert_allclose(values, raw[::-1], rtol=1e-6)
    found = lonlat(grid_of(cube))
    np.testing.assert_allclose(found[1][:, 0], latitude[::-1], atol=1e-4)
    np.testing.assert_allclose(found[0][0], longitude, atol=1e-4)
    assert cube["time"].values[0] == np.datetime64("2000-01-01") + np.timedelta64(int(days[0]), "D")


def test_level3_cells_are_those_of_the_25_km_grid():
    assert smos_l3.GRID.affine.a == pytest.approx(25025.26, abs=0.01)
    assert -smos_l3.GRID.affine.e == pytest.approx(25025.26, abs=0.01)
    area = cell_area(smos_l3.GRID[290:294, 0:4]).values
    np.testing.assert_allclose(area, 25025.26**2, rtol=1e-3)


def test_level3_steps_period_region_and_laziness():
    cube = smos_l3.SMOS_L3_A.open([DAYS[2], DAYS[0], DAYS[1], DAYS[0]])
    days = np.array(["2015-05-06", "2015-05-07", "2015-05-08"], "M8[ns]")
    np.testing.assert_array_equal(cube["time"].values, days)
    assert cube["soil_moisture"].chunks is not None
    part = smos_l3.SMOS_L3_A.open(DATA, (5.0, 40.0, 15.0, 50.0), ("2015-05-07", "2015-05-07"))
    assert part.sizes["time"] == 1
    assert part.attrs["number_of_files"] == 1
    whole = cube["soil_moisture"].sel(time="2015-05-07", y=part["y"], x=part["x"])
    np.testing.assert_array_equal(part["soil_moisture"].values[0], whole.values.squeeze())
    with pytest.raises(FileProblem, match="CLF31D"):
        smos_l3.SMOS_L3_D.open(DATA)


def test_level3_in_netcdf4_and_what_is_refused(tmp_path):
    path = tmp_path / DAYS[0].name
    with xr.open_dataset(DAYS[0], engine="scipy", mask_and_scale=False, decode_times=False) as file:
        content = file.load()
    content.to_netcdf(path, engine="h5netcdf")
    cube = smos_l3.SMOS_L3_A.open(path)
    expected = smos_l3.SMOS_L3_A.open(DAYS[0])
    np.testing.assert_array_equal(cube["soil_moisture"], expected["soil_moisture"])
    content.assign_coords(lat=content["lat"] + 0.1).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FileProblem, match=r"expected centres of EASE-Grid 2\.0 at 25 km"):
        smos_l3.SMOS_L3_A.open(path)
    content.drop_vars("Soil_Moisture").to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FileProblem, match="found no Soil_Moisture, only Mean_Acq_Time_Days"):
        smos_l3.SMOS_L3_A.open(path)
    content.transpose("lon", "lat").to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FileProblem, match=r"dimensions \('lon', 'lat'\), expected \(lat, lon\)"):
        smos_l3.SMOS_L3_A.open(path)
    path.write_bytes(DAYS[0].read_bytes()[:50_000])
    with pytest.raises(FileProblem):
        smos_l3.SMOS_L3_A.open(path)["soil_moisture"].compute()
    renamed = Path(shutil.copy(DAYS[0], tmp_path / "map.nc"))
    with pytest.raises(FileProblem, match="no date in its name"):
        smos_l3.SMOS_L3_A.open(renamed)


def test_fill_value_that_is_none_makes_no_reasons(tmp_path):
    path = tmp_path / ORBITS[0].name
    shutil.copy(ORBITS[0], path)
    with h5py.File(path, "r+") as file:
        file["Soil_Moisture"].attrs["_FillValue"] = 1e300
    cube, intact = (smos.SMOS_L2.open(one).load() for one in (path, ORBITS[0]))
    np.testing.assert_array_equal(cube["quality"], intact["quality"])
