"""Logins as they are in earnest: the archives' own names, https, redirections, expiry, and secrets that stay secret."""

from __future__ import annotations

import base64
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests

from vadose.products.fetching import Policy, Servers, Wanted, fetch, plan
from vadose.products.fetching.base import FetchProblem
from vadose.products.fetching.guard import KEY, TIMEOUT, guard, patient, strip

pytest.importorskip("earthaccess")
pytest.importorskip("cdsapi")
pytest.importorskip("cryptography")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from archive_server import archive
from login_server import (
    CLOUD,
    CODE,
    COOKIE,
    DATA,
    LOGIN,
    SEARCH,
    SIGNATURE,
    STRANGER,
    certificate,
    guarded_archive,
)

sys.path.pop(0)

BOX = (146.0, -36.0, 149.0, -33.0)
DAYS = ("2019-12-01", "2019-12-04")
NAME, PASSWORD = "me-myself", "pa55word-of-the-user"
TOKEN = "t0ken-of-the-user"  # noqa: S105
QUICK = Policy(attempts=2, pause=0.01, longest_pause=0.05, timeout=5.0, workers=1)


def smap(day: int) -> str:
    return f"SMAP_L3_SM_P_E_201912{day:02d}_R18290_001.h5"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def served(monkeypatch, pem, tmp_path):
    """Four days of SMAP behind the hosts of NASA, under their own names; no credentials yet."""
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with guarded_archive(pem) as (one, door):
        for scheme in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(scheme, one.url)
        door.names[NAME] = PASSWORD
        door.tokens.append(TOKEN)
        for day in range(1, 5):
            content = np.random.default_rng(day).bytes(5000)
            one.add_granule(smap(day), content, url=f"https://{DATA}/data/{smap(day)}")
        one.door = door
        yield one


@pytest.fixture
def named(monkeypatch):
    monkeypatch.setenv("EARTHDATA_USERNAME", NAME)
    monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)


@pytest.fixture
def wanted(tmp_path):
    return Wanted("SPL3SMP_E", tmp_path / "data/SPL3SMP_E", BOX, DAYS)


def write_netrc(tmp_path, *lines: str) -> None:
    path = tmp_path / "netrc"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


def get(*wanted, policy=QUICK, **options):
    return fetch(wanted, policy=policy, **options)  # of the archives themselves, by their names


def at(served, host: str) -> list[dict[str, str]]:
    return [
        headers
        for _, _, headers in served.asked
        if headers.get("host", headers.get("Host")) == host
    ]


def check_secrets_stayed_home(served) -> None:
    """Name and password at the login only, a token at NASA's hosts only, cookies where they were set."""
    basic = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    for _, path, headers in served.asked:
        host, shown = headers["host"], json.dumps(headers)
        assert host != STRANGER, path
        assert not host.endswith("example.org"), path
        if host != LOGIN:
            assert basic not in shown, (host, path)
            assert "Basic" not in headers.get("authorization", ""), (host, path)
        if host == CLOUD:
            assert "authorization" not in headers
            assert "cookie" not in headers
        if host != DATA:
            assert COOKIE not in shown
        if not host.endswith(".nasa.gov"):
            assert TOKEN not in shown


# --- name and password


@pytest.mark.parametrize("way", ["environment", "netrc"])
@pytest.mark.parametrize("door", ["token", "code"])
def test_name_and_password_open_the_door(way, door, served, wanted, monkeypatch, tmp_path):
    """The login is asked for a token; a host that wants a code of its own gets that."""
    if way == "environment":
        monkeypatch.setenv("EARTHDATA_USERNAME", NAME)
        monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)
    else:
        write_netrc(tmp_path, f"machine {LOGIN} login {NAME} password {PASSWORD}")
    served.door.way = door
    told = get(wanted)
    assert (told.files, told.failures) == (4, [])
    for day in range(1, 5):
        assert (wanted.folder / smap(day)).read_bytes() == served.files[smap(day)]
    # with a netrc, requests shows name and password at once, and earthaccess again
    assert served.door.issued == (1 if way == "environment" else 2)
    assert len(at(served, CLOUD)) == 4
    check_secrets_stayed_home(served)


def test_a_netrc_that_serves_everyone_serves_the_login_only(served, wanted, tmp_path):
    """Clients give the ``default`` entry of a ``.netrc`` to every host that they are sent to."""
    write_netrc(
        tmp_path,
        f"machine {LOGIN} login {NAME} password {PASSWORD}",
        f"machine {CLOUD} login {NAME} password {PASSWORD}",
        f"default login {NAME} password {PASSWORD}",
    )
    for way in ("token", "code"):
        served.door.way = way
        told = get(replace(wanted, folder=wanted.folder.with_name(way)))
        assert (told.files, told.failures) == (4, [])
    check_secrets_stayed_home(served)


