"""Downloads from a server on this machine that has the faults of archives, through the archives' own clients."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from vadose.errors import FileProblem
from vadose.products import PRODUCTS
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching import Policy, Servers, Wanted, fetch, origin_of, plan
from vadose.products.fetching.accounts import ACCOUNTS, complaint, has_credentials
from vadose.products.fetching.base import FetchProblem, checked_name
from vadose.products.fetching.gate import Gate
from vadose.products.fetching.reach import is_unreached, unreached

pytest.importorskip("earthaccess")
pytest.importorskip("cdsapi")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from archive_server import archive

sys.path.pop(0)

BOX = (146.0, -36.0, 149.0, -33.0)
DAYS = ("2019-12-01", "2019-12-06")
#: Impatient, so that tests are quick; what is measured is the number of requests.
QUICK = Policy(attempts=4, pause=0.01, longest_pause=0.05, timeout=5.0, patience=0.1, slowest=1e6)


def smap(day: int) -> str:
    return f"SMAP_L3_SM_P_E_201912{day:02d}_R18290_001.h5"


def content(seed: int, size: int = 20_000) -> bytes:
    return np.random.default_rng(seed).bytes(size + seed)


@pytest.fixture
def served(monkeypatch):
    """An archive with six days of SMAP, and a token for it."""
    monkeypatch.setenv("EARTHDATA_TOKEN", "t0ken-of-the-user")
    with archive() as one:
        for day in range(1, 7):
            one.add_granule(smap(day), content(day))
        monkeypatch.setenv("CDSAPI_URL", f"{one.url}/cds")
        monkeypatch.setenv("CDSAPI_KEY", "k3y-of-the-user")
        yield one


@pytest.fixture
def wanted(tmp_path):
    return Wanted("SPL3SMP_E", tmp_path / "data/SPL3SMP_E", BOX, DAYS)


def get(served, *wanted, policy=QUICK, **options):
    return fetch(wanted, servers=served.servers, policy=policy, **options)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- what is here stays


def test_all_files_come_whole_and_a_second_run_asks_for_nothing(served, wanted, tmp_path):
    told = get(served, wanted)
    assert (told.files, told.kept, told.failures) == (6, 0, [])
    assert told.bytes == sum(len(served.files[smap(day)]) for day in range(1, 7))
    for day in range(1, 7):
        assert (wanted.folder / smap(day)).read_bytes() == served.files[smap(day)]
    assert (served.count("/search"), served.count("/data/")) == (1, 6)
    before = served.count()
    told = get(served, wanted)
    assert (told.files, told.kept, served.count()) == (0, 6, before)
    assert not list(tmp_path.rglob("*.part*"))


def test_a_file_that_was_cut_short_on_the_disk_is_fetched_again(served, wanted):
    get(served, wanted)
    (wanted.folder / smap(3)).write_bytes(b"short")
    assert get(served, wanted).files == 1
    assert (wanted.folder / smap(3)).read_bytes() == served.files[smap(3)]


def test_the_manifest_knows_where_a_file_comes_from(served, wanted, tmp_path):
    get(served, wanted)
    rows = [json.loads(line) for line in (tmp_path / "data/fetched.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row.get("file") == f"SPL3SMP_E/{smap(2)}")
    assert (row["collection"], row["version"], row["size"]) == ("SPL3SMP_E", "006", 20_002)
    assert len(row["sha256"]) == 64
    assert origin_of(wanted.folder / smap(2))["url"] == f"{served.url}/data/{smap(2)}"
    assert origin_of(tmp_path / "data" / "mine" / "a.nc") == {}


def test_credentials_stand_in_no_file_and_no_message(served, wanted, tmp_path):
    served.faults = {smap(1): ["401"]}
    told = get(served, wanted)
    told_of = " ".join(str(failure.problem) for failure in told.failures)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "t0ken" not in told_of
    assert b"t0ken" not in stored
    used = [headers.get("authorization") for _, path, headers in served.asked if "/data/" in path]
    assert set(used) == {"Bearer t0ken-of-the-user"}  # and it was used


# --- faults that pass


@pytest.mark.parametrize(
    "fault", ["429", "503", "500", "cut", "wrong", "longer", "empty", "nowhere"]
)
def test_a_fault_that_passes_costs_an_attempt_and_nothing_else(fault, served, wanted):
    served.faults = {smap(4): [fault]}
    told = get(served, wanted)
    # a wrong range can only be told where one was asked for
    assert (told.files, told.failures) == (6, [])
    assert told.retried == (0 if fault == "nowhere" else 1)
    assert (wanted.folder / smap(4)).read_bytes() == served.files[smap(4)]


def test_a_cut_file_is_gone_on_with_where_it_stopped(served, wanted):
    served.faults = {smap(4): ["cut", "cut"]}
    assert get(served, wanted).failures == []
    half = (20_004) // 2
    assert served.ranges(smap(4)) == ["", f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert (wanted.folder / smap(4)).read_bytes() == served.files[smap(4)]


def test_a_rest_of_another_place_is_not_added(served, wanted):
    served.faults = {smap(4): ["cut", "nowhere"]}
    assert get(served, wanted).failures == []
    assert (wanted.folder / smap(4)).read_bytes() == served.files[smap(4)]


def test_a_rest_of_another_place_is_not_added_where_no_checksum_would_tell(served, tmp_path):
    name = "Copernicus_DSM_COG_30_S35_00_E146_00_DEM.tif"
    served.files[name] = content(7)
    served.faults = {name: ["cut", "nowhere"]}
    box = (146.1, -34.9, 146.9, -34.1)
    tiles = Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", box)
    assert get(served, tiles).failures == []
    assert (tiles.folder / name).read_bytes() == content(7)


def test_a_download_that_was_stopped_is_gone_on_with(served, wanted, tmp_path):
    part = tmp_path / "data/.fetching/SPL3SMP_E" / f"{smap(5)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(served.files[smap(5)][:7000])
    assert get(served, wanted).files == 6
    assert served.ranges(smap(5)) == ["bytes=7000-"]
    assert (wanted.folder / smap(5)).read_bytes() == served.files[smap(5)]


def test_a_part_of_another_file_is_noticed_by_the_checksum(served, wanted, tmp_path):
    part = tmp_path / "data/.fetching/SPL3SMP_E" / f"{smap(5)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 7000)
    assert get(served, wanted).failures == []
    assert (wanted.folder / smap(5)).read_bytes() == served.files[smap(5)]
    assert served.ranges(smap(5)) == ["bytes=7000-", ""]


def test_a_server_that_drips_is_given_up_and_asked_for_the_rest(served, wanted):
    served.files[smap(6)] = content(6, 400_000)
    served.granules.clear()
    served.add_granule(smap(6), served.files[smap(6)])
    served.faults = {smap(6): ["slow"]}
    told = get(served, wanted)
    assert (told.files, told.failures) == (1, [])
    assert told.retried >= 1
    assert served.ranges(smap(6))[-1].startswith("bytes=")


def test_a_busy_server_is_left_alone_by_all_threads(served, wanted, monkeypatch):
    held, rested = [], []
    monkeypatch.setattr(Gate, "hold", lambda _, seconds: held.append(seconds))
    served.faults = {smap(3): ["429"], smap(5): ["500"]}
    assert get(served, wanted).files == 6
    assert len(held) == 1  # 500 is of that file only
    monkeypatch.undo()
    gate = Gate()
    monkeypatch.setattr(gate, "rest", lambda seconds, product: rested.append(seconds))
    gate.wait("SPL3SMP")
    gate.hold(30.0)
    gate.wait("SPL3SMP")
    assert len(rested) == 1
    assert 29 < rested[0] <= 30


def test_a_busy_search_is_asked_again(served, wanted):
    served.faults = {"search": ["503", "429"]}
    assert get(served, wanted).files == 6
    assert served.count("/search") == 3


def test_a_long_search_goes_over_pages(served, wanted):
    served.page_size = 4  # of 6; the client goes on where a page was full
    assert get(served, wanted).files == 4  # earthaccess takes a short page for the last one
    assert served.count("/search") == 1


# --- faults that stay: a list, and the rest goes on


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("404", "no such file at the archive (404)"),
        ("wrong", "bytes whose md5 is not the stated one, 4 times"),
        ("503", "a busy server (503), 4 times"),
        ("cut", "a connection that broke"),
    ],
)
def test_a_fault_that_stays_is_told_of_its_file_and_the_rest_comes(fault, words, served, wanted):
    served.faults = {smap(2): [fault] * 99}
    told = get(served, wanted)
    assert told.files == 5
    (failure,) = told.failures
    assert failure.name == smap(2)
    assert words in str(failure.problem)
    assert not (wanted.folder / smap(2)).exists()
    served.faults = {}
    told = get(served, wanted)
    assert (told.files, told.kept, told.failures) == (1, 5, [])


@pytest.mark.parametrize("fault", ["html", "login", "401", "403"])
def test_a_login_that_is_refused_is_told_and_no_more_is_asked(fault, served, wanted):
    served.faults = {smap(day): [fault] for day in range(1, 7)}
    told = get(served, wanted, policy=replace(QUICK, workers=1))
    assert told.files == 0
    assert len(told.failures) == 6
    assert "login" in str(told.failures[0].problem)
    assert served.count("/data/") == 1  # a thousand refused logins would lock an account
    assert everything(wanted.folder) == set()


def test_a_login_that_is_refused_for_one_product_stops_no_other(served, wanted, tmp_path):
    """NASA's archives ask for consent one by one."""
    name = "3B-DAY.MS.MRG.3IMERG.20191202-S000000-E235959.V07B.nc4"
    served.granules.clear()
    served.add_granule(name, b"rain")
    rain = Wanted("IMERG_DAILY", tmp_path / "data/IMERG_DAILY", BOX, DAYS)
    served.faults = {name: ["403"]}
    first = get(served, rain)
    assert "agree to the terms" in str(first.failures[0].problem)
    served.faults = {name: ["403"]}
    for day in range(1, 7):
        served.add_granule(smap(day), content(day))
    served.granules = served.granules[1:]
    told = get(served, rain, wanted, policy=replace(QUICK, workers=1))
    assert told.files == 6
    assert [failure.product for failure in told.failures] == ["IMERG_DAILY"]


