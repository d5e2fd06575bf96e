"""Requests of the Climate Data Store: waited for, gone on with by the next run, made anew where they are lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from vadose.errors import RecipeProblem
from vadose.products import PRODUCTS
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching import Policy, Wanted, fetch, plan
from vadose.products.fetching.bundles import unbundle
from vadose.products.fetching.tickets import Ticket

pytest.importorskip("earthaccess")
pytest.importorskip("cdsapi")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from archive_server import archive

sys.path.pop(0)

BOX = (146.0, -36.0, 149.0, -33.0)
MONTH = ("2019-06-01", "2019-06-30")
KEY = "k3y-of-the-user"
NAME = "skin_temperature_2019-06.nc"
QUICK = Policy(
    attempts=3, pause=0.01, longest_pause=0.05, timeout=5.0, poll=0.02, longest_wait=20.0
)
#: What the store says where it has enough of a user for now.
FULL = "rejected:Number queued requests for this dataset is temporarily limited."


@pytest.fixture
def served(monkeypatch):
    with archive() as one:
        monkeypatch.setenv("CDSAPI_URL", f"{one.url}/cds")
        monkeypatch.setenv("CDSAPI_KEY", KEY)
        yield one


@pytest.fixture
def wanted(tmp_path):
    folder = tmp_path / "data/ERA5_LAND"
    return Wanted("ERA5_LAND", folder, BOX, MONTH, ("land_surface_temperature",))


@pytest.fixture
def ticket(wanted):
    return wanted.folder.parent / ".fetching/ERA5_LAND" / f"{NAME}.part.request"


def get(served, *wanted, policy=QUICK, **options):
    return fetch(wanted, servers=served.servers, policy=policy, **options)


def posts(served) -> int:
    return sum(method == "POST" for method, _, _ in served.asked)


# --- waiting


def test_the_queue_is_told_while_it_lasts(served, wanted):
    served.states = [["accepted", "accepted", "running", "successful"]]
    said: list[str] = []
    told = get(served, wanted, progress=lambda _done, _total, note="": said.append(note))
    assert (told.files, told.failures, told.notes) == (1, [], [])
    heard = list(dict.fromkeys(said))
    assert heard == [
        f"{NAME}: queued at the store",
        f"{NAME}: running at the store",
        f"{NAME}: made",
        NAME,
    ]
    assert posts(served) == 1


def test_a_request_that_waits_longer_than_we_do_stays_in_the_queue_and_is_gone_on_with(
    served, wanted, ticket
):
    served.states = [["accepted"]]
    told = get(served, wanted, policy=replace(QUICK, longest_wait=0.1))
    (failure,) = told.failures
    assert "found a request that is still queued at the store. It stays there" in str(
        failure.problem
    )
    assert ticket.is_file()
    served.of_job[0] = ["successful"]
    told = get(served, wanted)
    assert (told.files, told.failures, posts(served)) == (1, [], 1)
    assert (wanted.folder / NAME).read_bytes() == served.files["result_0.nc"]
    assert not list(ticket.parents[1].rglob("*.request"))


COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs behind a shell ignores it
from archive_server import Archive
import vadose.pipeline.fetching, vadose.products.fetching.running as running
from vadose.products.fetching import Policy
servers = Archive(url=sys.argv[1]).servers
running.Servers = lambda: servers
vadose.pipeline.fetching.Policy = lambda **_: Policy(pause=600.0, poll=600.0)
sys.argv = ["vadose", "fetch", sys.argv[2]]
from vadose.cli import main
main()
"""


def test_ctrl_c_ends_the_longest_pause_and_the_same_command_goes_on(served, wanted, ticket):
    recipe = wanted.folder.parents[1] / "recipe.yaml"
    recipe.write_text(
        "title: one month\nmodel: {product: ERA5_LAND, paths: [data/ERA5_LAND], variables: "
        "[land_surface_temperature]}\n"
        "satellite: {product: SAMPLE}\nregion: [146, -36, 149, -33]\nperiod: [2019-06-01, 2019-06-30]\n"
    )
    served.states = [["accepted"]]
    command = [sys.executable, "-c", COMMAND, served.url, str(recipe)]
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parents[2] / "benchmarks")])
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not ticket.is_file() or served.count("/cds/retrieve/v1/jobs/") < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)  # it would wait for ten minutes
    assert process.returncode == 130
    assert "1 request stays in the queue of the Climate Data Store; the same command goes" in said
    assert "Traceback" not in said
    assert said.endswith("Stopped. Run the same command again to go on.\n")
    served.of_job[0] = ["successful"]
    asked = posts(served)
    assert get(served, replace(wanted, region=(145.5, -36.5, 149.5, -32.5))).files == 1
    assert posts(served) == asked


# --- what is remembered


