"""Stations: ISMN in its layouts, tables, hostile archives, layers, merging and days."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from vadose.errors import (
    CubeProblem,
    FileProblem,
    MissingExtra,
    NoOverlap,
    UnitProblem,
    ValueProblem,
)
from vadose.products.stations import (
    StationTable,
    layer_weights,
    merge_sensors,
    read_ismn,
    read_table,
    select_layer,
    to_daily,
)

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ISMN = SHARED / "native" / "ismn"
needs_data = pytest.mark.skipif(not ISMN.is_dir(), reason=f"no station data at {SHARED}")
pytest.importorskip("ismn", reason="ismn (extra products) is not installed")

DEOS = StationTable(
    depth_from=0.05,
    depth_to=0.05,
    time="Time",
    latitude="Latitude",
    longitude="Longitude",
    coordinates=SHARED / "delaware" / "insitu_deos" / "deos_met.csv",
    coordinates_station="Station",
    network="DEOS",
)
OZNET = StationTable(
    depth_from=0.0,
    depth_to=0.05,
    value="insitu_sm",
    file_name="OzNet_(.+)_cleaned_data",
    network="OzNet",
)


def stm(
    station: str = "A",
    *,
    depth: str = "0.050000_0.050000",
    sensor: str = "S1",
    rows: tuple[str, ...] = ("2019/07/01 00:00 0.2000 G M",),
    network: str = "NET",
) -> tuple[str, str]:
    """Write name and text of an ISMN file, header + values; the header rounds the depth to cm."""
    low, high = (float(number) for number in depth.split("_"))
    name = f"{network}_{network}_{station}_sm_{depth}_{sensor}_20190701_20190731.stm"
    head = f"{network} {network} {station} 48.1 11.5 500.0 {low:.2f} {high:.2f} {sensor}"
    return name, "\n".join((head, *rows)) + "\n"


def folder_of(path: Path, *files: tuple[str, str]) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files:
        (path / name).write_text(text)
    return path


def stations_of(values, depths, *, stations=None, networks=None, step="h") -> xr.Dataset:
    """Build a raw dataset: one row a sensor."""
    values = np.asarray(values, "f4")
    number, length = values.shape
    times = np.datetime64("2019-07-01T00", step) + np.arange(length)
    return xr.Dataset(
        {
            "soil_moisture": (("sensor", "time"), values, {"units": "m3 m-3"}),
            "flag_count": (("sensor", "flag"), np.full((number, 1), length)),
        },
        coords={
            "sensor": np.arange(number),
            "time": times.astype("datetime64[ns]"),
            "flag": ["G"],
            "station": ("sensor", stations or ["A"] * number),
            "network": ("sensor", networks or ["N"] * number),
            "lat": ("sensor", np.full(number, 48.0)),
            "lon": ("sensor", np.full(number, 11.0)),
            "depth_from": ("sensor", [top for top, _ in depths]),
            "depth_to": ("sensor", [bottom for _, bottom in depths]),
        },
    )


# ISMN --------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("path", "keep", "sensors", "count", "mean"),
    [
        ("zip_archives/header", ("G",), 2, 11477, 0.1737365),
        ("zip_archives/ceop", ("G",), 2, 11477, 0.1737365),
        ("Data_seperate_files_20170810_20180809.zip", ("G",), 3, 61566, 0.1600971),
        ("format_ceop_sep", ("U",), 1, 736, 0.1734656),
        ("format_header_values", ("U",), 1, 736, 0.1734656),
        ("zip_archives/format_header_values/Data_SMOSMANIA.zip", ("U",), 1, 736, 0.1734656),
        ("zip_archives/multinetwork", ("U",), 8, 176375, 0.1879841),
    ],
)
def test_ismn_in_all_layouts_zipped_and_not(path, keep, sensors, count, mean):
    stations = read_ismn(ISMN / path, keep=keep)
    values = stations["soil_moisture"]
    assert values.dims == ("sensor", "time")
    assert values.dtype == np.float32
    assert stations.sizes["sensor"] == sensors
    assert int(values.notnull().sum()) == count
    np.testing.assert_allclose(np.nanmean(values.values, dtype="f8"), mean, rtol=1e-6)
    assert int(stations["flag_count"].sel(flag=list(keep)).sum()) == count


@needs_data
def test_ismn_values_are_those_of_the_text():
    path = next((ISMN / "format_header_values").rglob("*.stm"))
    lines = [line.split() for line in path.read_text().splitlines()[1:]]
    good = {f"{d.replace('/', '-')}T{t}": float(v) for d, t, v, flag, *_ in lines if flag == "U"}
    series = read_ismn(path, keep=["U"])["soil_moisture"][0].dropna("time")
    assert series.sizes["time"] == len(good)
    expected = [good[str(stamp)[:16]] for stamp in series["time"].values]
    np.testing.assert_allclose(series.values, expected, rtol=1e-6)


@needs_data
def test_both_layouts_of_a_station_agree():
    one, other = (read_ismn(ISMN / f"format_{kind}", keep=["U"]) for kind in ("ceop_sep", "header_values"))  # fmt: skip
    xr.testing.assert_identical(one, other)


@needs_data
def test_flags_are_combined_and_every_code_is_counted():
    stations = read_ismn(ISMN / "zip_archives" / "multinetwork", keep=["U"])
    maqu = stations.isel(sensor=stations["station"].values == "CST-01")
    counts = dict(zip(maqu["flag"].values, maqu["flag_count"].values[0], strict=True))
    # From the text: D01 566, 'D01,D03' 3258, 'D01,D03,D05' 4.
    assert counts["D01"] == 566 + 3258 + 4
    assert counts["U"] == 9407 == int(maqu["soil_moisture"].notnull().sum())


@needs_data
def test_exact_depth_is_in_the_name_of_the_file():
    stations = read_ismn(ISMN / "zip_archives" / "multinetwork", keep=["U"])
    is_scan = stations["network"].values == "SCAN"
    assert (stations["depth_from"].values[is_scan] == 0.0508).all()
    assert select_layer(stations, 0, 0.05).sizes["station"] == 8  # two inches belong to 5 cm


@needs_data
def test_network_is_not_the_folder_the_archive_was_packed_in():
    stations = read_ismn(ISMN / "Data_seperate_files_20170810_20180809.zip")
    assert sorted(set(stations["network"].values)) == ["COSMOS", "FR-Aqui"]


@needs_data
def test_good_only_by_default_says_what_there_was():
    with pytest.raises(ValueProblem, match=r"not one good value \(5 D05, 736 U\).*flags to keep"):
        read_ismn(ISMN / "format_ceop_sep")


@needs_data
def test_region_and_period():
    path = ISMN / "Data_seperate_files_20170810_20180809.zip"
    stations = read_ismn(path, region=(-10, 40, 10, 50), period=("2018-01-01", "2018-01-31"))
    assert list(stations["station"].values) == ["fraye"]
    days = stations["time"].values.astype("datetime64[D]")
    assert (str(days.min()), str(days.max())) == (
        "2018-01-05",
        "2018-01-31",
    )  # a gap in the file before
    with pytest.raises(NoOverlap, match="no soil moisture sensor"):
        read_ismn(path, region=(100, 0, 110, 10))
    with pytest.raises(NoOverlap, match="no measurement"):
        read_ismn(path, period=("1950-01-01", "1950-01-31"))


@needs_data
def test_nothing_is_written_beside_the_data(tmp_path):
    source = next((ISMN / "zip_archives" / "ceop").glob("*.zip"))
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    folder = folder_of(tmp_path / "loose", stm())
    read_ismn(path)
    read_ismn(folder)
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted([path.name, "loose", stm()[0]])


@needs_data
def test_the_whole_folder_joins_overlapping_downloads():
    stations = read_ismn(ISMN, keep=["G", "U"])
    names = list(zip(stations["network"].values, stations["station"].values, strict=True))
    assert len(names) == len(set(names)) == 12
    assert int(stations["flag_count"].sel(flag="duplicate").sum()) > 10_000
    assert not stations.indexes["time"].has_duplicates


def test_pieces_join_in_any_order_and_the_last_given_stays(tmp_path):
    late = ("2019/07/02 00:00 0.3000 G M", "2019/07/01 00:00 0.2500 G M")
    folder_of(tmp_path / "a", stm(rows=late))
    folder_of(tmp_path / "b", stm())
    stations = read_ismn([tmp_path / "a", tmp_path / "b"])
    np.testing.assert_allclose(stations["soil_moisture"].values, [[0.2, 0.3]])
    assert stations["flag_count"].sel(flag="duplicate").item() == 1


def test_impossible_and_missing_values_are_dropped_and_counted(tmp_path):
    rows = (
        "2019/07/01 00:00 0.2000 G M",
        "2019/07/01 01:00 -9999.0 G M",
        "2019/07/01 02:00 35.000 G M",
        "2019/07/01 03:00 0.1000 G,D01 M",
        "2019/07/01 04:00 0.1000 D01 M",
    )
    stations = read_ismn(folder_of(tmp_path / "a", stm(rows=rows)))
    np.testing.assert_allclose(stations["soil_moisture"].values, [[0.2] + [np.nan] * 4])
    counts = dict(zip(stations["flag"].values, stations["flag_count"].values[0], strict=True))
    assert counts == {"G": 4, "D01": 2, "missing": 1, "out_of_range": 1}


@pytest.mark.parametrize("text", ["", "NET NET A 48.1 11.5\n", "\x00\x01\x02", "a b c\nd e f\n"])
def test_broken_station_files_are_named(tmp_path, text):
    name = stm()[0]
    folder = folder_of(tmp_path / "a", (name, text))
    with pytest.raises(FileProblem, match="NET_NET_A_sm"):
        read_ismn(folder)


def test_impossible_places_are_refused(tmp_path):
    name, text = stm()
    folder = folder_of(tmp_path / "a", (name, text.replace("48.1", "148.1")))
    with pytest.raises(FileProblem, match=r"latitude 148.1.*place on Earth"):
        read_ismn(folder)


def test_folder_without_soil_moisture_is_refused(tmp_path):
    folder = folder_of(tmp_path / "a", ("NET_NET_A_ts_0.05_0.05_S_1_2.stm", "x"))
    with pytest.raises(FileProblem, match="no soil moisture file"):
        read_ismn(folder)


def test_without_ismn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ismn.filehandlers", None)
    with pytest.raises(MissingExtra, match=r"ismn.*vadose\[products\]"):
        read_ismn(folder_of(tmp_path / "a", stm()))


# Hostile archives --------------------------------------------------------------------------------


def archive(path: Path, *members: tuple[str, str], **changes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            file.writestr(info, text)
    return path


@pytest.mark.parametrize("name", ["../evil_sm_.stm", "/etc/evil_sm_.stm", "a/../../b_sm_.stm", "..\\b_sm_.stm", "C:\\b_sm_.stm"])  # fmt: skip
def test_members_that_point_outside_are_refused(tmp_path, name):
    path = archive(tmp_path / "evil.zip", (name, stm()[1]))
    with pytest.raises(FileProblem, match=r"evil\.zip.*written outside"):
        read_ismn(path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.zip"]


def test_links_are_refused(tmp_path):
    path = archive(tmp_path / "evil.zip", (stm()[0], "/etc/passwd"), external_attr=0o120777 << 16)
    with pytest.raises(FileProblem, match="which is a link"):
        read_ismn(path)


def test_zip_bombs_are_refused_before_unpacking(tmp_path):
    path = archive(tmp_path / "bomb.zip", (stm()[0], "0" * 20_000_000))
    with pytest.raises(FileProblem, match=r"unpack to 20,000,000 bytes.*expected at most"):
        read_ismn(path)


def test_pickles_in_an_archive_are_never_touched(tmp_path):
    """The library's cache folder in somebody's archive could hold code."""
    path = archive(
        tmp_path / "a.zip", stm(), ("python_metadata/a.csv", "x"), ("a/metadata.npy", "x")
    )
    assert read_ismn(path).sizes["sensor"] == 1


def test_damaged_archives_are_named(tmp_path):
    path = archive(tmp_path / "cut.zip", stm(rows=("2019/07/01 00:00 0.2 G M",) * 999))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileProblem, match=r"cut\.zip.*no readable zip"):
        read_ismn(path)
    middle = bytearray(content)
    middle[150:170] = bytes(20)
    path.write_bytes(middle)
    with pytest.raises(FileProblem, match=r"cut\.zip.*member"):
        read_ismn(path)


# Tables ------------------------------------------------------------------------------------------


@needs_data
def test_one_file_a_station():
    folder = SHARED / "yanco" / "OzNet_cleaned_data"
    stations = read_table(folder, OZNET)
    assert stations.sizes == {"sensor": 28, "time": 2192, "flag": 2}
    frames = [pd.read_csv(path) for path in sorted(folder.glob("*.csv"))]
    raw = pd.concat(frames)["insitu_sm"]
    assert int(stations["soil_moisture"].notnull().sum()) == raw.notna().sum()
    np.testing.assert_allclose(
        np.nanmean(stations["soil_moisture"].values, dtype="f8"), raw.mean(), rtol=1e-6
    )
    assert int(stations["flag_count"].sel(flag="missing").sum()) == raw.isna().sum()
    place = stations.isel(sensor=0)
    assert (place["station"].item(), place["lat"].item(), place["lon"].item()) == (
        "y10",
        -35.005,
        146.31,
    )


@needs_data
def test_one_column_a_station_with_coordinates_elsewhere():
    path = SHARED / "delaware" / "insitu_deos" / "deos_daily_vwc.csv"
    stations = read_table(path, DEOS, period=("2018-01-01", "2018-01-31"))
    assert stations.sizes["sensor"] == 28
    assert stations.sizes["time"] == 31
    raw = pd.read_csv(path, index_col=0).iloc[:31]
    np.testing.assert_allclose(stations["soil_moisture"].values, raw.to_numpy().T, rtol=1e-6)
    np.testing.assert_allclose(stations["lat"].values[stations["station"] == "DLWG"], 39.871667)
    daily = to_daily(select_layer(stations, 0, 0.05), minimum_hours=1)
    np.testing.assert_allclose(daily["soil_moisture"].values, raw.to_numpy().T, rtol=1e-6)


TABLE = StationTable(0.0, 0.1, value="sm", units="%", station="name", flag="q", good=("ok",))
TEXT = """name,time,lat,lon,sm,q
A,2019-07-01T02:00,48,11,20,ok
A,2019-07-01T01:00,48,11,10,ok
B,2019-07-01T01:00,49,349,30,bad
B,2019-07-01T02:00,49,349,40,ok
B,2019-07-01T03:00,49,349,-9999,ok
"""


def test_many_stations_in_a_file_with_flags_and_per_cent(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(TEXT)
    stations = read_table(path, TABLE)
    np.testing.assert_allclose(
        stations["soil_moisture"].values, [[0.1, 0.2, np.nan], [np.nan, 0.4, np.nan]]
    )
    assert stations["flag_count"].sel(flag="bad").values.tolist() == [0, 1]
    assert stations["lon"].values.tolist() == [11, -11]  # 0 to 360 turned to -180 to 180


def test_clock_of_the_table_is_turned_to_utc(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(TEXT)
    table = StationTable(0.0, 0.1, value="sm", units="%", station="name", utc_offset=10)
    assert str(read_table(path, table)["time"].values[0])[:16] == "2019-06-30T15:00"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("sm,q", "moisture,q", r"columns name, time.*column 'sm'"),
        ("48,11,20", "48,11,wet", r"'wet' in column 'sm', row 2"),
        ("2019-07-01T02:00", "01/07/2019", r"ISO8601|ISO 8601"),
        ("48,11,20", "47,11,20", r"station 'A'.*one latitude"),
        ("48,11", "148,11", r"station 'A'.*degrees"),
    ],
)
def test_tables_that_are_not_what_was_said_are_refused(tmp_path, old, new, match):
    path = tmp_path / "all.csv"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(FileProblem, match=match):
        read_table(path, TABLE)


def test_dates_are_read_as_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,lat,lon,sm\n02/01/2019,48,11,0.2\n")
    table = StationTable(0.0, 0.1, value="sm", date_format="%d/%m/%Y")
    assert str(read_table(path, table)["time"].values[0])[:10] == "2019-01-02"


def test_station_without_coordinates_is_named(tmp_path):
    (tmp_path / "wide.csv").write_text("time,A,B\n2019-07-01,0.1,0.2\n")
    (tmp_path / "places.txt").write_text("station,lat,lon\nA,48,11\n")
    table = StationTable(0.0, 0.1, coordinates=tmp_path / "places.txt")
    with pytest.raises(FileProblem, match=r"places \[\] for station 'B'"):
        read_table(tmp_path, table)


def test_units_and_binary_files_are_refused(tmp_path):
    with pytest.raises(UnitProblem, match="divided by the thickness"):
        read_table(tmp_path, StationTable(0, 0.1, value="sm", units="mm"))
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x81" * 50)
    with pytest.raises(FileProblem, match=r"a\.csv"):
        read_table(tmp_path, StationTable(0, 0.1, value="sm"))


def test_workbook_is_read_like_the_same_table_as_text(tmp_path):
    pytest.importorskip("openpyxl", reason="openpyxl (extra products) is not installed")
    frame = pd.read_csv(io.StringIO(TEXT))
    frame[TABLE.time] = pd.to_datetime(frame[TABLE.time])  # cells that Excel knows as dates
    (tmp_path / "a.csv").write_text(TEXT)
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    text, workbook = (read_table(tmp_path / name, TABLE) for name in ("a.csv", "a.xlsx"))
    assert workbook.sizes["sensor"] == 2
    xr.testing.assert_identical(workbook, text)


def test_workbook_without_its_library_names_it(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.xlsx", ("xl/workbook.xml", "<workbook/>"))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match=r"openpyxl.*vadose\[products\]"):
        read_table(path, TABLE)


BOMB = (
    "<!DOCTYPE a [<!ENTITY a 'ha'>"
    + "".join(
        f"<!ENTITY {new} '{10 * f'&{old};'}'>"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><workbook>&i;</workbook>"
)


@pytest.mark.parametrize(
    ("member", "text", "found"),
    [
        ("xl/workbook.xml", "<workbook/>", "no readable table"),
        ("xl/workbook.xml", "<workbook", "no readable table"),
        ("[Content_Types].xml", BOMB, "no readable table"),
        ("xl/workbook.xml", " " * 20_000_000, "unpack to"),
        ("../xl/workbook.xml", "", "written outside"),
    ],
)
def test_workbooks_that_cannot_be_read_are_named(tmp_path, member, text, found):
    pytest.importorskip("openpyxl", reason="openpyxl (extra products) is not installed")
    path = archive(tmp_path / "b.xlsx", (member, text))
    with pytest.raises(FileProblem, match=rf"b\.xlsx: found.*{found}"):
        read_table(path, TABLE)


def test_damaged_workbook_is_read_right_or_named(tmp_path):
    pytest.importorskip("openpyxl", reason="openpyxl (extra products) is not installed")
    path = tmp_path / "a.xlsx"
    pd.read_csv(io.StringIO(TEXT)).to_excel(path, index=False)
    whole, intact = path.read_bytes(), read_table(path, TABLE)
    refused = 0
    for place in range(0, len(whole), len(whole) // 12):
        damaged = bytes(byte ^ 255 for byte in whole[place : place + 9])
        path.write_bytes(whole[:place] + damaged + whole[place + 9 :])
        try:
            xr.testing.assert_identical(read_table(path, TABLE), intact)
        except FileProblem as problem:
            refused += "a.xlsx" in str(problem)
        path.unlink()
    assert refused >= 6


# Layers, merging, days ---------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8, unique_by=lambda d: round(d, 3)),
    st.floats(0.3, 1.0),
)
def test_probes_of_a_layer_share_all_of_it(depths, bottom):
    depths = np.array(depths)
    weights = layer_weights(depths, depths, 0.0, bottom)
    assert (weights >= 0).all()
    if (depths <= bottom).any():
        np.testing.assert_allclose(weights.sum(), bottom)


def test_layer_is_the_mean_weighted_by_thickness():
    depths = [(0.05, 0.05), (0.10, 0.10), (0.20, 0.20), (0.50, 0.50)]
    raw = stations_of(np.array([[0.1], [0.2], [0.3], [0.9]]), depths)
    layer = select_layer(raw, 0, 0.3)
    expected = (0.1 * 0.075 + 0.2 * 0.075 + 0.3 * 0.15) / 0.3
    np.testing.assert_allclose(layer["soil_moisture"].values, [[expected]], rtol=1e-6)
    assert layer["number_of_sensors"].item() == 3
    assert layer["soil_moisture"].attrs["depth_to"] == 0.3
    assert layer["depth_to"].values.tolist() == [0.2]


def test_deep_cosmic_ray_sensor_is_no_surface_sensor():
    raw = stations_of([[0.1]], [(0.0, 0.19)])
    with pytest.raises(NoOverlap, match=r"layer 0 to 0.05 m.*sensors at 0-0.19 m"):
        select_layer(raw, 0, 0.05)
    assert select_layer(raw, 0, 0.2).sizes["station"] == 1


def test_layer_with_too_little_measured_is_a_gap():
    values = [[0.1, np.nan, 0.1], [0.3, 0.3, np.nan]]
    layer = select_layer(stations_of(values, [(0.05, 0.05), (0.4, 0.4)]), 0, 0.5)
    # Weights .225 and .275: the second alone is more than half, the first is not.
    np.testing.assert_allclose(
        layer["soil_moisture"].values, [[0.45 * 0.1 + 0.55 * 0.3, 0.3, np.nan]], rtol=1e-6
    )
    strict = select_layer(
        stations_of(values, [(0.05, 0.05), (0.4, 0.4)]), 0, 0.5, minimum_share=1.0
    )
    assert int(strict["soil_moisture"].notnull().sum()) == 1


def test_stations_of_one_name_in_two_networks_stay_two():
    raw = stations_of([[0.1], [0.2]], [(0.05, 0.05)] * 2, networks=["N", "M"])
    assert select_layer(raw, 0, 0.1)["station"].values.tolist() == ["N/A", "M/A"]


def test_sensors_at_one_depth_are_merged_on_request_only(tmp_path):
    folder = folder_of(
        tmp_path / "a",
        stm(sensor="S1", rows=("2019/07/01 00:00 0.2 G M", "2019/07/01 01:00 0.2 G M")),
        stm(sensor="S2", rows=("2019/07/01 00:00 0.4 G M", "2019/07/01 01:00 0.4 D01 M")),
        stm("B"),
    )
    raw = read_ismn(folder)
    assert raw.sizes["sensor"] == 3
    with pytest.raises(
        ValueProblem, match=r"station NET/A: found 2 sensors at 0.05 .*merge_sensors"
    ):
        select_layer(raw, 0, 0.05)
    merged = merge_sensors(raw)
    np.testing.assert_allclose(merged["soil_moisture"].values[0], [0.3, 0.2])
    assert merged["flag_count"].sel(flag="D01").values.tolist() == [1, 0]
    np.testing.assert_allclose(merge_sensors(raw, "longest")["soil_moisture"].values[0], [0.2, 0.2])
    assert select_layer(merged, 0, 0.05)["station"].values.tolist() == ["A", "B"]


def test_days_need_enough_hours():
    values = np.full((1, 72), np.nan)
    values[0, :24] = np.arange(24)
    values[0, 24:30] = 5
    raw = stations_of(values / 100, [(0.05, 0.05)])
    daily = to_daily(raw, minimum_hours=6)["soil_moisture"].values
    np.testing.assert_allclose(daily, [[0.115, 0.05, np.nan]], rtol=1e-6)
    assert np.isnan(to_daily(raw, minimum_hours=7)["soil_moisture"].values[0, 1])
    with pytest.raises(ValueProblem, match="1 to 24"):
        to_daily(raw, minimum_hours=0)


def test_values_within_an_hour_count_as_one_hour():
    values = np.full((1, 60), 0.2)  # one a minute: one hour of data
    raw = stations_of(values, [(0.05, 0.05)], step="m")
    with pytest.raises(ValueProblem, match="no day has more than 1 hours"):
        to_daily(raw, minimum_hours=2)
    assert to_daily(raw, minimum_hours=1).sizes["time"] == 1


def test_hour_with_many_values_does_not_outweigh_the_others(tmp_path):
    minutes = tuple(f"2019/07/01 00:{m:02d} 0.4 G M" for m in range(60))
    rows = (*minutes, "2019/07/01 01:00 0.2 G M")
    daily = to_daily(read_ismn(folder_of(tmp_path / "a", stm(rows=rows))), minimum_hours=2)
    np.testing.assert_allclose(daily["soil_moisture"].values, [[0.3]], rtol=1e-6)
    assert daily["soil_moisture"].attrs["cell_methods"] == "time: mean"


def test_steps_are_checked_for_their_dims():
    raw = stations_of([[0.1]], [(0.05, 0.05)])
    layer = select_layer(raw, 0, 0.1)
    with pytest.raises(CubeProblem, match=r"dims \('station', 'time'\).*sensor, time"):
        select_layer(layer, 0, 0.1)
    with pytest.raises(ValueProblem, match="top < bottom"):
        select_layer(raw, 0.1, 0.1)
