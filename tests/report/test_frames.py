import numpy as np
import pyproj
import pytest
from odc.geo.geobox import GeoBox

from vadose.grids import latlon, lonlat, named_grid
from vadose.report.frames import frame_of

UTM = GeoBox.from_bbox((5e5, 4.9e6, 5.64e5, 4.948e6), "EPSG:32632", resolution=1000)
GRIDS = {
    "globe": latlon(5.0),
    "ease globe": named_grid("EASE2_36km"),
    "europe": latlon(0.5, (-10, 35, 30, 60)),
    "ease region": named_grid("EASE2_36km")[96:128, 480:528],
    "utm": UTM,
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_pixel_shows_the_cell_it_lies_in(name):
    """Warp the longitude and latitude of the cells: they come back within half a cell."""
    grid = GRIDS[name]
    frame = frame_of(grid, pixels=200)
    longitude, latitude = lonlat(grid)
    shown_longitude = frame.warp(longitude, grid)
    shown_latitude = frame.warp(latitude, grid)
    assert np.isfinite(shown_longitude).mean() > 0.6
    geod = pyproj.Geod(ellps="WGS84")
    on = np.isfinite(shown_longitude)
    _, _, distance = geod.inv(
        shown_longitude[on], shown_latitude[on], frame.lonlat[0][on], frame.lonlat[1][on]
    )
    rows, columns = grid.shape
    middle = (rows // 2, columns // 2)
    _, _, cell = geod.inv(
        longitude[middle], latitude[middle], longitude[middle], latitude[middle[0] - 1, middle[1]]
    )
    assert np.quantile(distance, 0.5) < cell
    if name not in ("ease globe", "ease region"):  # whose cells are tall towards the poles
        assert distance.max() < 1.5 * cell


def test_areas_are_equal_on_the_globe():
    """The share of pixels of a band of latitude is its share of the sphere."""
    frame = frame_of(latlon(1.0), pixels=600)
    latitude = frame.lonlat[1]
    on = np.isfinite(latitude)
    assert (np.abs(latitude[on]) < 30).mean() == pytest.approx(0.5, abs=0.01)


def test_projections_are_chosen_by_extent_and_crs():
    names = {
        name: frame_of(grid, pixels=20).crs.coordinate_operation.method_name
        for name, grid in GRIDS.items()
    }
    assert names == {
        "globe": "Equal Earth",
        "ease globe": "Equal Earth",
        "europe": "Lambert Azimuthal Equal Area",
        "ease region": "Lambert Azimuthal Equal Area",
        "utm": "Transverse Mercator",
    }


def test_no_line_is_drawn_across_the_globe():
    frame = frame_of(latlon(5.0), pixels=100)
    for layer in ("coast_110m", "coast_50m", "borders_50m"):
        points = frame.outlines(layer)
        jumps = np.hypot(*np.diff(points, axis=0).T)
        assert np.nanmax(jumps) < 0.02 * (frame.bounds[2] - frame.bounds[0])


def test_a_regional_frame_knows_land_from_sea():
    frame = frame_of(latlon(0.25, (-12, 49, 4, 60)), pixels=300)
    longitude, latitude = frame.lonlat
    london = np.hypot(longitude + 0.4, latitude - 52.0).argmin()
    sea = np.hypot(longitude - 2.5, latitude - 56.0).argmin()
    assert frame.is_land.ravel()[london]
    assert not frame.is_land.ravel()[sea]