def test_a_redirection_takes_no_credentials_along(served, wanted):
    served.faults = {smap(1): ["login"]}
    get(served, wanted)
    (headers,) = [headers for _, path, headers in served.asked if path == "/oauth"]
    assert "authorization" not in headers


def test_an_interrupt_keeps_what_has_come(served, wanted, tmp_path):
    """What is under way lets go at the next bytes, and the next run begins behind them."""
    served.granules.clear()
    served.add_granule(smap(1), content(1, 1000))
    served.add_granule(smap(2), content(2, 2_000_000))
    served.faults = {smap(2): ["slow"]}

    part = tmp_path / "data/.fetching/SPL3SMP_E" / f"{smap(2)}.part"

    def stop(*_):
        while not (part.exists() and part.stat().st_size):
            time.sleep(0.001)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(served, wanted, policy=replace(QUICK, patience=60.0), progress=stop)
    assert everything(wanted.folder) == {smap(1)}
    assert 0 < part.stat().st_size < 2_000_002
    assert get(served, wanted).files == 1
    assert (wanted.folder / smap(2)).read_bytes() == served.files[smap(2)]


def test_a_full_disk_is_told_once_and_stops(served, wanted, monkeypatch):
    import errno

    from vadose.products.fetching import transfer

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_write", full)
    told = get(served, wanted, policy=replace(QUICK, workers=1))
    assert {str(failure.problem).partition("found ")[2] for failure in told.failures} == {
        "a full disk. Make room, and run the same command again."
    }
    assert served.count("/data/") == 1


