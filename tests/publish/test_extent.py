"""Extents agree with PROJ's own bounds, across the antimeridian and round the poles too."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as some
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from vadose.grids import latlon, lonlat, named_grid
from vadose.publish.extent import centres_of, extent_of

GRIDS = {
    "degrees": latlon(0.25, (-5.0, 40.0, 2.5, 45.0)),
    "globe": latlon(5.0),
    "globe of equal area": named_grid("EASE2_36km"),
    "Fiji": GeoBox((20, 30), Affine(0.25, 0, 177, 0, -0.25, -15), "EPSG:4326"),
    "UTM": GeoBox((30, 25), Affine(1000, 0, 5e5, 0, -1000, 4.6e6), "EPSG:32633"),
    "UTM over 180": GeoBox((30, 250), Affine(1000, 0, 6e5, 0, -1000, 7.6e6), "EPSG:32660"),
    "Arctic": GeoBox((30, 30), Affine(25000, 0, -375000, 0, -25000, 375000), "EPSG:6931"),
    "Antarctic": GeoBox((30, 30), Affine(25000, 0, -375000, 0, -25000, 375000), "EPSG:6932"),
    "Taymyr": GeoBox((30, 30), Affine(25000, 0, 1e6, 0, -25000, 1e6), "EPSG:6931"),
    "Bering": GeoBox((30, 30), Affine(25000, 0, -375000, 0, -25000, 3e6), "EPSG:6931"),
}
OVER_180 = ["Fiji", "UTM over 180", "Bering"]
grids = pytest.mark.parametrize("name", list(GRIDS))


@grids
def test_bounds_are_those_of_proj(name) -> None:
    grid = GRIDS[name]
    edges = grid.extent.boundingbox
    west, south, east, north = transform_bounds(str(grid.crs), "EPSG:4326", *edges, densify_pts=201)
    if name == "Fiji":
        east -= 360  # there is nothing to transform
    # an edge between two of the points may bend out a little further
    np.testing.assert_allclose(extent_of(grid).bbox, [west, south, east, north], atol=2e-3)
    assert (extent_of(grid).bbox[0] > extent_of(grid).bbox[2]) == (name in OVER_180)


@grids
def test_the_outline_is_geojson_that_holds_all_cells(name) -> None:
    grid = GRIDS[name]
    extent = extent_of(grid)
    outline = shapely.geometry.shape(extent.geometry)
    assert outline.is_valid
    assert (outline.geom_type == "MultiPolygon") == (name in OVER_180)
    rings = outline.geoms if name in OVER_180 else [outline]
    assert all(ring.exterior.is_ccw for ring in rings)  # RFC 7946, section 3.1.6
    west, _, east, _ = outline.bounds
    assert west >= -180
    assert east <= 180
    longitude, latitude = (places.ravel() for places in lonlat(grid))
    longitude = (longitude + 180) % 360 - 180
    assert shapely.contains_xy(outline.buffer(1e-6), longitude, latitude).all()
    turned = shapely.transform(shapely.from_wkt(extent.wkt), lambda points: points[:, ::-1])
    assert turned.equals_exact(outline, 1e-12)


@grids
def test_centres_are_those_of_the_cells(name) -> None:
    grid = GRIDS[name]
    longitude, latitude = lonlat(grid)
    longitude = extent_of(grid).running_on(longitude)
    found = [longitude.min(), latitude.min(), longitude.max(), latitude.max()]
    np.testing.assert_allclose(centres_of(grid), found, rtol=0, atol=1e-9)
    if name in OVER_180:
        assert np.ptp(longitude) < 20
        assert found[2] > 180


@settings(max_examples=30, deadline=None)
@given(west=some.integers(-360, 359), width=some.integers(1, 300))
def test_a_grid_of_degrees_lies_where_it_lies_wherever_it_is_counted_from(west, width) -> None:
    grid = GeoBox((3, width), Affine(1.0, 0, west, 0, -1.0, 10), "EPSG:4326")
    extent = extent_of(grid)
    assert extent.bbox[0] == (west + 180) % 360 - 180
    assert (extent.bbox[2] - (west + width)) % 360 == 0
    assert shapely.geometry.shape(extent.geometry).area == pytest.approx(3 * width)
