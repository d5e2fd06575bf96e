import importlib.util
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from vadose.errors import UnknownName
from vadose.report.outlines import LAYERS, densified, land_raster, read_outlines

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_outlines.py"


@pytest.mark.parametrize("layer", LAYERS)
def test_all_points_are_on_the_earth(layer):
    lines = read_outlines(layer)
    points = np.concatenate(lines)
    assert len(lines) > 100
    assert np.abs(points[:, 0]).max() <= 180
    assert np.abs(points[:, 1]).max() <= 90


@pytest.mark.parametrize("layer", ["coast_110m", "coast_50m"])
def test_coastlines_are_closed(layer):
    assert all((line[0] == line[-1]).all() for line in read_outlines(layer))


def test_a_border_is_stored_once():
    starts = [
        tuple(sorted([tuple(line[0]), tuple(line[-1])])) for line in read_outlines("borders_50m")
    ]
    middles = [tuple(line[len(line) // 2]) for line in read_outlines("borders_50m")]
    assert len(set(zip(starts, middles, strict=True))) == len(starts)


@pytest.mark.parametrize(
    ("place", "is_land"),
    [
        ((0.0, 51.4), True),  # Greenwich
        ((-30.0, 40.0), False),  # Atlantic
        ((50.5, 42.0), False),  # Caspian Sea, a hole in the land
        ((0.5, -85.0), True),  # Antarctica, whose ring goes around the pole
        ((179.0, 67.5), True),  # Chukotka, on both sides of the antimeridian
        ((-179.0, 67.5), True),
        ((-120.0, 0.0), False),  # Pacific
    ],
)
def test_land_is_where_it_is_known_to_be(place, is_land):
    longitude, latitude = place
    region = (longitude - 0.05, latitude - 0.05, longitude + 0.05, latitude + 0.05)
    assert land_raster(region, (1, 1))[0, 0] == is_land


def test_land_covers_its_known_share_of_the_earth():
    land = land_raster((-180, -90, 180, 90), (360, 720), "coast_110m")
    weight = np.cos(np.radians(90 - (np.arange(360) + 0.5) / 2))
    assert (land.mean(axis=1) * weight).sum() / weight.sum() == pytest.approx(0.29, abs=0.01)


def test_a_crossing_of_the_antimeridian_breaks_the_line():
    line = densified(np.array([[179.0, 0.0], [-179.0, 0.0]]))
    assert np.isnan(line).any()
    assert np.nanmax(np.abs(line)) <= 179


def test_an_unknown_layer_is_named():
    with pytest.raises(UnknownName, match="Did you mean 'coast_50m'"):
        read_outlines("coast_50")


def test_the_script_joins_arcs_and_keeps_shared_ones_once(tmp_path):
    """Two squares side by side: one shared arc, one land ring around both."""
    topology = {
        "type": "Topology",
        "transform": {"scale": [1.0, 1.0], "translate": [0.0, 0.0]},
        "arcs": [
            [[1, 0], [0, 1]],
            [[1, 1], [-1, 0], [0, -1], [1, 0]],
            [[1, 0], [1, 0], [0, 1], [-1, 0]],
        ],
        "objects": {
            "countries": {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Polygon", "arcs": [[0, 1]]},
                    {"type": "MultiPolygon", "arcs": [[[2, -1]]]},
                ],
            },
            "land": {
                "type": "GeometryCollection",
                "geometries": [{"type": "MultiPolygon", "arcs": [[[2, 1]]]}],
            },
        },
    }
    spec = importlib.util.spec_from_file_location("make_outlines", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    tarball = tmp_path / "atlas.tgz"
    content = json.dumps(topology).encode()
    with tarfile.open(tarball, "w:gz") as archive:
        entry = tarfile.TarInfo("package/countries-50m.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    read = script.read_topology(tarball, "countries-50m")
    borders, coasts = script.borders(read), script.coastlines(read)
    assert [line.tolist() for line in borders] == [[[1, 0], [1, 1]]]
    assert len(coasts) == 1
    assert (coasts[0][0] == coasts[0][-1]).all()
    moves, lengths = script.pack(borders)
    assert np.cumsum(moves, axis=0).tolist() == [[1000, 0], [1000, 1000]]
    assert lengths.tolist() == [2]
    script.write(tmp_path / "a.npz", {"moves": moves})
    script.write(tmp_path / "b.npz", {"moves": moves})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (np.load(tmp_path / "a.npz")["moves"] == moves).all()
