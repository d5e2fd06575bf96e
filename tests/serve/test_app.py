"""The answers of the server: what is asked for, what is refused, and runs that are not there yet."""

import io
import json
import shutil

import numpy as np
import pytest
import rasterio

from vadose.grids import grid_of, lonlat
from vadose.serve import service
from vadose.serve.colours import codes, table

# a tile is a picture without a place of its own
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

TILE = "/api/tiles/fine/2019-04-02/9/405/202.png"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.0)


def decoded(content: bytes) -> np.ndarray:
    """Give red, green, blue and alpha ``(4, y, x)`` of a tile."""
    with rasterio.open(io.BytesIO(content)) as picture:
        bands = picture.read()
        if picture.count == 4:
            return bands
        table = np.array([picture.colormap(1)[code] for code in range(256)], "u1")
        return np.moveaxis(table[bands[0]], -1, 0)


def mercator(longitude: float, latitude: float, zoom: int) -> tuple[float, float]:
    """Give column and row of a place in dots of the whole map."""
    size = 256 * 2**zoom
    row = np.arctanh(np.sin(np.radians(latitude))) / (2 * np.pi)
    return size * (longitude / 360 + 0.5), size * (0.5 - row)


def test_the_map_lists_layers_and_times(ask):
    found = ask.get("/api/map").json()
    assert found["title"] == "A small world"
    assert found["method"] == "Forest, closed"
    assert found["times"][0] == "2019-04-01"
    assert len(found["times"]) == 6
    assert found["notice"] == ""
    names = [layer["name"] for layer in found["layers"]]
    assert names == [
        "fine", "fine-origin", "fine-spread", "coarse", "difference", "truth", "error", "method-forest",
    ]  # fmt: skip


@pytest.mark.parametrize("zoom", [8, 10, 12])
def test_a_tile_has_the_colour_of_the_cell_at_each_place(ask, product, zoom):
    legend = ask.get("/api/layers/fine/legend").json()
    longitudes, latitudes = lonlat(grid_of(product))
    values = product["soil_moisture"].values[1]
    colours = table("moisture")
    seen = 0
    for row, column in ((6, 9), (15, 20), (30, 3), (1, 1)):
        across, down = mercator(longitudes[row, column], latitudes[row, column], zoom)
        address = f"/api/tiles/fine/2019-04-02/{zoom}/{int(across // 256)}/{int(down // 256)}.png"
        dots = decoded(ask.get(address).content)[:, int(down % 256), int(across % 256)]
        code = int(codes(values[row, column], legend["low"], legend["high"]))
        if zoom > 8:  # below, several cells share a dot
            assert tuple(dots.tolist()) == colours[code]
        assert (dots[3] == 0) == bool(np.isnan(values[row, column]))
        seen += 1
    assert seen == 4


def test_webp_is_the_same_picture(ask):
    dots = decoded(ask.get(TILE).content)
    other = ask.get(TILE.replace(".png", ".webp"))
    assert other.headers["content-type"] == "image/webp"
    assert (decoded(other.content)[:, dots[3] > 0] == dots[:, dots[3] > 0]).all()


def test_a_tile_beside_the_run_is_blank(ask):
    assert not decoded(ask.get("/api/tiles/fine/2019-04-02/9/1/1.png").content)[3].any()


def test_classes_keep_their_colours(ask):
    content = ask.get(TILE.replace("fine/", "fine-origin/")).content
    dots = decoded(content).reshape(4, -1)
    colours = {tuple(dot) for dot in dots[:, dots[3] > 0].T.tolist()}
    assert colours <= {table("origin")[code] for code in range(7)}
    meanings = [
        shade["meaning"] for shade in ask.get("/api/layers/fine-origin/legend").json()["shades"]
    ]
    assert meanings == ["downscaled", "filled", "masked"]  # no class that does not occur


def test_a_legend_has_sixteen_shades_from_low_to_high(ask):
    legend = ask.get("/api/layers/difference/legend").json()
    assert legend["low"] == -legend["high"]
    assert legend["unit"] == "m³ m⁻³"
    assert len(legend["shades"]) == 16
    assert legend["shades"][0]["low"] == legend["low"]
    assert legend["shades"][-1]["high"] == legend["high"]
    assert legend["low_is_open"]
    assert legend["high_is_open"]
    assert not ask.get("/api/layers/fine-spread/legend").json()["low_is_open"]  # it begins at 0