def test_no_credentials_are_a_failure_that_says_where_they_go(
    served, wanted, monkeypatch, tmp_path
):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    told = get(served, wanted)
    assert "found no credentials. Register at https://urs" in str(told.failures[0].problem)
    assert "machine urs.earthdata.nasa.gov" in str(told.failures[0].problem)
    assert served.count() == 0


def test_a_collection_that_moved_on_is_told(served, wanted):
    served.granules.clear()
    (failure,) = get(served, wanted).failures
    assert "found no granule in the box and period" in str(failure.problem)
    assert "--collection SPL3SMP_E=VERSION" in str(failure.problem)


def test_an_archive_that_does_not_answer_stops_nobody_else(served, wanted, tmp_path):
    served.faults = {"search": ["500"] * 9}
    served.files["sand_0-5cm_mean_1000.tif"] = soil_map(tmp_path)
    soil = Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", BOX, None, ("sand",))
    told = get(served, wanted, soil)
    assert told.files == 1
    assert "no answer to a search (500)" in str(told.failures[0].problem)


YEAR = ("2019-01-01", "2019-12-31")
NOBODY = "http://127.0.0.1:9/"  # a port on which nothing listens


def test_without_a_network_the_list_comes_soon_and_says_why(served, wanted, tmp_path, monkeypatch):
    """Every archive is tried a few times, not every file of it, and the user is told meanwhile."""
    monkeypatch.setenv("CDSAPI_URL", f"{NOBODY}cds")
    box, days = (146.1, -35.9, 148.9, -33.1), DAYS
    several = [
        wanted,
        Wanted("MOD13A2", tmp_path / "data/MOD13A2", box, days),
        Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", box),
        Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", box, None, ("sand", "clay")),
        Wanted("ERA5_LAND", tmp_path / "data/ERA5_LAND", box, YEAR, ("land_surface_temperature",)),
    ]
    nowhere = replace(served.servers, search=NOBODY, elevation=NOBODY, soil=NOBODY)
    said = []
    told = fetch(
        several,
        servers=nowhere,
        policy=replace(QUICK, attempts=6, workers=1),
        progress=lambda *words: said.append(words[2]),
    )
    texts = {f"{failure.problem}" for failure in told.failures}
    assert len(told.failures) == 2 + 9 + 2 + 12
    assert all("127.0.0.1: found nobody who answers" in text for text in texts)
    assert all("Is this machine on the network" in text for text in texts)
    waits = [words for words in said if "again in" in words]
    assert 0 < sum("DEM.tif" in words for words in waits) < 3
    assert any(words.startswith("SPL3SMP_E 006: no answer to a search; again") for words in waits)
    assert served.count() == 0