def test_what_is_remembered_is_a_number_and_a_hash(served, wanted, ticket):
    served.states = [["running"]]
    get(served, wanted, policy=replace(QUICK, longest_wait=0.01))
    row = json.loads(ticket.read_text())
    assert set(row) == {"request", "asked"}
    assert row["request"] == "0"
    assert len(row["asked"]) == 64


def test_a_request_for_something_else_is_not_taken_for_ours(served, wanted):
    served.states = [["running"], ["successful"]]
    get(served, wanted, policy=replace(QUICK, longest_wait=0.01))
    smaller = replace(wanted, region=(147.0, -35.0, 148.0, -34.0))
    assert get(served, smaller).files == 1
    assert posts(served) == 2
    assert served.jobs[1]["area"] == [-34.0, 147.0, -35.0, 148.0]


@pytest.mark.parametrize(
    "note", ["", "not json", "[]", '{"request": "../../x", "asked": "HASH"}', '{"request": 1}']
)
def test_a_note_that_is_damaged_or_foreign_is_passed_over(note, served, wanted, ticket):
    served.states = [["running"], ["successful"]]
    get(served, wanted, policy=replace(QUICK, longest_wait=0.01))
    asked = json.loads(ticket.read_text())["asked"]
    ticket.write_text(note.replace("HASH", asked))
    told = get(served, wanted)
    assert (told.files, told.notes) == (1, [])  # the store was not asked for it
    assert posts(served) == 2


def test_what_another_request_had_brought_is_not_gone_on_with(served, wanted, ticket):
    """The store makes the same fields anew with other bytes."""
    served.files["result_0.nc"] = b"old " * 5000
    served.files["result_1.nc"] = b"new " * 5000
    served.faults = {"result_0.nc": ["cut", "cut", "cut", "404"]}
    get(served, wanted, policy=replace(QUICK, attempts=1))
    part = ticket.with_suffix("")
    assert part.stat().st_size > 0
    served.forgotten.add(0)
    assert get(served, wanted).failures == []
    assert (wanted.folder / NAME).read_bytes() == served.files["result_1.nc"]
    assert served.ranges("result_1.nc") == [""]


def test_a_download_of_what_was_made_is_gone_on_with_where_it_stopped(served, wanted):
    served.files["result_0.nc"] = b"field " * 5000
    served.faults = {"result_0.nc": ["cut"]}
    get(served, wanted, policy=replace(QUICK, attempts=1))
    assert get(served, wanted).files == 1
    assert posts(served) == 1
    assert served.ranges("result_0.nc") == ["", "bytes=15000-"]
    assert (wanted.folder / NAME).read_bytes() == served.files["result_0.nc"]


# --- boxes


def test_a_file_for_a_smaller_box_is_made_anew_for_both(served, wanted):
    get(served, wanted)
    assert get(served, replace(wanted, region=(147.0, -35.0, 148.0, -34.0))).kept == 1
    other = replace(wanted, region=(147.0, -35.0, 150.05, -34.0))
    assert plan(other).left == 1
    told = get(served, other)
    assert (told.files, told.kept) == (1, 0)
    assert served.jobs[1]["area"] == [-33.0, 146.0, -36.0, 150.1]
    for one in (wanted, other):
        assert (plan(one).left, get(served, one).kept) == (0, 1)
    assert posts(served) == 2


def test_boxes_that_lie_apart_are_not_joined(served, wanted):
    """Or a study in Spain and one in Australia would ask for half the globe."""
    get(served, wanted)
    get(served, replace(wanted, region=(-5.4, 41.2, -5.2, 41.4)))
    assert served.jobs[1]["area"] == [41.4, -5.4, 41.2, -5.2]


def test_a_target_and_a_predictor_in_one_folder_get_one_box(served, wanted):
    around = replace(wanted, region=(145.5, -36.5, 149.5, -32.5))
    for _ in range(2):
        told = get(served, around, wanted)
        assert told.failures == []
    assert [job["area"] for job in served.jobs] == [[-32.5, 145.5, -36.5, 149.5]]


# --- what is lost


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["failed:An internal error"], "that the store has failed: The job has been failed An int"),
        (["accepted", "rejected:Nothing there"], "that the store has rejected: The job has been r"),
        (["dismissed"], "that the store has dismissed"),
    ],
)
def test_what_the_store_has_lost_is_made_anew_once_and_told(states, words, served, wanted):
    served.states = [list(states)]
    told = get(served, wanted)
    assert (told.files, told.failures, told.retried) == (1, [], 1)
    assert posts(served) == 2
    (note,) = told.notes
    assert words in note
    assert note.endswith("it was asked for anew.")


def test_what_is_lost_again_is_a_failure(served, wanted, ticket):
    served.states = [["failed:Too large"]] * 9
    told = get(served, wanted)
    assert posts(served) == 2
    assert "again after it was made anew. Run the same command" in str(told.failures[0].problem)
    assert not ticket.exists()