def test_the_value_at_a_place_is_that_of_its_cell(ask, earth, product):
    longitudes, latitudes = lonlat(grid_of(product))
    place = {"lon": longitudes[9, 12], "lat": latitudes[9, 12], "time": "2019-04-03"}
    fine = ask.get("/api/value", params={**place, "layer": "fine"}).json()
    expected = float(product["soil_moisture"][2, 9, 12])
    assert fine["value"] == pytest.approx(expected, rel=1e-6)
    assert fine["origin"] == "filled"
    coarse = float(earth.coarse_truth["soil_moisture"][2, 1, 1])
    difference = ask.get("/api/value", params={**place, "layer": "difference"}).json()
    assert difference["value"] == pytest.approx(expected - coarse, abs=1e-6)
    code = ask.get("/api/value", params={**place, "layer": "fine-origin"}).json()
    assert code["meaning"] == "filled"


def test_a_gap_and_a_place_outside_have_no_value(ask, product):
    longitudes, latitudes = lonlat(grid_of(product))
    for lon, lat in ((longitudes[0, 0], latitudes[0, 0]), (0.0, 0.0)):
        place = {"lon": lon, "lat": lat, "time": "2019-04-03", "layer": "fine"}
        assert ask.get("/api/value", params=place).json()["value"] is None


def test_series_hold_product_input_rain_and_the_station(ask, earth, product):
    stations = earth.stations
    lon, lat = float(stations["lon"][1]), float(stations["lat"][1])
    found = ask.get("/api/series", params={"lon": lon, "lat": lat}).json()
    lines = {line["name"]: line for line in found["lines"]}
    assert set(lines) == {"fine", "coarse", "truth", "precipitation", "station"}
    assert lines["precipitation"]["kind"] == "bars"
    assert len(lines["fine"]["value"]) == 6
    assert found["station"]["name"] == str(stations["station"].values[1])
    assert found["station"]["distance_km"] == 0
    expected = stations["soil_moisture"].values[1]
    assert lines["station"]["value"] == pytest.approx(
        expected[np.isfinite(expected)].tolist(), rel=1e-5
    )
    assert lines["fine"]["origin"] == [*["filled"] * 4, "downscaled", "filled"]
    assert lines["coarse"]["origin"] is None
    (band,) = found["bands"]
    assert band["title"] == "± spread of the model's parts"
    assert band["low"] == pytest.approx([0.9 * value for value in lines["fine"]["value"]], rel=1e-4)
    assert band["high"] == pytest.approx([1.1 * one for one in lines["fine"]["value"]], rel=1e-4)
    alone = ask.get("/api/series", params={"lon": lon + 1.5, "lat": lat, "within": 5}).json()
    assert alone["station"] is None


def test_stations_are_points(ask, earth):
    found = ask.get("/api/stations").json()["features"]
    assert len(found) == 4
    assert found[0]["properties"]["network"] == str(earth.stations["network"].values[0])
    assert found[0]["geometry"]["coordinates"][1] == pytest.approx(
        float(earth.stations["lat"][0]), abs=1e-4
    )


def test_stations_that_judge_nothing_say_why(ask, run, client_of, tmp_path):
    about = [one["properties"] for one in ask.get("/api/stations").json()["features"]]
    assert [one["judges"] for one in about] == [True, True, False, False]
    assert [one["verdict"] for one in about] == [
        "", "", "2 values shared with all methods", "it is not scored",
    ]  # fmt: skip
    copy = shutil.copytree(run, tmp_path / "unscored", ignore=shutil.ignore_patterns("validation"))
    with client_of(copy) as other:
        about = [one["properties"] for one in other.get("/api/stations").json()["features"]]
    assert {one["judges"] for one in about} == {None}


def test_an_interval_and_members_are_shown(ensemble_run, client_of):
    with client_of(ensemble_run) as ask:
        layers = {one["name"]: one for one in ask.get("/api/map").json()["layers"]}
        assert layers["fine-member-2"]["title"] == "Member 2 of 3"
        place = {"lon": 21.0, "lat": -29.5}
        asked = {**place, "layer": "fine-member-2", "time": "2019-07-02"}
        assert ask.get("/api/value", params=asked).json()["value"] == pytest.approx(0.21, abs=1e-4)
        assert ask.get("/api/tiles/fine-member-2/2019-07-02/9/285/300.png").status_code == 200
        (band,) = ask.get("/api/series", params=place).json()["bands"]
        legend = ask.get("/api/layers/fine-gap-age/legend").json()
    assert band["title"] == "Interval of 90 %"
    assert band["low"] == [
        pytest.approx(0.15, abs=1e-4),
        None,
        *[pytest.approx(0.15, abs=1e-4)] * 2,
    ]
    assert band["high"][3] == pytest.approx(0.3, abs=1e-4)
    assert legend["high"] == 20  # one cell of one day is 17 days old