def test_a_token_opens_the_door_without_the_login(served, wanted, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    assert get(wanted).files == 4
    assert at(served, LOGIN) == []
    assert {one["authorization"] for one in at(served, DATA)} == {f"Bearer {TOKEN}"}
    assert {one["authorization"] for one in at(served, SEARCH)} == {f"Bearer {TOKEN}"}
    check_secrets_stayed_home(served)


def test_a_wrong_password_is_tried_once(served, wanted, named):
    served.door.names[NAME] = "another"
    (failure,) = get(wanted).failures
    assert "found a login that failed (LoginAttemptFailure)" in str(failure.problem)
    assert "put name and password into ~/.netrc" in str(failure.problem)
    tried = [one for one in at(served, LOGIN) if "authorization" in one]
    assert len(tried) == 1


def test_a_login_that_was_refused_is_not_asked_again_for_another_product(
    served, wanted, named, tmp_path
):
    """Many refused logins lock an account: the study of China has six products of NASA."""
    served.door.names[NAME] = "another"
    tiles = Wanted("MOD13A2", tmp_path / "data/MOD13A2", BOX, DAYS)
    told = get(wanted, tiles)
    assert [one.product for one in told.failures] == ["SPL3SMP_E", "MOD13A2"]
    assert len([one for one in at(served, LOGIN) if "authorization" in one]) == 1


def test_a_login_that_cannot_be_reached_is_not_taken_for_a_wrong_password(
    served, wanted, named, monkeypatch
):
    for scheme in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    (failure,) = get(wanted).failures
    assert f"{LOGIN}: found nobody who answers (ProxyError)" in str(failure.problem)
    assert "password" not in str(failure.problem)


# --- a token that expires


def test_a_token_that_expires_in_the_middle_is_renewed(served, wanted, named):
    served.door.expires_after = 2
    told = get(wanted)
    assert (told.files, told.failures) == (4, [])
    assert served.door.issued == 2
    used = [one["authorization"] for one in at(served, DATA)]
    assert used == [f"Bearer {TOKEN}"] * 3 + [f"Bearer {TOKEN}-new"] * 2
    check_secrets_stayed_home(served)


def test_many_threads_renew_a_token_once(served, wanted, named):
    served.door.expires_after = 0
    told = get(wanted, policy=replace(QUICK, workers=4))
    assert (told.files, told.failures) == (4, [])
    assert served.door.issued == 2


def test_a_token_alone_that_expires_is_told_and_asked_with_no_more(served, wanted, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    served.door.expires_after = 1
    told = get(wanted)
    assert (told.files, len(told.failures)) == (1, 3)
    assert f"found a login that was refused (401 from {DATA})" in str(told.failures[0].problem)
    assert len(at(served, DATA)) == 2
    assert at(served, LOGIN) == []


def test_a_login_that_gives_the_same_token_again_is_asked_once(served, wanted, named):
    served.door.expires_after = 0
    serving = served.door

    class Stubborn(list):
        def __contains__(self, _: object) -> bool:
            return False

    serving.tokens = Stubborn([TOKEN])
    told = get(wanted, policy=replace(QUICK, workers=4))
    assert len(told.failures) == 4
    assert serving.issued == 2  # at the beginning, and to renew it, though four threads are refused
    assert len(at(served, DATA)) <= 4


# --- redirections


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"https://{STRANGER}/data/x.h5", f"{STRANGER}: found a redirection to a host"),
        (f"https://{LOGIN}.example.org/oauth/authorize", "found a redirection to a host that is n"),
        (f"http://{DATA}/data/x.h5", f"{DATA}: found an address without https"),
        (f"http://{LOGIN}/oauth/authorize?state=x", f"{LOGIN}: found an address without https"),
        ("https://me:secret@files.example.org/x", f"{STRANGER}: found a redirection to a host"),
    ],
)
def test_a_redirection_to_a_stranger_is_not_followed(address, words, served, wanted, named):
    served.door.way = address
    told = get(wanted)
    assert told.files == 0
    assert words in str(told.failures[0].problem)
    check_secrets_stayed_home(served)
    assert not list(wanted.folder.glob("*"))


def test_a_search_that_is_sent_elsewhere_is_not_followed(served, wanted, named, monkeypatch):
    stranger = replace(Servers(), search=f"https://{STRANGER}/search/")
    told = get(wanted, servers=stranger)
    assert f"{STRANGER}: found a redirection to a host" in str(told.failures[0].problem)
    check_secrets_stayed_home(served)