@pytest.mark.parametrize("status", ["403", "404"])
def test_a_request_that_the_store_has_forgotten_is_made_anew(status, served, wanted):
    """After some days it does; and a request of another account it does not show."""
    served.states = [["running"]]
    get(served, wanted, policy=replace(QUICK, longest_wait=0.01))
    served.faults = {"poll": [status]}
    told = get(served, wanted)
    assert told.files == 1
    assert told.notes == [
        f"{NAME}: a request that the store does not know ({status}); it was asked for anew."
    ]


@pytest.mark.parametrize("fault", ["404", "403"])
def test_a_file_that_the_store_has_cleared_away_is_made_anew(fault, served, wanted):
    served.faults = {"result_0.nc": [fault]}
    told = get(served, wanted)
    assert (told.files, told.failures, posts(served)) == (1, [], 2)
    assert (wanted.folder / NAME).read_bytes() == served.files["result_1.nc"]


# --- what is busy, and what breaks


def test_a_full_queue_is_waited_for(served, wanted):
    """The store accepts, and rejects a moment later; none of this is a fault of the request."""
    served.states = [["accepted", FULL]] * 4
    told = get(served, wanted)
    assert (told.files, told.failures, told.notes) == (1, [], [])
    assert posts(served) == 5


def test_a_queue_that_stays_full_is_given_up(served, wanted, ticket):
    served.states = [[FULL]] * 99
    told = get(served, wanted, policy=replace(QUICK, longest_wait=0.2))
    assert "found a store that takes no more requests for now" in str(told.failures[0].problem)
    assert not ticket.exists()


@pytest.mark.parametrize("where", ["job", "poll", "results"])
@pytest.mark.parametrize("fault", ["429", "503", "gone"])
def test_a_busy_store_and_a_broken_connection_cost_an_attempt(where, fault, served, wanted):
    served.faults = {where: [fault]}
    told = get(served, wanted)
    assert (told.files, told.failures, told.notes) == (1, [], [])


def test_a_connection_that_stays_broken_leaves_the_request_for_the_next_run(served, wanted):
    served.faults = {"poll": ["gone"] * 3}
    told = get(served, wanted)
    assert "found a connection that broke (ConnectionError), 3 times" in str(
        told.failures[0].problem
    )
    assert get(served, wanted).files == 1
    assert posts(served) == 1


def test_a_key_that_was_refused_is_asked_with_once(served, wanted):
    served.faults = {"job": ["401"] * 99}
    year = replace(wanted, period=("2019-01-01", "2019-12-31"))
    told = get(served, year)
    assert len(told.failures) == 12
    assert "renew the key in ~/.cdsapirc" in str(told.failures[0].problem)
    assert posts(served) <= 2  # one for each thread


def test_a_file_at_another_host_is_not_downloaded(served, wanted):
    served.files["result_0.nc"] = b"fields"
    served.elsewhere = "http://example.org/fields.nc"
    told = get(served, wanted)
    assert "example.org: found a file offered at a host that is not the archive's" in str(
        told.failures[0].problem
    )


def test_the_key_goes_to_the_store_and_nowhere_else(served, wanted):
    get(served, wanted)
    with_key = {path for _, path, headers in served.asked if KEY in str(headers.values())}
    assert any("/jobs/" in path for path in with_key)
    assert not any(path.startswith("/data/") for path in with_key)


# --- several layers in one file


def fields(names: list[str], *, start: str = "2019-06-01", values: float = 0.1) -> bytes:
    """A file as the daily statistics make it: packed as floats, with stamps in days since the first."""
    days = np.arange(30)
    attributes = {"units": f"days since {start} 00:00:00", "calendar": "proleptic_gregorian"}
    data = {
        name: (
            ("valid_time", "latitude", "longitude"),
            np.full((30, 3, 4), values * (count + 1), "f4"),
            {"units": "m**3 m**-3", "GRIB_stepType": "avg"},
        )
        for count, name in enumerate(names)
    }
    coords = {
        "valid_time": ("valid_time", days, attributes),
        "latitude": ("latitude", [-35.0, -35.1, -35.2]),
        "longitude": ("longitude", [147.0, 147.1, 147.2, 147.3]),
        "number": ((), 0),
        "expver": ("valid_time", np.array(["0001"] * 30, dtype=object)),
    }
    return bytes(xr.Dataset(data, coords=coords).to_netcdf(engine="h5netcdf"))


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name.replace("__", "/") + ".nc", content)
    return stream.getvalue()


LAYERS = ["volumetric_soil_water_layer_1", "volumetric_soil_water_layer_2"]
LAYERS += ["volumetric_soil_water_layer_3"]