def test_an_archive_that_has_answered_is_worth_all_attempts(served, tmp_path, monkeypatch):
    """One that goes away for a while in a long download is not given up with all of its files."""
    names = [f"Copernicus_DSM_COG_30_{place}_00_DEM" for place in ("S35_00_E146", "S36_00_E146")]
    served.files[f"{names[1]}.tif"] = b"tile"
    refused, real = [], requests.adapters.HTTPAdapter.send

    def send(self, request, **options):
        if names[0] in request.url and len(refused) < 5:
            refused.append(request.url)
            request.url = f"{NOBODY}{names[0]}.tif"
        return real(self, request, **options)

    served.files[f"{names[0]}.tif"] = b"another"
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    box = (146.1, -35.9, 146.9, -34.1)
    tiles = Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", box)
    told = get(served, tiles, policy=replace(QUICK, attempts=6, workers=1))
    assert (told.files, told.failures, len(refused)) == (2, [], 5)


def test_a_server_that_hangs_up_has_been_reached():
    new = urllib3.exceptions.NewConnectionError(None, "refused")
    nobody = requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", new))
    hung_up = requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted"))
    wrapped = RuntimeError("of a client")
    wrapped.__cause__ = nobody
    assert is_unreached(nobody)
    assert is_unreached(wrapped)
    assert is_unreached(requests.ConnectTimeout())
    assert not is_unreached(hung_up)
    assert not is_unreached(requests.ReadTimeout())
    assert not is_unreached(ValueError())


def test_what_an_archive_may_still_add_to_is_searched_anew(served, wanted):
    day = datetime.now(UTC).date() - timedelta(days=20)
    name = f"SMAP_L3_SM_P_E_{day:%Y%m%d}_R19240_001.h5"
    served.granules.clear()
    served.add_granule(name, content(1))
    recent = replace(wanted, period=(str(day), str(day + timedelta(days=1))))
    assert (get(served, recent).files, served.count("/search")) == (1, 1)
    assert (get(served, recent).kept, served.count("/search")) == (1, 2)


def test_an_address_that_is_signed_is_not_told():
    problem = unreached("https://example.org/a.h5?X-Amz-Signature=s3cret", OSError("s3cret"))
    assert "example.org: found nobody who answers (OSError)" in str(problem)
    assert "s3cret" not in str(problem)


