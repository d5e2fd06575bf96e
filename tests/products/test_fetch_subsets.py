"""Granules that are cut at the archive, and what is known of cut files: an imitation of Harmony cuts with xarray."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.products import PRODUCTS
from vadose.products.fetching import Policy, Wanted, fetch, origin_of, plan
from vadose.products.fetching.base import Offer
from vadose.products.fetching.jobs import granule_of

pytest.importorskip("earthaccess")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parent))
from fixtures_maps import LAYERS, MAPS, write_gldas, write_imerg, write_smap
from harmony_server import harmony_archive

del sys.path[:2]

BOX = (146.0, -36.0, 149.0, -33.0)
WIDER = (144.0, -38.0, 149.0, -33.0)
DAYS = ("2019-12-01", "2019-12-03")
QUICK = Policy(attempts=3, pause=0.01, longest_pause=0.05, timeout=5.0, poll=0.05, workers=2)


def rain(day: int) -> str:
    return f"3B-DAY.MS.MRG.3IMERG.201912{day:02d}-S000000-E235959.V07B.nc4"


def harmony_cut(content: bytes, box: tuple[float, ...], picked: list[str]) -> bytes:
    """Cut a map of latitudes and longitudes with xarray, as Harmony's services do with OPeNDAP."""
    west, south, east, north = box
    with xr.open_dataset(io.BytesIO(content), decode_cf=False, engine="h5netcdf") as whole:
        inside = (whole["lat"] >= south) & (whole["lat"] <= north)
        part = whole.isel(lat=np.flatnonzero(inside))
        part = part.isel(lon=np.flatnonzero((whole["lon"] >= west) & (whole["lon"] <= east)))
        kept = picked or list(whole.data_vars)
        return bytes(part[kept].load().to_netcdf(engine="h5netcdf"))


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Three granules of daily rain, whole."""
    folder = tmp_path_factory.mktemp("rain")
    return {rain(day): write_imerg(folder / rain(day), day).read_bytes() for day in (1, 2, 3)}


@pytest.fixture
def served(monkeypatch, days):
    """An archive with three granules, which Harmony can cut."""
    monkeypatch.setenv("EARTHDATA_TOKEN", "t0ken-of-the-user")
    with harmony_archive(harmony_cut) as (one, cutter):
        for name, content in days.items():
            one.add_granule(name, content, collection="C1-TEST", short_name="GPM_3IMERGDF")
        cutter.can_cut()
        yield one, cutter


@pytest.fixture
def wanted(tmp_path):
    return Wanted("IMERG_DAILY", tmp_path / "data/IMERG_DAILY", BOX, DAYS, ("precipitation",))


def get(served, *wanted, policy=QUICK, **options):
    return fetch(wanted, servers=served[0].servers, policy=policy, **options)


def rows_of(wanted) -> dict[str, dict]:
    lines = (wanted.folder.parent / "fetched.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {Path(row["file"]).name: row for row in rows if "file" in row}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_same_as_whole(wanted, days, folder, box=BOX):
    """What the reader gives over the box is, bit by bit, what it gives of the whole granules."""
    for name, content in days.items():
        (folder / name).write_bytes(content)
    product = PRODUCTS[wanted.product]
    whole, part = product.open(folder, box), product.open(wanted.folder, box)
    for name in part.data_vars:
        assert part[name].values.tobytes() == whole[name].values.tobytes()
    np.testing.assert_allclose(part["x"], whole["x"], rtol=1e-12)
    np.testing.assert_allclose(part["y"], whole["y"], rtol=1e-12)


# --- cut at the archive


def test_granules_come_cut_where_the_archive_can(served, wanted, days, tmp_path):
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 3, [])
    assert told.notes == ["IMERG_DAILY: 3 granules came cut to the box at the archive (Harmony)."]
    (form,) = served[1].forms
    assert form["granuleId"] == ["G0-TEST,G1-TEST,G2-TEST"]
    assert form["subset"] == ["lat(-37:-32)", "lon(145:150)"]
    assert (form["concatenate"], form["skipPreview"], form["forceAsync"]) == (
        ["false"],
        ["true"],
        ["true"],
    )
    origin = origin_of(wanted.folder / rain(1))  # which the run folder inherits
    assert (origin["box"], origin["cut_by"]) == ("146.0, -36.0, 149.0, -33.0", "Harmony")
    for name, row in rows_of(wanted).items():
        assert row["box"] == list(BOX)
        assert row["cut_by"] == "Harmony"
        size = (wanted.folder / name).stat().st_size
        assert row["size"] == size < len(days[name]) / 3
        assert served[0].count(f"/data/{name}") == 0  # the whole was not asked for
    (tmp_path / "whole").mkdir()
    assert_same_as_whole(wanted, days, tmp_path / "whole")
    assert everything(tmp_path / "data") - {".vadose.lock"} == {
        "fetched.jsonl", *(f"IMERG_DAILY/{name}" for name in days)
    }  # fmt: skip


def test_a_second_run_asks_for_nothing(served, wanted):
    get(served, wanted)
    before = served[0].count()
    told = get(served, wanted)
    assert (told.kept, told.files, served[0].count()) == (3, 0, before)


def test_variables_are_picked_where_the_archive_can(served, wanted):
    served[1].can_cut(variables=("/precipitation", "randomError", "lat"))
    assert get(served, wanted).cut == 3
    assert served[1].forms[0]["variable"] == ["precipitation"]
    assert rows_of(wanted)[rain(1)]["variables"] == ["precipitation"]
    with netCDF4.Dataset(wanted.folder / rain(1)) as file:
        assert "randomError" not in file.variables


def test_all_variables_come_where_one_that_is_needed_cannot_be_picked(served, wanted):
    served[1].can_cut(variables=("randomError",))
    assert get(served, wanted).cut == 3
    assert served[1].forms[0]["variable"] == ["all"]
    assert rows_of(wanted)[rain(1)]["variables"] == []


def test_whole_granules_come_on_request(served, wanted, days):
    told = get(served, wanted, whole=True)
    assert (told.files, told.cut) == (3, 0)
    assert served[0].count("/harmony") == 0
    assert (wanted.folder / rain(2)).read_bytes() == days[rain(2)]
    assert "box" not in rows_of(wanted)[rain(2)]


@pytest.mark.parametrize(
    ("faults", "abilities", "words"),
    [
        ({"capabilities": ["503"] * 9}, {}, "Harmony gave the answer 503, 3 times"),
        ({"capabilities": ["401"]}, {}, "Harmony gave the answer 401"),
        ({}, {"C1-TEST": {"bboxSubset": False}}, "Harmony cannot cut this collection to a box"),
        ({"submit": ["400"]}, {}, "Harmony gave the answer 400"),
        ({"submit": ["login"]}, {}, "Harmony gave the answer 302"),
        ({"status": ["500"] * 9}, {}, "Harmony gave the answer 500, 3 times"),
    ],
)
def test_whole_granules_come_where_the_archive_cannot(
    faults, abilities, words, served, wanted, days
):
    served[0].faults = faults
    served[1].abilities |= abilities
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 0, [])
    assert told.notes == [f"IMERG_DAILY: 3 granules came whole: {words}."]
    assert (wanted.folder / rain(1)).read_bytes() == days[rain(1)]
    assert not any("urs.earthdata" in path for _, path, _ in served[0].asked)


def test_a_busy_harmony_is_asked_again(served, wanted):
    served[0].faults = {"capabilities": ["429"], "submit": ["503", "429"], "status": ["429", "502"]}
    assert get(served, wanted).cut == 3
    assert len(served[1].forms) == 1


@pytest.mark.parametrize(
    "states",
    [
        ["accepted", "running", "running", "successful"],
        ["previewing", "running", "successful"],
        ["running", "paused", "successful"],
    ],
)
def test_a_job_takes_its_time(states, served, wanted):
    served[1].states = [states]
    told = get(served, wanted)
    assert (told.cut, told.failures) == (3, [])


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["failed"], "the job failed (The job is failed)"),
        (["canceled"], "the job was cancelled"),
        (["paused"], "the job stays paused"),
    ],
)
def test_granules_of_a_job_that_fails_come_whole(states, words, served, wanted):
    served[1].states = [states]
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 0, [])
    assert told.notes == [f"IMERG_DAILY: 3 granules came whole: {words}."]


def test_a_granule_that_could_not_be_cut_comes_whole_and_the_others_cut(served, wanted, days):
    served[1].states = [["complete_with_errors"]]
    served[1].failing = {rain(2)}
    told = get(served, wanted)
    assert (told.files, told.cut) == (3, 2)
    assert "IMERG_DAILY: 1 granule came whole: Harmony could not cut it." in told.notes
    assert (wanted.folder / rain(2)).read_bytes() == days[rain(2)]
    cube = PRODUCTS["IMERG_DAILY"].open(wanted.folder, BOX)  # cut and whole ones in one cube
    assert dict(cube.sizes) == {"time": 3, "y": 6, "x": 6}


def test_results_stand_on_pages(served, wanted):
    served[1].page_size = 1
    assert get(served, wanted).cut == 3
    assert not any("evil" in path for _, path, _ in served[0].asked)


def test_a_result_may_bear_the_title_of_its_granule(served, wanted):
    """As those of SMAP do, with other signs in place of colons."""
    for number, granule in enumerate(served[0].granules):
        granule["umm"]["GranuleUR"] = f"SC:SPL3SMP.008:24046842{number}"
    served[1].names = {
        rain(day): f"SC_SPL3SMP_008_24046842{day - 1}_subsetted.nc4" for day in (1, 2, 3)
    }
    assert get(served, wanted).cut == 3
    stamps = [PRODUCTS["IMERG_DAILY"].open(wanted.folder / rain(day))["time"] for day in (1, 2, 3)]
    assert [str(stamp.values[0])[:10] for stamp in stamps] == [
        f"2019-12-{day:02d}" for day in (1, 2, 3)
    ]


def test_many_granules_are_several_jobs_of_which_two_run_at_a_time(served, wanted, monkeypatch):
    from vadose.products.fetching import subsets

    monkeypatch.setattr(subsets, "BATCH", 1)
    served[1].states = [["accepted", "accepted", "successful"]] * 3
    told = get(served, wanted, policy=replace(QUICK, workers=1))
    assert (told.cut, len(served[1].forms)) == (3, 3)
    asked = [path for _, path, _ in served[0].asked]
    submitted = [place for place, path in enumerate(asked) if "coverage" in path]
    came = [place for place, path in enumerate(asked) if path.endswith("_subsetted.nc4")]
    assert submitted[1] < came[0] < submitted[2]


def test_results_resume_and_are_patient(served, wanted):
    kept = rain(1).replace(".nc4", "_subsetted.nc4")
    served[0].faults = {kept: ["cut", "503"]}
    told = get(served, wanted)
    assert (told.cut, told.retried, told.failures) == (3, 2, [])
    assert any(one.startswith("bytes=") for one in served[0].ranges(kept))


@pytest.mark.parametrize("fault", ["401", "403", "404", "html"])
def test_a_result_that_does_not_come_is_taken_whole(fault, served, wanted, days):
    """And a refusal there closes no archive."""
    served[0].faults = {name.replace(".nc4", "_subsetted.nc4"): [fault] * 9 for name in days}
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 0, [])


def test_a_result_that_lacks_some_of_the_box_is_taken_whole(served, wanted):
    west, south, east, north = BOX
    served[1].cut = lambda content, box, names: harmony_cut(
        content, (west, south + 0.5, east, north), names
    )
    told = get(served, wanted)
    assert (told.files, told.cut) == (3, 0)
    assert "expected all cells of 146, -36, 149, -33" in told.notes[0]


def test_a_result_of_another_variable_is_taken_whole(served, wanted):
    served[1].cut = lambda content, box, names: harmony_cut(content, box, ["randomError"])
    told = get(served, wanted)
    assert (told.files, told.cut) == (3, 0)


# --- what a server may not do


@pytest.mark.parametrize(
    "name",
    [
        "../../../evil.nc4",
        "..%2f..%2f" + rain(1),
        "/etc/cron.d/" + rain(1),
        "x" * 5000,
        "",
    ],
)
def test_no_name_of_a_result_leads_out_of_the_folder(name, served, wanted, tmp_path, days):
    served[1].names = {rain(1): name}
    before = everything(tmp_path.parent)
    told = get(served, wanted)
    assert (told.files, told.failures) == (3, [])
    new = {one.partition("data/")[2] for one in everything(tmp_path.parent) - before}
    assert new - {".vadose.lock"} == {"fetched.jsonl", *(f"IMERG_DAILY/{one}" for one in days)}


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:1/" + rain(1),
        "https://example.org/" + rain(1),
        "file:///etc/passwd?" + rain(1),
        "s3://bucket/" + rain(1).replace(".nc4", "_subsetted.nc4"),
        "not an address " + rain(1),
    ],
)
def test_a_result_at_another_host_is_not_asked_for(link, served, wanted):
    served[1].links = {rain(1): link}
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 2, [])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100) | st.text(max_size=60).map(lambda text: f"https://{text}/{rain(1)}"))
def test_whatever_an_address_is_it_is_of_one_granule_or_none(url):
    offers = {f"G{day}-TEST": Offer("IMERG_DAILY", rain(day), "") for day in (1, 2)}
    assert granule_of(url, offers) in ("", "G1-TEST")


def test_an_address_that_is_none_stops_nothing(served, wanted):
    served[1].links = {rain(1): "https://[" + rain(1)}
    told = get(served, wanted)
    assert (told.files, told.cut, told.failures) == (3, 2, [])
    served[0].add_granule(
        rain(4), b"x", url="https://[" + rain(4), collection="C1-TEST", short_name="GPM_3IMERGDF"
    )
    told = get(served, wanted, refresh=True)
    assert (told.kept, len(told.failures)) == (3, 1)
    assert "a granule at no address" in str(told.failures[0].problem)


def test_without_a_login_every_file_is_a_failure_and_nothing_breaks(
    served, wanted, monkeypatch, tmp_path
):
    """The search is remembered, so that Harmony would be the first to be asked."""
    get(served, wanted)
    (wanted.folder / rain(1)).unlink()
    monkeypatch.delenv("EARTHDATA_TOKEN")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    told = get(served, wanted)
    assert (told.kept, len(told.failures)) == (2, 1)
    assert "found no credentials" in str(told.failures[0].problem)


def test_the_archive_is_at_work_while_other_files_come(served, wanted, tmp_path):
    name = "MOD13A2.A2019337.h29v12.061.2020289000000.hdf"
    served[0].add_granule(name, b"\x0e\x03\x13\x01 tile", short_name="MOD13A2")
    tiles = Wanted("MOD13A2", tmp_path / "data/MOD13A2", BOX, DAYS)
    assert get(served, wanted, tiles).files == 4
    asked = [path for _, path, _ in served[0].asked]
    submitted = next(place for place, path in enumerate(asked) if "coverage" in path)
    assert submitted < asked.index(f"/data/{name}")


def test_no_credentials_and_no_signature_are_written(served, wanted, tmp_path):
    link = f"{served[0].url}/data/{rain(1)}_s.nc4?X-Amz-Signature=s3cret"
    served[0].files[f"{rain(1)}_s.nc4"] = harmony_cut(served[0].files[rain(1)], WIDER, [])
    served[1].links = {rain(1): link}
    get(served, wanted)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in stored
    assert b"t0ken" not in stored


# --- jobs are gone on with


def test_a_stopped_run_goes_on_with_its_job(served, wanted):
    served[1].states = [["running", "running", "successful"]]

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(served, wanted, progress=stop)
    text = (wanted.folder.parent / "fetched.jsonl").read_text()
    assert '"job":' in text
    told = get(served, wanted)
    assert told.failures == []
    assert told.kept + told.files == 3
    assert len(served[1].forms) == 1
    last = json.loads((wanted.folder.parent / "fetched.jsonl").read_text().splitlines()[-1])
    assert last["job_over"] in served[1].jobs  # all of it is here


def test_a_job_that_was_forgotten_is_asked_for_anew_once(served, wanted):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(served, wanted, progress=stop)
    served[1].jobs.clear()
    for name in rows_of(wanted):
        (wanted.folder / name).unlink()
    told = get(served, wanted)
    assert (told.cut, told.failures, len(served[1].forms)) == (3, [], 2)


def test_results_that_were_thrown_away_are_asked_for_anew(served, wanted):
    served[1].states = [["running", "running"]]

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(served, wanted, progress=stop)
    served[1].expires = "2020-01-01T00:00:00.000Z"
    assert get(served, wanted).failures == []
    assert len(served[1].forms) == 2


def test_a_queue_that_does_not_move_is_left_for_the_next_run(served, wanted):
    served[1].states = [["accepted"]]
    told = get(served, wanted, policy=replace(QUICK, longest_wait=0.05))
    assert told.files == 0
    assert "found a job that has not moved" in str(told.failures[0].problem)
    assert "--whole" in str(told.failures[0].problem)
    (job,) = served[1].jobs.values()
    job["states"] = ["successful"]
    assert get(served, wanted).cut == 3
    assert len(served[1].forms) == 1


def test_a_manifest_with_a_strange_job_asks_no_strange_address(served, wanted):
    wanted.folder.parent.mkdir(parents=True)
    row = {"job": "../../evil", "collection": "C1-TEST", "box": list(BOX), "granules": ["G0-TEST"]}
    lines = [row, {**row, "job": 4}, {"job": [1]}, {**row, "box": "x"}]
    text = "\n".join(json.dumps(one) for one in lines)
    (wanted.folder.parent / "fetched.jsonl").write_text(text + "\n")
    assert get(served, wanted).cut == 3
    assert not any("evil" in path for _, path, _ in served[0].asked)


# --- a wider box


def test_a_wider_box_is_noticed_by_the_plan_and_fetched_again(served, wanted, tmp_path, days):
    get(served, wanted)
    assert plan(wanted).here == 3
    wider = replace(wanted, region=WIDER)
    planned = plan(wider)
    assert (planned.here, planned.too_small, planned.left) == (0, 3, 3)
    told = get(served, wider)
    assert (told.files, told.cut, told.failures) == (3, 3, [])
    assert plan(wider).here == plan(wanted).here == 3
    (tmp_path / "whole").mkdir()
    assert_same_as_whole(wider, days, tmp_path / "whole", WIDER)
    before = served[0].count()
    assert get(served, wanted).kept == 3  # the narrower one is in it
    assert served[0].count() == before


def test_two_recipes_of_one_folder_do_not_take_turns(served, wanted):
    other = replace(wanted, region=(140.0, -30.0, 142.0, -28.0))
    get(served, wanted)
    get(served, other)
    assert rows_of(wanted)[rain(1)]["box"] == [140.0, -36.0, 149.0, -28.0]
    forms = len(served[1].forms)
    assert get(served, wanted).kept == get(served, other).kept == 3
    assert len(served[1].forms) == forms


def test_a_variable_that_was_cut_off_is_fetched_again(tmp_path, served):
    served[0].granules.clear()
    name = "GLDAS_NOAH025_3H.A20191201.0000.021.nc4"
    served[0].add_granule(name, write_gldas(tmp_path / name).read_bytes(), collection="C1-TEST")
    served[1].can_cut(variables=LAYERS)
    day = ("2019-12-01", "2019-12-01")
    moist = Wanted("GLDAS_NOAH", tmp_path / "data/GLDAS", BOX, day, ("soil_moisture",))
    warm = replace(moist, variables=("land_surface_temperature",))
    get(served, moist)
    assert (plan(moist).here, plan(warm).here) == (1, 0)
    told = get(served, warm)
    assert (told.files, told.failures) == (1, [])
    cube = PRODUCTS["GLDAS_NOAH"].open(moist.folder)
    assert {"soil_moisture", "land_surface_temperature"} <= set(cube.data_vars)


def test_products_of_the_same_files_get_what_both_need(tmp_path, served):
    served[0].granules.clear()
    name = "GLDAS_NOAH025_3H.A20191201.0300.021.nc4"
    served[0].add_granule(name, write_gldas(tmp_path / name).read_bytes(), collection="C1-TEST")
    served[1].can_cut(variables=LAYERS)
    folder, day = tmp_path / "data/GLDAS", ("2019-12-01", "2019-12-01")
    both = [
        Wanted("GLDAS_NOAH", folder, BOX, day, ("soil_moisture",)),
        Wanted("GLDAS_NOAH_FLUXES", folder, BOX, day, ("precipitation",)),
    ]
    told = get(served, *both)
    assert (told.files, told.cut, told.failures) == (1, 1, [])
    assert served[1].forms[0]["variable"] == ["Rainf_f_tavg,SoilMoi0_10cm_inst"]
    assert all(plan(one).here == 1 for one in both)
    before = served[0].count("/harmony")
    assert get(served, *both).kept == 2
    assert served[0].count("/harmony") == before


def test_fields_of_the_climate_store_are_asked_for_again_over_a_wider_box(
    served, tmp_path, monkeypatch
):
    pytest.importorskip("cdsapi")
    monkeypatch.setenv("CDSAPI_URL", f"{served[0].url}/cds")
    monkeypatch.setenv("CDSAPI_KEY", "k3y-of-the-user")
    days = ("2019-12-01", "2019-12-31")
    land = Wanted("ERA5_LAND", tmp_path / "data/ERA5_LAND", BOX, days, ("soil_moisture",))
    wider = replace(land, region=WIDER)
    assert get(served, land).files == 1
    assert (plan(land).here, plan(wider).here, plan(wider).too_small) == (1, 0, 1)
    before = (land.folder / "volumetric_soil_water_layer_1_2019-12.nc").read_bytes()
    assert get(served, wider).files == 1
    assert (land.folder / "volumetric_soil_water_layer_1_2019-12.nc").read_bytes() != before
    assert [job["area"] for job in served[0].jobs] == [
        [-33.0, 146.0, -36.0, 149.0], [-33.0, 144.0, -38.0, 149.0]
    ]  # fmt: skip
    assert rows_of(land)["volumetric_soil_water_layer_1_2019-12.nc"]["box"] == list(WIDER)
    assert get(served, land, wider).kept == 2
    assert len(served[0].jobs) == 2


def test_a_window_of_a_map_is_read_again_over_a_wider_box(served, tmp_path):
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=1, dtype="int16", height=180, width=360, crs="EPSG:4326",
            transform=from_origin(-180, 90, 1, 1),
        ) as target:  # fmt: skip
            target.write(np.arange(180 * 360).reshape(180, 360).astype("i2") % 900 + 1, 1)
        served[0].files["sand_0-5cm_mean_1000.tif"] = memory.read()
    sand = Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", BOX, None, ("sand",))
    wider = replace(sand, region=WIDER)
    narrow_and_wide = get(served, wider, sand)  # in one run: the larger one is taken
    assert narrow_and_wide.files == 1
    assert PRODUCTS["SOILGRIDS"].open(sand.folder)["sand"].shape == (5, 5)
    assert get(served, sand).kept == get(served, wider).kept == 1
    widest = replace(sand, region=(140.0, -40.0, 150.0, -30.0))
    assert (plan(widest).here, plan(widest).too_small) == (0, 1)
    assert get(served, widest).files == 1
    assert PRODUCTS["SOILGRIDS"].open(sand.folder)["sand"].shape == (10, 10)


def test_a_whole_file_in_the_place_of_a_part_is_taken_for_what_it_is(served, wanted, days):
    get(served, wanted)
    for name, content in days.items():
        (wanted.folder / name).write_bytes(content)
    assert plan(replace(wanted, region=WIDER)).here == 3
    assert get(served, replace(wanted, region=WIDER)).kept == 3
    (wanted.folder / rain(1)).write_bytes(b"short")
    assert get(served, wanted).files == 1


def test_a_failed_download_leaves_the_narrow_file_as_it_is(served, wanted):
    get(served, wanted)
    held = (wanted.folder / rain(1)).read_bytes()
    served[0].faults = {"search": ["503"] * 9}
    told = get(served, replace(wanted, region=WIDER))
    assert told.failures
    assert (wanted.folder / rain(1)).read_bytes() == held


# --- cropped after it came


def test_what_came_whole_is_cropped_on_request(served, wanted, days, tmp_path):
    served[1].abilities.clear()
    told = get(served, wanted, crop=True)
    assert (told.files, told.cut, told.failures) == (3, 3, [])
    assert "IMERG_DAILY: cropped to the box after they came whole (3 files)." in told.notes
    row = rows_of(wanted)[rain(1)]
    assert row["box"] == list(BOX)
    assert row["cut_by"] == "vadose"
    assert row["came"]["size"] == len(days[rain(1)])
    assert len(row["came"]["sha256"]) == len(row["sha256"]) == 64
    assert row["came"]["sha256"] != row["sha256"]
    assert (wanted.folder / rain(1)).stat().st_size == row["size"] < len(days[rain(1)]) / 3
    (tmp_path / "whole").mkdir()
    assert_same_as_whole(wanted, days, tmp_path / "whole")
    before = served[0].count()
    assert get(served, wanted).kept == 3
    assert served[0].count() == before
    assert get(served, replace(wanted, region=WIDER), crop=True).files == 3
    assert_same_as_whole(replace(wanted, region=WIDER), days, tmp_path / "whole", WIDER)
    assert not list(tmp_path.rglob("*.cropped"))


def test_a_cut_file_is_not_cropped_again(served, wanted):
    told = get(served, wanted, crop=True)
    assert told.cut == 3
    assert rows_of(wanted)[rain(1)]["cut_by"] == "Harmony"


def test_tiles_are_the_smallest_unit_there_is(served, tmp_path):
    served[0].granules.clear()
    name = "MOD13A2.A2019337.h29v12.061.2020289000000.hdf"
    served[0].add_granule(name, b"\x0e\x03\x13\x01 tile", collection="C1-TEST")
    tiles = Wanted("MOD13A2", tmp_path / "data/MOD13A2", BOX, DAYS)
    told = get(served, tiles, crop=True)
    assert (told.files, told.cut) == (1, 0)
    assert told.notes == [
        "MOD13A2: not cropped, its tiles are the smallest unit there is (1 file)."
    ]
    assert served[0].count("/harmony") == 0


def test_what_cannot_be_cropped_is_kept_whole_and_told(served, wanted):
    served[1].abilities.clear()
    served[0].granules.clear()
    served[0].add_granule(rain(1), b"\x89HDF\r\n\x1a\n damaged", collection="C1-TEST")
    told = get(served, wanted, crop=True)
    assert (told.files, told.cut) == (1, 0)
    assert "not cropped" in told.notes[-1]
    assert "kept whole (1 file)" in told.notes[-1]


# --- what a user sees


RECIPE = """
title: A part of the Murrumbidgee
target: soil_moisture
predictors: [precipitation]
build:
  region: [146, -36, 149, -33]
  period: [2019-12-01, 2019-12-03]
  factor: 4
  sources:
    - product: SPL3SMP
      use: target
      variables: [soil_moisture]
      paths: [data/SPL3SMP/]
    - product: IMERG_DAILY
      variables: [precipitation]
      paths: [data/IMERG_DAILY/]