def request(**headers: str) -> requests.PreparedRequest:
    return requests.Request("GET", "https://x.nasa.gov/", headers=headers).prepare()


def test_a_log_of_all_there_is_holds_no_signature(served, wanted, named, caplog):
    with caplog.at_level(logging.DEBUG):
        assert get(wanted).files == 4
    assert f"/data/{smap(1)}?..." in caplog.text
    assert SIGNATURE not in caplog.text


def test_a_client_without_a_limit_is_given_one():
    """A firewall that drops what is sent would hold a login for good."""
    assert patient({"timeout": None, "stream": True}) == {"timeout": TIMEOUT, "stream": True}
    assert patient({"timeout": 5.0}) == {"timeout": 5.0}


def test_a_guard_lets_each_secret_to_its_hosts():
    secrets = {"Basic": (LOGIN,), "Bearer": ("nasa.gov",), KEY: ("cds.climate.copernicus.eu",)}
    asked = request(Authorization="Basic abc", **{KEY: "k"})
    strip(asked, LOGIN, secrets)
    assert (asked.headers["Authorization"], KEY in asked.headers) == ("Basic abc", False)
    strip(asked, "data.nasa.gov", secrets)
    assert "Authorization" not in asked.headers
    asked = request(Authorization="Digest abc")
    strip(asked, LOGIN, secrets)
    assert "Authorization" not in asked.headers
    session = guard(requests.Session(), Servers(), secrets)
    with pytest.raises(FetchProblem, match="found a redirection to a host"):
        session.get("https://example.org/")


def test_the_key_of_the_climate_store_follows_no_redirection(public):
    """Clients take headers of their own along to wherever they are sent."""
    public.files["x"] = b""
    public.faults = {"x": ["login"]}  # sends to localhost
    session = guard(requests.Session(), public.servers, {KEY: ("127.0.0.1",)})
    with session.get(f"{public.url}/data/x", headers={KEY: "k3y"}):
        session.close()
    (first, second) = [headers for _, _, headers in public.asked]
    assert first[KEY.lower()] == "k3y"
    assert KEY.lower() not in second


# --- public files


TILES = [f"Copernicus_DSM_COG_30_S35_00_E{one}_00_DEM.tif" for one in (147, 148)]


@pytest.fixture
def public():
    with archive() as one:
        one.get = lambda *wanted, **options: fetch(
            wanted, servers=one.servers, policy=QUICK, **options
        )
        yield one


@pytest.fixture
def tiles(tmp_path):
    return Wanted("COPERNICUS_DEM", tmp_path / "data/COPERNICUS_DEM", (147.1, -34.9, 148.5, -34.1))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_refused_tile_among_others_is_one_of_the_sea(place, workers, public, tiles):
    """A bucket that may not be listed says 403 of what it does not have."""
    for tile in TILES:
        public.files[tile] = b"heights"
    public.faults = {TILES[place]: ["403"] * 9}
    told = fetch([tiles], servers=public.servers, policy=replace(QUICK, workers=workers))
    assert (told.files, told.absent, told.failures) == (1, 1, [])
    before = public.count()
    told = public.get(tiles)
    assert (told.kept, told.absent, public.count()) == (1, 1, before)


def test_a_refused_tile_beside_one_that_does_not_exist_is_one_of_the_sea(public, tiles):
    public.faults = {TILES[0]: ["403"] * 9}
    assert public.get(tiles).absent == 2


def test_an_archive_that_refuses_all_tiles_is_told_and_nothing_is_remembered(public, tiles):
    for tile in TILES:
        public.files[tile] = b"heights"
        public.faults[tile] = ["403"] * 2
    told = public.get(tiles)
    assert (told.files, told.absent, len(told.failures)) == (0, 0, 2)
    text = str(told.failures[0].problem)
    assert "copernicus-dem-90m: found an archive that refused all 2 files of the box (403)" in text
    assert "login" not in text
    assert public.count("/data/") <= 3
    public.faults = {}
    assert public.get(tiles).files == 2


def test_an_archive_that_was_closed_after_a_tile_had_come_has_no_sea(public, tiles):
    """What is here says nothing of the archive of today: the tile is asked for by its head."""
    public.files[TILES[0]] = b"heights"
    public.faults = {TILES[1]: ["500"] * 9}
    assert public.get(tiles).files == 1
    public.faults = {tile: ["403"] * 9 for tile in TILES}
    told = public.get(tiles)
    assert (told.kept, told.absent, len(told.failures)) == (1, 0, 1)
    public.faults = {TILES[1]: ["403"] * 9}
    assert public.get(tiles).absent == 1