@pytest.mark.parametrize("product", ["ERA5", "ERA5_LAND"])
@pytest.mark.parametrize("is_zipped", [True, False])
def test_the_root_zone_comes_in_one_file_that_its_reader_opens(product, is_zipped, served, wanted):
    asked = replace(
        wanted,
        product=product,
        folder=wanted.folder.parent / product,
        variables=("root_zone_soil_moisture", "soil_moisture", "quality"),
    )
    short = ["swvl1", "swvl2", "swvl3"]
    served.files["result_0.nc"] = (
        zipped(
            **{
                f"{one}_0_daily-mean": fields([one], values=0.1 * n)
                for n, one in enumerate(short, 1)
            }
        )
        if is_zipped
        else fields(short)
    )
    assert plan(asked).count == 1
    told = get(served, asked)
    assert (told.files, told.failures) == (1, [])
    assert served.jobs[0]["variable"] == LAYERS
    assert [path.name for path in asked.folder.iterdir()] == ["root_zone_soil_moisture_2019-06.nc"]
    cube = PRODUCTS[product].open(asked.folder).load()
    expected = 0.07 * 0.1 + 0.21 * 0.2 + 0.72 * 0.3
    np.testing.assert_allclose(cube["root_zone_soil_moisture"], expected, rtol=1e-6)
    np.testing.assert_allclose(cube["soil_moisture"], 0.1, rtol=1e-6)
    assert cube["root_zone_soil_moisture"].attrs["cell_methods"] == "time: mean"
    assert plan(asked).left == 0
    before = served.count()
    assert get(served, asked).kept == 1
    assert served.count() == before


def test_a_file_of_three_layers_beside_one_of_the_first_is_opened(tmp_path):
    """As two studies leave them in one folder."""
    (tmp_path / "root_zone_soil_moisture_2019-06.nc").write_bytes(
        fields(["swvl1", "swvl2", "swvl3"])
    )
    (tmp_path / f"{LAYERS[0]}_2019-06.nc").write_bytes(fields(["swvl1"]))
    (tmp_path / "skin_temperature_2019-06.nc").write_bytes(
        fields(["skt"], values=290.0).replace(b"m**3 m**-3", b"K\0\0\0\0\0\0\0\0\0")
    )
    cube = PRODUCTS["ERA5_LAND"].open(tmp_path)
    assert {"soil_moisture", "root_zone_soil_moisture", "land_surface_temperature"} <= set(cube)
    assert cube.sizes["time"] == 30


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(a=b"no netCDF", b=b"neither"), "an archive whose files do not fit together"),
        (
            zipped(a=fields(["swvl1"]), b=fields(["swvl2"], start="2019-07-01")),
            "valid_time in days",
        ),
        (zipped(), "an archive that holds nothing"),
        (
            zipped(a=fields(["swvl1"]))[:-40] + b"PK\5\6" + bytes(18),
            "an archive that holds nothing",
        ),
    ],
)
def test_an_archive_that_is_not_what_it_should_be_is_told(content, words, served, wanted, ticket):
    served.files["result_0.nc"] = content
    asked = replace(wanted, variables=("root_zone_soil_moisture",))
    (failure,) = get(served, asked).failures
    assert words in str(failure.problem)
    assert not list(asked.folder.glob("*"))


def test_names_in_an_archive_lead_nowhere(tmp_path):
    part = tmp_path / "work" / "a.part"
    part.parent.mkdir()
    part.write_bytes(zipped(**{"..__..__evil": fields(["swvl1"])}))
    unbundle(part, "a.nc")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.part", "work"]
    assert "swvl1" in xr.open_dataset(part, engine="h5netcdf")


@pytest.mark.parametrize("product", ["ERA5", "ERA5_FLUXES", "ERA5_LAND", "ERA5_LAND_FLUXES"])
def test_every_variable_of_a_reader_is_downloaded_or_the_plan_says_why_not(product, wanted):
    collection = COLLECTIONS[product]
    for name in PRODUCTS[product].variables:
        asked = replace(wanted, product=product, variables=(name,))
        if name in collection.elsewhere:
            with pytest.raises(RecipeProblem, match="which its archive does not give"):
                plan(asked)
        else:
            assert plan(asked).count == 1, name


def test_the_size_of_three_layers_is_that_of_three(wanted):
    sizes = {
        name: plan(replace(wanted, variables=(name,))).size
        for name in ("soil_moisture", "root_zone_soil_moisture")
    }
    assert sizes["root_zone_soil_moisture"] == pytest.approx(3 * sizes["soil_moisture"])


def test_a_ticket_that_cannot_be_written_leaves_no_half(tmp_path):
    ticket = Ticket(tmp_path / "a.part", "asked")
    ticket.remember("1")
    ticket.remember("2")
    assert ticket.number == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["a.part.request"]
    ticket.forget()
    ticket.forget()
    assert ticket.number == ""