methods:
  nearest: {title: Coarse value copied, kind: nearest}
  smooth: {title: Smooth interpolation, kind: smooth}
publish: smooth
"""


def test_a_plan_says_what_may_be_less_and_what_is_cut_too_small(served, wanted, capsys):
    from vadose.cli.fetch import show_plan

    show_plan([plan(wanted)])
    assert "IMERG_DAILY: sizes are of whole granules; where the archive (Harmony)" in (
        capsys.readouterr().out
    )
    show_plan([plan(wanted)], whole=True)
    assert "Harmony" not in capsys.readouterr().out
    get(served, wanted)
    show_plan([plan(wanted)])
    assert "Harmony" not in capsys.readouterr().out
    show_plan([plan(replace(wanted, region=WIDER))])
    said = capsys.readouterr().out
    assert "IMERG_DAILY: 3 files are here and cut to a smaller box or other variables" in said


def test_the_command_cuts_and_says_so(served, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from vadose.cli import app
    from vadose.products.fetching import running

    monkeypatch.setattr(running, "Servers", lambda: served[0].servers)
    name = MAPS["SPL3SMP"][0]
    content = write_smap(tmp_path / name).read_bytes()
    served[0].add_granule(name, content, collection="C2-TEST", short_name="SPL3SMP")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    run = CliRunner().invoke(app, ["fetch", str(recipe), "--crop"])
    assert run.exit_code == 0, run.output
    assert "IMERG_DAILY: 3 granules came cut to the box at the archive (Harmony)." in run.output
    assert "SPL3SMP: cropped to the box after they came whole (1 file)." in run.output
    assert "Next: vadose recipe check" in run.output
    run = CliRunner().invoke(app, ["fetch", str(recipe)])
    assert "0 files are new (" in run.output
    assert ", 4 were here." in run.output
    recipe.write_text(RECIPE.replace("149", "150"))
    run = CliRunner().invoke(app, ["recipe", "check", str(recipe)])
    assert "IMERG_DAILY: 3 files are cut to a smaller box" in " ".join(run.output.split())