def test_a_product_without_uncertainty_says_how_to_get_it(ask, far_run, client_of):
    assert ask.get("/api/map").json()["absent"] == {}
    with client_of(far_run) as other:
        absent = other.get("/api/map").json()["absent"]
    assert absent == {"Uncertainty": "none: add intervals: to the recipe"}


def test_outlines_are_vectors(ask):
    found = ask.get("/api/outlines/coast_110m").json()["features"][0]["geometry"]
    assert found["type"] == "MultiLineString"
    assert len(found["coordinates"]) > 100


BAD = [
    "/api/tiles/fine/2019-04-02/19/1/1.png",
    "/api/tiles/fine/2019-04-02/-1/1/1.png",
    "/api/tiles/fine/2019-04-02/3/x/1.png",
    "/api/tiles/fine/2019-04-02/3/1/1.tif",
    "/api/tiles/FINE/2019-04-02/3/1/1.png",
    "/api/tiles/fine/yesterday/3/1/1.png",
    "/api/value?lon=1&lat=91&layer=fine&time=2019-04-02",
    "/api/value?lon=nan&lat=1&layer=fine&time=2019-04-02",
    "/api/value?lon=inf&lat=1&layer=fine&time=2019-04-02",
    "/api/value?lon=1&lat=1&layer=../x&time=2019-04-02",
    "/api/value?lon=1&lat=1&layer=fine",
    "/api/series?lon=1&lat=1&within=-3",
    "/api/outlines/passwd",
]


@pytest.mark.parametrize("address", BAD)
def test_bad_parameters_are_422_and_say_which(ask, address):
    answer = ask.get(address)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"]


def test_names_that_are_not_listed_are_404_with_those_that_are(ask):
    answer = ask.get("/api/layers/coarser/legend")
    assert answer.status_code == 404
    assert "no layer 'coarser'; one of fine, fine-origin" in answer.json()["detail"]
    assert ask.get("/api/tiles/fine/2031-04-02/3/1/1.png").status_code == 404
    assert ask.get("/api/tiles/fine/2019-04-02/3/8/1.png").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/static/../secret.txt",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e/%2e%2e/secret.txt",
        "/static//etc/passwd",
        "/static/vendor/leaflet/../../../app.py",
        "/static/..\\app.py",
        "/static/%00",
        "/api/tiles/..%2f..%2fsecret/2019-04-02/3/1/1.png",
        "/api/layers/%2e%2e%2fsecret/legend",
        "/secret.txt",
        "/%2e%2e/secret.txt",
    ],
)
def test_no_address_reaches_the_file_system(ask, run, address):
    (run.parent / "secret.txt").write_text("secret")
    answer = ask.get(address)
    assert answer.status_code in (404, 422)
    assert b"secret" not in answer.content.replace(b"%2fsecret", b"")


def test_the_page_and_its_files_come_with_what_forbids_others(ask):
    page = ask.get("/")
    assert page.status_code == 200
    assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    for part in ("/static/vendor/leaflet/leaflet.js", "/static/vendor/leaflet/LICENSE"):
        assert ask.get(part).status_code == 200
    tag = ask.get("/static/map.js").headers["etag"]
    assert ask.get("/static/map.js", headers={"if-none-match": tag}).status_code == 304


def test_tiles_are_kept_by_a_browser_for_one_version_only(ask):
    version = ask.get("/api/map").json()["version"]
    assert ask.get(f"{TILE}?v={version}").headers["cache-control"] == (
        "private, max-age=3600, immutable"
    )
    assert ask.get(f"{TILE}?v=older").headers["cache-control"] == "no-store"


def test_the_description_of_the_server_names_all_addresses(ask):
    paths = ask.get("/openapi.json").json()["paths"]
    assert {"/api/map", "/api/value", "/api/series", "/api/stations"} <= set(paths)
    assert all(set(methods) == {"get"} for methods in paths.values())
    assert "422" in paths["/api/value"]["get"]["responses"]
    assert ask.get("/docs").status_code == 404  # it would load scripts from elsewhere