def test_a_page_in_place_of_a_public_file_is_told_of_that_file_only(served, tmp_path):
    """A public archive has no login that could expire; the other tiles come."""
    names = [
        f"Copernicus_DSM_COG_30_{place}_00_DEM.tif" for place in ("S35_00_E146", "S36_00_E146")
    ]
    served.files.update(dict.fromkeys(names, b"a tile"))
    served.faults = {names[0]: ["html"]}
    box = (146.1, -35.9, 146.9, -34.1)
    told = get(served, Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", box))
    assert (told.files, len(told.failures)) == (1, 1)
    text = str(told.failures[0].problem)
    assert "found a web page of 127.0.0.1, expected data. The archive has moved the file" in text
    assert "login has expired" not in text


def test_a_folder_that_is_a_file_is_told_before_anything_comes(served, wanted, tmp_path):
    wanted.folder.parent.mkdir(parents=True)
    wanted.folder.write_bytes(b"mine")
    with pytest.raises(FileProblem, match="found a file, expected a folder for the files of SPL3"):
        plan(wanted)
    (failure,) = get(served, wanted).failures
    assert "Move it away, or choose another folder with --out" in str(failure.problem)
    assert (served.count(), wanted.folder.read_bytes()) == (0, b"mine")
    below = replace(wanted, folder=wanted.folder / "data/SPL3SMP_E")
    with pytest.raises(FileProblem, match="found a folder that cannot be made"):
        get(served, below)


def test_a_folder_may_be_a_link_to_another_disk(served, wanted, tmp_path, monkeypatch):
    far = tmp_path / "far"
    far.mkdir()
    wanted.folder.parent.mkdir(parents=True)
    wanted.folder.symlink_to(far)
    real = Path.replace

    def replace_on_one_disk(self, target):
        if self.suffix == ".part":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_on_one_disk)
    told = get(served, wanted)
    assert (told.files, told.failures) == (6, [])
    assert sorted(path.name for path in far.iterdir()) == [smap(day) for day in range(1, 7)]
    assert (far / smap(2)).read_bytes() == content(2)
    assert not (tmp_path / "data/.fetching").exists()


def test_a_file_that_is_a_link_is_not_written_through(served, wanted, tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    wanted.folder.mkdir(parents=True)
    (wanted.folder / smap(1)).symlink_to(precious)
    assert get(served, wanted).files == 6
    assert precious.read_bytes() == b"mine"
    assert not (wanted.folder / smap(1)).is_symlink()


def test_a_manifest_that_was_cut_short_loses_its_last_line_and_no_other(served, wanted, tmp_path):
    get(served, wanted)
    path = tmp_path / "data/fetched.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    (wanted.folder / smap(1)).unlink()
    get(served, wanted)
    rows = [line for line in path.read_text().splitlines() if line.startswith('{"file"')]
    assert json.loads(rows[-1])["file"] == f"SPL3SMP_E/{smap(1)}"


# --- names and addresses from the server


EVIL = [
    "../../../evil.h5",
    "/etc/cron.d/evil",
    "..%2f..%2fevil.h5",
    "C:\\evil.h5",
    "SMAP_L3_SM_P_E_20191201_R18290_001.h5\n",
    "SMAP_L3_SM_P_E_20191201_R18290_001.h5.exe",
    "SMAP_L3_SM_P_E_" + "2" * 5000 + "_R18290_001.h5",
    ".SMAP_L3_SM_P_E_20191201_R18290_001.h5",
    "",
]


@pytest.mark.parametrize("name", [name for name in EVIL if not name.endswith("\n")])
def test_a_name_that_is_not_the_products_is_refused(name, served, wanted, tmp_path):
    served.add_granule(name, b"evil", url=f"{served.url}/data/{name}")
    before = everything(tmp_path.parent)
    told = get(served, wanted)
    assert told.files == 6
    assert len(told.failures) == 1
    assert "expected a name such as" in str(told.failures[0].problem)
    written = {one.partition("data/")[2] for one in everything(tmp_path.parent) - before}
    ours = {"fetched.jsonl", *(f"SPL3SMP_E/{smap(day)}" for day in range(1, 7))}
    assert written - {".vadose.lock"} == ours


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.sampled_from(EVIL).map(lambda text: text + smap(1)))
def test_no_name_leads_out_of_a_folder(name):
    pattern = COLLECTIONS["SPL3SMP_E"].names
    try:
        kept = checked_name(name, pattern, source="server")
    except FileProblem:
        return
    assert os.path.basename(kept) == kept  # noqa: PTH119
    assert (Path("/folder") / kept).resolve().parent == Path("/folder")


@pytest.mark.parametrize("product", sorted(COLLECTIONS))
def test_no_pattern_of_a_product_lets_a_path_through(product):
    for name in ("../a", "a/b", "..", ".", "", "/a", "a\\b", "x" * 300, "a\0b", "~", ".netrc"):
        if name == "~" and COLLECTIONS[product].archive == "by_hand":
            continue  # nobody else names those files
        with pytest.raises(FileProblem):
            checked_name(name, COLLECTIONS[product].names, source="server")