def test_a_public_file_that_asks_for_a_login_is_told(public, tiles):
    public.files[TILES[0]] = b"heights"
    public.faults = {TILES[0]: ["401"]}
    (failure,) = public.get(tiles).failures
    assert "found a login that is asked for (401 from 127.0.0.1), expected a public file" in str(
        failure.problem
    )


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({}, "sand_0-5cm_mean_1000.tif: found no such map at the archive (404)"),
        ({"sand_0-5cm_mean_1000.tif": ["403"] * 9}, "refused all 1 files of the box (403)"),
    ],
)
def test_a_map_that_is_lacking_is_told(faults, words, public, tmp_path):
    public.faults = faults
    soil = Wanted("SOILGRIDS", tmp_path / "data/SOILGRIDS", BOX, None, ("sand",))
    (failure,) = public.get(soil).failures
    assert words in str(failure.problem)


def test_public_files_are_not_followed_to_strangers(public, tiles):
    stranger = replace(public.servers, login="nobody")
    public.files[TILES[0]] = public.files[TILES[1]] = b"heights"
    public.faults = {TILES[0]: ["login"]}  # sends to localhost
    told = fetch([tiles], servers=stranger, policy=QUICK)
    assert told.files == 1
    assert "localhost: found a redirection to a host" in str(told.failures[0].problem)
    assert public.count("/oauth") == 0


# --- secrets


def test_no_secret_is_written_anywhere(
    served, wanted, named, monkeypatch, tmp_path, caplog, capsys
):
    """Everything that is written, said or logged in a download with every kind of failure."""
    from vadose.cli.fetch import show_fetched, show_plan

    key = "k3y-of-the-user"
    secrets = [PASSWORD, TOKEN, key, SIGNATURE, CODE, COOKIE]
    secrets.append(base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode())
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="ecmwf")
    caplog.set_level(logging.DEBUG, logger="cdsapi")
    caplog.set_level(logging.DEBUG, logger="earthaccess")
    said: list[str] = []

    def note(*words: object) -> None:
        said.append(" ".join(map(str, words)))

    def run(*asked, **options):
        told = fetch(asked, progress=note, policy=QUICK, **options)
        show_plan([plan(one) for one in asked])
        show_fetched(told, Path("recipe.yaml"))
        said.extend(repr(one.problem) + repr(one.problem.__dict__) for one in told.failures)
        return told

    signed = f"https://{DATA}/data/{smap(4)}?X-Amz-Signature={SIGNATURE}"
    served.granules.pop()
    served.add_granule(smap(4), b"data", url=signed)
    served.faults = {smap(1): ["cut", "404"], smap(2): ["403"] * 9, smap(3): ["wrong"] * 9}
    served.door.expires_after = 3
    assert run(wanted).failures
    for way in ("code", f"https://{STRANGER}/?X-Amz-Signature={SIGNATURE}&code={CODE}"):
        served.door.way = way
        run(replace(wanted, folder=wanted.folder.with_name(str(len(way)))))
    served.door.names[NAME] = "another"
    run(wanted, refresh=True)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name)
    with archive() as store:
        monkeypatch.setenv("CDSAPI_URL", f"{store.url}/cds")
        monkeypatch.setenv("CDSAPI_KEY", key)
        land = Wanted("ERA5_LAND", tmp_path / "data/ERA5_LAND", BOX, DAYS, ("albedo",))
        for faults in ({}, {"job": ["401"]}, {"poll": ["500"] * 9}, {"job": ["gone"] * 9}):
            store.states = [["failed:no"], ["running", "successful"]]
            store.faults = faults
            run(
                replace(land, folder=land.folder.with_name(f"land{len(said)}")),
                servers=store.servers,
            )
        monkeypatch.setenv("CDSAPI_KEY", f"1234:{key}")  # of the store before this one
        run(land, servers=store.servers, refresh=True)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "fetched.jsonl" for path in written)
    heard = capsys.readouterr()
    everything = {
        **{str(path): path.read_bytes().decode("latin-1") for path in written},
        "said": "\n".join(said),
        "shown": heard.out + heard.err,
        "logged": caplog.text,
    }
    assert "Failed (" in everything["shown"]
    for where, text in everything.items():
        for secret in secrets:
            assert secret not in text, f"{secret} in {where}"


def test_a_problem_carries_no_secret_to_a_traceback(served, wanted, monkeypatch):
    """What a problem was raised from is shown beneath it where nobody catches it."""
    monkeypatch.setenv("EARTHDATA_USERNAME", NAME)
    monkeypatch.setenv("EARTHDATA_PASSWORD", "wr0ng-" + PASSWORD)
    (failure,) = get(wanted).failures
    chain: list[BaseException] = [failure.problem]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    assert PASSWORD not in repr([str(one) for one in chain])