def test_a_missing_or_empty_folder_is_404_and_says_so(tmp_path, client_of):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_bytes(b"")
    for name, words, state in (
        ("nowhere", "found no such folder, expected the folder of a run", "missing"),
        ("empty", "found an empty folder", "empty"),
        ("other", "found files that are no run", "empty"),
    ):
        with client_of(tmp_path / name) as ask:
            answer = ask.get("/api/map")
            assert answer.status_code == 404
            assert words in answer.json()["detail"]
            assert answer.json()["state"] == state
            assert ask.get("/").status_code == 200  # the page tells it


def test_a_run_that_has_just_begun_is_503_and_shows_as_it_comes(tmp_path, earth, run, client_of):
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "state.json").write_text(json.dumps({"stages": {}}))
    with client_of(begun) as ask:
        answer = ask.get("/api/map")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "a run without any map yet (nothing done)" in answer.json()["detail"]
        shutil.copytree(run / "coarse.zarr", begun / "coarse.zarr")
        (begun / "state.json").write_text(json.dumps({"stages": {"build": 1.0}}))
        found = ask.get("/api/map").json()
        assert [layer["name"] for layer in found["layers"]] == ["coarse"]
        assert "This run is not finished: build done" in found["notice"]
        # a store that is being written has no root yet, and is no layer
        shutil.copytree(run / "product.zarr", begun / "product.zarr")
        (begun / "product.zarr" / "zarr.json").rename(begun / "product.zarr" / "aside")
        assert len(ask.get("/api/map").json()["layers"]) == 1
        (begun / "product.zarr" / "aside").rename(begun / "product.zarr" / "zarr.json")
        assert ask.get("/api/map").json()["layers"][0]["name"] == "fine"
        assert ask.get(TILE).status_code == 200


def test_a_damaged_store_is_503_and_named(tmp_path, earth, client_of, write_run):
    broken = write_run(tmp_path / "broken", earth)
    chunk = next(
        part for part in (broken / "product.zarr/soil_moisture/c").rglob("*") if part.is_file()
    )
    chunk.unlink()
    with client_of(broken) as ask:
        answer = ask.get("/api/map")
        assert answer.status_code == 503
        assert answer.json()["state"] == "damaged"
        assert "product.zarr: found" in answer.json()["detail"]


def test_a_fused_folder_is_shown_too(tmp_path, run, client_of):
    fused = tmp_path / "fused"
    fused.mkdir()
    shutil.copytree(run / "product.zarr", fused / "fused.zarr")
    (fused / "manifest.json").write_text(json.dumps({"title": "Fused"}))
    with client_of(fused) as ask:
        found = ask.get("/api/map").json()
        assert found["layers"][0]["title"] == "Fused record"
        assert ask.get(TILE).status_code == 200


def test_a_run_across_the_antimeridian_is_shown_on_both_sides_of_it(far_run, client_of):
    with client_of(far_run) as ask:
        assert ask.get("/api/map").json()["bounds"] == [170, -20, 190, -10]
        seen = []
        for longitude in (179.0, -179.0, 181.0):
            place = {"lon": longitude, "lat": -15.05, "layer": "fine", "time": "2019-07-01"}
            seen.append(ask.get("/api/value", params=place).json()["value"])
            lines = ask.get("/api/series", params={"lon": longitude, "lat": -15.05}).json()["lines"]
            assert [line["value"][0] for line in lines] == [pytest.approx(seen[-1], abs=1e-4)] * 2
            column, row = mercator((longitude + 180) % 360 - 180, -15.05, 6)
            address = f"/api/tiles/fine/2019-07-01/6/{int(column // 256)}/{int(row // 256)}.png"
            dots = decoded(ask.get(address).content)
            assert dots[3, int(row % 256), int(column % 256)] == 255
        assert seen == pytest.approx([0.1, 0.4, 0.4], abs=1e-4)
        place = {"lon": -175.0, "lat": -15.05, "layer": "difference", "time": "2019-07-01"}
        assert ask.get("/api/value", params=place).json()["value"] == pytest.approx(0, abs=1e-4)


def test_a_station_at_one_depth_says_it_once(earth):
    from vadose.serve.stations import Stations

    data = earth.stations.assign(
        depth_from=("station", np.full(4, 0.05)), depth_to=("station", [0.05, 0.1, 0.05, 0.05])
    )
    depths = [one["properties"]["depth"] for one in Stations(data).as_geojson()["features"]]
    assert depths[:2] == ["5 cm", "5–10 cm"]