def test_a_manifest_with_a_path_writes_nothing_outside(served, wanted, tmp_path):
    get(served, wanted)
    path = tmp_path / "data/fetched.jsonl"
    text = path.read_text().replace(smap(1), "../../../evil.h5")
    path.write_text(text)
    told = get(served, wanted)
    assert "evil.h5" in str(told.failures[0].problem)
    assert not list(tmp_path.parent.rglob("evil.h5"))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/x.h5",
        "https://nasa.gov.example.org/x.h5",
        "http://data.nsidc.earthdatacloud.nasa.gov/x.h5",
        "file:///etc/passwd",
        "https://user@example.org/nasa.gov/x.h5",
    ],
)
def test_a_file_at_another_host_is_not_asked_for(url):
    with pytest.raises(FetchProblem, match="It was not asked for"):
        Servers().check_url(url)


def test_a_granule_at_another_host_is_a_failure(served, wanted):
    name = smap(3).replace("_001", "_002")
    served.add_granule(name, b"x", url=f"http://localhost:1/data/{name}")
    told = get(served, wanted)
    assert told.files == 6
    assert "at a host that is not the archive's" in str(told.failures[0].problem)


def test_a_granule_beyond_the_period_is_left_out(served, wanted):
    """Searches also give what only touches a box or a period."""
    served.add_granule(smap(9), b"x")
    assert get(served, wanted).files == 6


def test_ten_thousand_granules_are_looked_through_once(served, tmp_path, monkeypatch):
    """What is expected is worked out for a search, and not for each of its granules."""
    from vadose.products.fetching import earthdata

    calls: list[str] = []
    whole = earthdata.expected

    def counted(*given):
        calls.append(given[0].product)
        return whole(*given)

    monkeypatch.setattr(earthdata, "expected", counted)
    get(served, Wanted("SPL3SMP_E", tmp_path / "data/SPL3SMP_E", BOX, DAYS))
    assert calls == ["SPL3SMP_E"]


# --- the other archives


def test_fields_are_asked_by_month_and_variable_through_the_stores_client(served, tmp_path):
    land = Wanted(
        "ERA5_LAND",
        tmp_path / "data/ERA5_LAND",
        BOX,
        ("2019-12-20", "2020-01-10"),
        ("soil_moisture",),
    )
    told = get(served, land)
    assert (told.files, told.failures) == (2, [])
    assert everything(land.folder) == {
        "volumetric_soil_water_layer_1_2019-12.nc",
        "volumetric_soil_water_layer_1_2020-01.nc",
    }
    job = min(served.jobs, key=lambda one: str(one["year"]))
    assert job["dataset"] == "derived-era5-land-daily-statistics"
    assert job["area"] == [-33.0, 146.0, -36.0, 149.0]
    assert (job["daily_statistic"], len(job["day"])) == ("daily_mean", 31)
    before = served.count()
    assert get(served, land).kept == 2
    assert served.count() == before


def test_a_licence_that_was_not_accepted_is_told(served, tmp_path):
    served.faults = {"job": ["403"] * 9}
    land = Wanted("ERA5_LAND", tmp_path / "data/ERA5_LAND", BOX, DAYS, ("soil_moisture",))
    (failure,) = get(served, land).failures
    assert "Accept the licence on https://cds.climate.copernicus.eu/datasets/" in str(
        failure.problem
    )
    assert "k3y" not in str(failure.problem)


def test_tiles_of_the_sea_are_asked_for_once(served, tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("default login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    name = "Copernicus_DSM_COG_30_S35_00_E147_00_DEM.tif"
    served.files[name] = content(1)
    dem = Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", (147.1, -34.9, 148.5, -34.1))
    told = get(served, dem)
    assert (told.files, told.absent, told.failures) == (1, 1, [])
    before = served.count()
    told = get(served, dem)
    assert (told.kept, told.absent, served.count()) == (1, 1, before)
    headers = [headers for _, _, headers in served.asked]
    assert not any("authorization" in one for one in headers)  # the files are public


def soil_map(folder: Path) -> bytes:
    """A global map of a degree, whose values are the row and column."""
    path = folder / "map.tif"
    values = (np.arange(180)[:, None] * 5 + np.arange(360)[None] % 5).astype("i2")
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "int16",
        "height": 180,
        "width": 360,
        "crs": "EPSG:4326",
        "transform": from_origin(-180, 90, 1, 1),
        "nodata": -32768,
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)
    return path.read_bytes()


def test_a_window_of_a_map_is_read_by_ranges(served, tmp_path):
    served.files["sand_0-5cm_mean_1000.tif"] = soil_map(tmp_path)
    soil = Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", BOX, None, ("sand",))
    told = get(served, soil)
    assert (told.files, told.failures) == (1, [])
    ranges = served.ranges("sand_0-5cm_mean_1000.tif")
    assert any(one.startswith("bytes=") for one in ranges)
    with rasterio.open(soil.folder / "sand_0-5cm_mean_1000.tif") as source:
        assert tuple(source.bounds) == BOX
        assert source.read(1)[0, 0] == 123 * 5 + 326 % 5  # 33 to 34 S, 146 to 147 E
        assert source.nodata == -32768
    cube = PRODUCTS["SOILGRIDS"].open(soil.folder)
    assert cube["sand"].shape == (3, 3)


def test_a_page_in_place_of_a_map_is_a_failure(served, tmp_path):
    served.files["sand_0-5cm_mean_1000.tif"] = b"<!DOCTYPE html><html>Maintenance</html>"
    soil = Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", BOX, None, ("sand",))
    (failure,) = get(served, soil).failures
    assert "no map that can be read" in str(failure.problem)
    assert everything(soil.folder) == set()


# --- accounts


def test_credentials_are_looked_for_where_clients_look(monkeypatch, tmp_path):
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "cdsapirc"))
    assert not has_credentials("earthdata")
    assert not has_credentials("climate_store")
    (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    (tmp_path / "cdsapirc").write_text("url: x\nkey: y\n")
    assert has_credentials("earthdata")
    assert has_credentials("climate_store")
    assert has_credentials("")


def test_what_is_wrong_with_a_file_of_credentials_is_said_without_them(monkeypatch, tmp_path):
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    assert complaint("earthdata") == ""
    path.write_text("machine urs.earthdata.nasa.gov login me password half other-half\n")
    path.chmod(0o600)
    assert "cannot be read about its line" in complaint("earthdata")
    assert "half" not in complaint("earthdata")
    assert not has_credentials("earthdata") or "EARTHDATA_TOKEN" in os.environ
    path.write_text("machine urs.earthdata.nasa.gov login me password secret\n")
    assert complaint("earthdata") == ""
    path.chmod(0o644)
    assert complaint("earthdata") == f"{path} can be read by others: chmod 600 {path}"


def test_every_account_of_a_collection_is_described():
    named = {collection.account for collection in COLLECTIONS.values()} - {""}
    assert named == set(ACCOUNTS)


def test_a_name_in_the_archive_is_one_that_the_reader_finds():
    """What is downloaded is found by the product's pattern, day and all."""
    names = {
        "SPL3SMP_E": smap(1),
        "SPL3SMP": "SMAP_L3_SM_P_20191201_R18290_001.h5",
        "SPL2SMP": "SMAP_L2_SM_P_26000_A_20191201T013000_R18290_001.h5",
        "SPL4SMGP": "SMAP_L4_SM_gph_20191201T013000_Vv8010_001.h5",
        "IMERG_DAILY": "3B-DAY.MS.MRG.3IMERG.20191201-S000000-E235959.V07B.nc4",
        "IMERG": "3B-HHR.MS.MRG.3IMERG.20191201-S000000-E002959.0000.V07B.HDF5",
        "GLDAS_NOAH": "GLDAS_NOAH025_3H.A20191201.0000.021.nc4",
        "MOD13A2": "MOD13A2.A2019337.h29v12.061.2020289123456.hdf",
        "SRTM": "N34E147.SRTMGL3.hgt.zip",
        "COPERNICUS_DEM": "Copernicus_DSM_COG_30_S35_00_E147_00_DEM.tif",
        "SOILGRIDS": "sand_0-5cm_mean_1000.tif",
        "ERA5_LAND": "skin_temperature_2019-12.nc",
    }
    for product, name in names.items():
        assert checked_name(name, COLLECTIONS[product].names, source="us") == name
        assert Path(name).match(PRODUCTS[product].pattern), product
