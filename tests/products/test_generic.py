"""Described products: real files of others, and files written here for every setting."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from vadose.errors import (
    FileProblem,
    GridProblem,
    NoOverlap,
    RecipeProblem,
    UnitProblem,
    UnknownName,
)
from vadose.grids import grid_of, latlon, lonlat, named_grid
from vadose.products.description import Description, FlagLayer, Layer, describe
from vadose.products.generic import GLEAM, HWSD, MCCA_SMAP, PRODUCTS, generic_product
from vadose.products.placement import place
from vadose.products.raw import ArrangedArray, FileArray, LazyArray, StackedArray, SteppedArray
from vadose.products.stamps import decode_times
from vadose.products.units import canonical, conversion
from vadose.schema import QUALITY, VARIABLES, check_values

DATA = Path(__file__).parents[2].parent / "shared" / "data"
native = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real files in {DATA}")


# --- real files of products that have no reader of their own


@native
def test_delaware_esa_cci_geotiffs_with_the_day_in_the_name() -> None:
    folder = DATA / "delaware" / "esa_cci_0p25_daily_201801"
    files = sorted(folder.glob("*.tif"))
    with rasterio.open(files[0]) as file:
        fill = file.nodata
    assert fill is not None
    assert fill < -3e38
    described = Description(
        name="DELAWARE",
        title="ESA CCI SM v4.5 over Delaware",
        layers={"soil_moisture": Layer(1, units="m3 m-3", depth=(0.0, 0.05))},
        pattern="*.tif",
        time="name",
        time_pattern=r"(2018)\D?(01)\D?(\d\d)",
    )
    cube = generic_product(described).open(files[::-1]).load()
    assert cube.sizes == {"time": 31, "y": 10, "x": 8}
    counts = np.isfinite(cube["soil_moisture"].values).sum(axis=(1, 2))
    assert (counts.min(), counts.max()) == (5, 49)
    raw = np.stack([rasterio.open(path).read(1, masked=True).filled(np.nan) for path in files])
    np.testing.assert_array_equal(cube["soil_moisture"].values, raw)
    np.testing.assert_allclose(grid_of(cube).boundingbox.bbox, (-76.5, 37.75, -74.5, 40.25))
    check_values(cube)


@native
def test_soilgrids_texture_one_file_for_each_fraction() -> None:
    folder = DATA / "native" / "soilgrids"
    described = replace(HWSD, name="SOILGRIDS", pattern="bungo_*_0-5cm_mean.tif")
    files = [folder / f"bungo_{name}_0-5cm_mean.tif" for name in ("sand", "silt", "clay")]
    cube = generic_product(described).open(files).load()
    for name, path in zip(("sand", "silt", "clay"), files, strict=True):
        with rasterio.open(path) as file:
            raw = file.read(1, masked=True).astype("f8").filled(np.nan)
        np.testing.assert_allclose(cube[name].values, raw, rtol=1e-6, equal_nan=True)
        assert cube[name].attrs["depth_to"] == 0.2
    total = (cube["sand"] + cube["silt"] + cube["clay"]).values
    assert np.nanmax(np.abs(total - 100)) < 0.1
    means = [float(cube[name].mean()) for name in ("sand", "silt", "clay")]
    np.testing.assert_allclose(means, [30.130268, 23.877362, 45.992361], rtol=1e-5)
    assert np.isfinite(total).sum() == 460544
    assert grid_of(cube).crs.epsg == 32748
    assert "time" not in cube.dims


@native
def test_giovanni_geotiff_of_imerg() -> None:
    path = next((DATA / "native" / "imerg").glob("*GIOVANNI*.tif"))
    described = Description(
        name="GIOVANNI",
        title="IMERG averaged over time",
        layers={"precipitation": Layer(1)},
        pattern="*.tif",
        time="name",
        time_pattern=r"\.(\d{8})-\d{8}\.",
    )
    product = generic_product(described)
    cube = product.open(path)
    with rasterio.open(path) as file:
        raw = file.read(1)
        assert file.tags()["units"] == "mm/hr"
    np.testing.assert_allclose(cube["precipitation"].values[0], raw * 24, rtol=1e-6)
    np.testing.assert_allclose(
        grid_of(cube).affine, latlon(0.1, (-110, 25, -78, 35)).affine, rtol=1e-9
    )


@native
def test_south_african_smap_with_swath_gaps() -> None:
    path = DATA / "south_africa" / "smap_l3e_south_africa_202001.nc"
    with netCDF4.Dataset(path) as file:
        name = next(key for key, item in file.variables.items() if item.ndim == 3)
        raw = file[name][:].filled(np.nan)
        rising = file["latitude" if "latitude" in file.variables else "lat"][:]
    described = Description(
        name="ZA", title="SMAP", layers={"soil_moisture": Layer(name, units="m3 m-3")}
    )
    # rows of the EASE-Grid are uneven in degrees; that it is one is seen, or said
    cube = generic_product(described).open(path)
    told = generic_product(replace(described, grid="EASE2_9km")).open(path)
    xr.testing.assert_identical(cube.load(), told.load())
    expected = raw[:, ::-1] if rising[-1] > rising[0] else raw
    np.testing.assert_array_equal(cube["soil_moisture"].values, expected)
    assert np.isfinite(expected).mean() == pytest.approx(0.84, abs=0.01)
    longitude, latitude = lonlat(grid_of(cube))
    np.testing.assert_allclose(latitude[:, 0], np.sort(rising)[::-1], atol=1e-3)
    assert (cube.sizes["y"], cube.sizes["x"]) == (48, 70)
    assert longitude.min() > 18.4
    assert grid_of(cube).resolution.x == named_grid("EASE2_9km").resolution.x


# --- files written here


def write_netcdf(path: Path, data: np.ndarray, dims: tuple[str, ...], **more: Any) -> Path:
    """Write variable ``sm`` with coordinates; `attributes` are those of the variable."""
    coordinates = {
        "time": np.arange(data.shape[dims.index("time")]) if "time" in dims else None,
        "lat": 10.25 + 0.5 * np.arange(3),
        "lon": 20.25 + 0.5 * np.arange(4),
        **more.pop("coordinates", {}),
    }
    with netCDF4.Dataset(path, "w", format=more.pop("file_format", "NETCDF4")) as file:
        for dim, size in zip(dims, data.shape, strict=True):
            file.createDimension(dim, size)
            values = coordinates.get(dim)
            if values is not None:
                kind = "i4" if dim == "time" else "f8"
                variable = file.createVariable(dim, kind, (dim,))
                variable[:] = values
                if dim == "time":
                    variable.units = more.get("time_units", "days since 2020-01-01")
        stored = file.createVariable("sm", data.dtype, dims, fill_value=more.get("fill"))
        stored.set_auto_maskandscale(False)
        stored.setncatts(more.get("attributes", {"units": "m3 m-3"}))
        stored[:] = data
        for name, values in more.get("others", {}).items():
            file.createVariable(name, values.dtype, dims)[:] = values
    return path


def product_of(layer: Layer | None = None, **settings: Any):
    """Make a product of one variable."""
    layers = settings.pop("layers", {"soil_moisture": layer or Layer("sm")})
    return generic_product(Description(name="OURS", title="ours", layers=layers, **settings))


STEPS = np.linspace(0.1, 0.34, 24, dtype="f4").reshape(2, 3, 4)


def test_dimensions_in_any_order_and_south_up(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", STEPS.transpose(2, 0, 1), ("lon", "time", "lat"))
    cube = product_of().open(path)
    np.testing.assert_array_equal(cube["soil_moisture"], STEPS[:, ::-1])
    assert grid_of(cube) == latlon(0.5, (20, 10, 22, 11.5))


def test_longitudes_to_360_and_from_the_east(tmp_path: Path) -> None:
    west_of_greenwich = {"lon": np.array([359.25, 359.75, 0.25, 0.75]) % 360}
    path = write_netcdf(
        tmp_path / "a.nc", STEPS, ("time", "lat", "lon"), coordinates=west_of_greenwich
    )
    cube = product_of().open(path)
    assert cube["x"].values.tolist() == [-0.75, -0.25, 0.25, 0.75]
    np.testing.assert_array_equal(cube["soil_moisture"], STEPS[:, ::-1])
    turned = {"lon": np.array([21.75, 21.25, 20.75, 20.25])}
    path = write_netcdf(tmp_path / "b.nc", STEPS, ("time", "lat", "lon"), coordinates=turned)
    np.testing.assert_array_equal(product_of().open(path)["soil_moisture"], STEPS[:, ::-1, ::-1])


def test_a_map_cut_at_180_degrees_is_refused(tmp_path: Path) -> None:
    pacific = {"lon": np.array([179.25, 179.75, 180.25, 180.75])}
    path = write_netcdf(tmp_path / "a.nc", STEPS, ("time", "lat", "lon"), coordinates=pacific)
    with pytest.raises(GridProblem, match=r"a\.nc: x: found steps.*180°"):
        product_of().open(path)


def test_gaussian_latitudes_are_refused(tmp_path: Path) -> None:
    uneven = {"lat": np.array([10.0, 10.5, 11.2])}
    path = write_netcdf(tmp_path / "a.nc", STEPS, ("time", "lat", "lon"), coordinates=uneven)
    with pytest.raises(GridProblem, match=r"a\.nc: y: found steps from 0.5 to 0.7"):
        product_of().open(path)


@pytest.mark.parametrize(
    ("registration", "corner"),
    [("centre", (20, 10)), ("lower_left", (20.25, 10.25)), ("upper_left", (20.25, 9.75))],
)
def test_coordinates_may_mark_corners(
    tmp_path: Path, registration: str, corner: tuple[float, float]
) -> None:
    path = write_netcdf(tmp_path / "a.nc", STEPS, ("time", "lat", "lon"))
    grid = grid_of(product_of(registration=registration).open(path))
    assert grid.boundingbox.bbox[:2] == corner


def test_packing_fill_and_valid_range(tmp_path: Path) -> None:
    stored = np.array([2500, -9999, 32000, -5], dtype="i2").reshape(1, 1, 4)
    attributes = {
        "units": "%",
        "scale_factor": 0.01,
        "valid_range": np.array([0.0, 1.0]),  # nonsense in packed units; must not hide anything
    }
    path = write_netcdf(
        tmp_path / "a.nc",
        np.repeat(stored, 3, axis=1),
        ("time", "lat", "lon"),
        attributes=attributes,
        fill=-9999,
    )
    cube = product_of().open(path).isel(time=0, y=0)
    np.testing.assert_allclose(cube["soil_moisture"], [0.25, np.nan, 3.2, -0.0005], rtol=1e-6)
    assert "quality" not in cube, "nothing is cut off that nobody asked for"
    cube = product_of(Layer("sm", valid_range=(0.0, 100.0))).open(path).isel(time=0, y=0)
    np.testing.assert_allclose(cube["soil_moisture"], [0.25, *[np.nan] * 3], rtol=1e-6)
    out = QUALITY.mask("out_of_range")
    assert cube["quality"].values.tolist() == [0, 0, out, out]
    cube = product_of(Layer("sm", scale=0.001, units="m3 m-3", fill_values=(-5,))).open(path)
    np.testing.assert_allclose(cube["soil_moisture"][0, 0], [2.5, np.nan, 32.0, np.nan], rtol=1e-6)


def test_unsigned_bytes_in_classic_files(tmp_path: Path) -> None:
    stored = np.array([100, -56, -1, 0], dtype="i1").reshape(1, 1, 4).repeat(3, axis=1)
    path = write_netcdf(
        tmp_path / "a.nc",
        stored,
        ("time", "lat", "lon"),
        attributes={"units": "%", "scale_factor": 0.5, "_Unsigned": "true"},
        fill=-1,
        file_format="NETCDF3_CLASSIC",
    )
    cube = product_of().open(path)
    np.testing.assert_allclose(cube["soil_moisture"][0, 0], [0.5, 1.0, np.nan, 0.0])


def test_a_fill_value_in_single_precision(tmp_path: Path) -> None:
    data = np.where(STEPS < 0.2, np.float32(-9999.9), STEPS)
    path = write_netcdf(tmp_path / "a.nc", data, ("time", "lat", "lon"))
    cube = product_of(Layer("sm", fill_values=(-9999.9,))).open(path)
    expected = np.where(STEPS < 0.2, np.nan, STEPS)[:, ::-1]
    np.testing.assert_array_equal(cube["soil_moisture"], expected)


def test_flags_as_values_and_as_bits(tmp_path: Path) -> None:
    flags = np.arange(24, dtype="u1").reshape(2, 3, 4) % 4
    path = write_netcdf(tmp_path / "a.nc", STEPS, ("time", "lat", "lon"), others={"flag": flags})
    reasons = {1: ("snow",), 2: ("open_water", "other")}
    values = product_of(flags=(FlagLayer("flag", reasons),)).open(path)
    bits = product_of(flags=(FlagLayer("flag", reasons, kind="bits"),)).open(path)
    snow, water = QUALITY.mask("snow"), QUALITY.mask("open_water", "other")
    upside = flags[:, ::-1]
    np.testing.assert_array_equal(values["quality"], np.array([0, snow, water, 0])[upside])
    np.testing.assert_array_equal(bits["quality"], np.array([0, snow, water, snow | water])[upside])
    assert bits["quality"].attrs["flag_meanings"].split()[0] == "not_recommended"
    with pytest.raises(UnknownName, match=r"quality reason 'snowy'.*Did you mean 'snow'"):
        product_of(flags=(FlagLayer("flag", {1: ("snowy",)}),)).open(path)


def test_time_from_the_name_and_skipping_by_it(tmp_path: Path) -> None:
    for day in ("121", "122", "123"):
        data = np.full((3, 4), int(day) / 1000, dtype="f4")
        write_netcdf(tmp_path / f"sm_2019{day}_v1.nc", data, ("lat", "lon"))
    (tmp_path / "sm_2019124_v1.nc").write_bytes(b"broken, and never opened")
    product = product_of(time="name", time_pattern=r"_(\d{7})_", time_format="%Y%j")
    cube = product.open(tmp_path, period=("2019-05-02", "2019-05-03"))
    days = cube["time"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2019-05-02", "2019-05-03"]
    np.testing.assert_allclose(cube["soil_moisture"][:, 0, 0], [0.122, 0.123])
    with pytest.raises(FileProblem, match=r"sm_2019124_v1\.nc: found a file that cannot be read"):
        product.open(tmp_path)
    with pytest.raises(FileProblem, match=r"undated\.nc: found no date in the name"):
        product.open(write_netcdf(tmp_path / "undated.nc", STEPS[0], ("lat", "lon")))


def test_static_maps_have_no_time(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", STEPS[:1], ("time", "lat", "lon"))
    cube = product_of(time="static").open(path)
    assert cube["soil_moisture"].dims == ("y", "x")


def test_extra_dimensions_are_selected_or_refused(tmp_path: Path) -> None:
    data = np.stack([STEPS, STEPS + 0.5], axis=1)
    path = write_netcdf(tmp_path / "a.nc", data, ("time", "depth", "lat", "lon"))
    with pytest.raises(FileProblem, match=r"dimension 'depth' of 2.*select"):
        product_of().open(path)
    cube = product_of(Layer("sm", select={"depth": 1})).open(path)
    np.testing.assert_array_equal(cube["soil_moisture"], STEPS[:, ::-1] + np.float32(0.5))


def test_unusual_names_of_dimensions(tmp_path: Path) -> None:
    path = write_netcdf(
        tmp_path / "a.nc",
        STEPS,
        ("time", "south", "west"),
        coordinates={"south": [1.0, 2.0, 3.0], "west": [1.0, 2.0, 3.0, 4.0]},
    )
    with pytest.raises(FileProblem, match=r"found dimensions.*south.*dims"):
        product_of().open(path)
    dims = {"south": "y", "west": "x"}
    with pytest.raises(FileProblem, match="no coordinate reference system"):
        product_of(dims=dims).open(path)
    cube = product_of(dims=dims, crs="EPSG:32633").open(path)
    assert grid_of(cube).crs.epsg == 32633
    np.testing.assert_array_equal(cube["soil_moisture"], STEPS[:, ::-1])


def test_the_crs_of_a_grid_mapping_is_taken(tmp_path: Path) -> None:
    cube = xr.Dataset(
        {"sm": (("y", "x"), STEPS[0], {"units": "m3 m-3", "grid_mapping": "crs"})},
        {"y": [3000.0, 2000, 1000], "x": [1000.0, 2000, 3000, 4000]},
    )
    cube["crs"] = ((), 0, {"grid_mapping_name": "x", "epsg_code": "EPSG:6933"})
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = product_of(time="static").open(tmp_path / "a.nc")
    assert grid_of(found).crs.epsg == 6933
    np.testing.assert_array_equal(found["soil_moisture"], STEPS[0])


def test_nameless_dimensions_of_hdf5_are_known_by_the_named_grid(tmp_path: Path) -> None:
    data = np.linspace(0, 0.5, 36 * 72, dtype="f4").reshape(36, 72)
    with h5py.File(tmp_path / "map_20200301.h5", "w") as file:
        file["retrieval/sm"] = data.T
        file["retrieval/sm"].attrs["units"] = "m3/m3"
    product = product_of(
        Layer("retrieval/sm"),
        grid="latlon_5",
        time="name",
        time_pattern=r"(\d{8})",
        pattern="*.h5",
    )
    cube = product.open(tmp_path)
    np.testing.assert_array_equal(cube["soil_moisture"][0], data)
    assert grid_of(cube) == named_grid("latlon_5")


def write_tiff(path: Path, bands: np.ndarray, *, step: float = 0.5, **profile: Any) -> Path:
    """Write a GeoTIFF whose corner is 20° E, 40° N."""
    count, height, width = bands.shape
    settings = {"transform": from_origin(20, 40, step, step), "crs": "EPSG:4326", **profile}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=bands.dtype,
        **settings,
    ) as file:
        file.write(bands)
    return path


def test_bands_of_a_geotiff(tmp_path: Path) -> None:
    bands = np.arange(24, dtype="i2").reshape(2, 3, 4)
    write_tiff(tmp_path / "soil.tif", bands, nodata=5)
    layers = {"sand": Layer(1, units="%"), "clay": Layer(2, units="%")}
    cube = product_of(layers=layers, time="static", pattern="*.tif").open(tmp_path)
    np.testing.assert_array_equal(cube["sand"], np.where(bands[0] == 5, np.nan, bands[0]))
    np.testing.assert_array_equal(cube["clay"], bands[1])
    assert grid_of(cube) == latlon(0.5, (20, 38.5, 22, 40))


def test_projected_and_bare_geotiffs(tmp_path: Path) -> None:
    bands = np.ones((1, 3, 4), dtype="f4")
    settings = {
        "layers": {"elevation": Layer(1, units="m")},
        "time": "static",
        "pattern": "*.tif",
    }
    path = write_tiff(tmp_path / "a.tif", bands, step=30.0, crs="EPSG:32755")
    assert grid_of(product_of(**settings).open(path)).crs.epsg == 32755
    path = write_tiff(tmp_path / "b.tif", bands, crs=None)
    with pytest.raises(FileProblem, match=r"b\.tif: found no coordinate reference system"):
        product_of(**settings).open(path)
    turned = rasterio.Affine(0.5, 0.1, 20, 0.1, -0.5, 40)
    path = write_tiff(tmp_path / "c.tif", bands, transform=turned)
    with pytest.raises(GridProblem, match=r"c\.tif: found a rotated grid"):
        product_of(**settings).open(path)
    with pytest.raises(FileProblem, match=r"a\.tif.*expected variable 7"):
        product_of(**{**settings, "layers": {"elevation": Layer(7, units="m")}}).open(
            tmp_path / "a.tif"
        )


def test_only_the_region_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bands = np.arange(3000 * 4000, dtype="f4").reshape(1, 3000, 4000)
    write_tiff(tmp_path / "a.tif", bands, step=0.001)
    windows: list[tuple[int, ...]] = []
    original = FileArray.take

    def watched(self: FileArray, places: Any) -> Any:
        values = original(self, places)
        windows.append(values.shape)
        return values

    monkeypatch.setattr(FileArray, "take", watched)
    layers = {"elevation": Layer(1, units="m")}
    product = product_of(layers=layers, time="static", pattern="*.tif")
    cube = product.open(tmp_path, region=(21.0, 38.0, 21.02, 38.01))
    assert all(len(shape) == 1 for shape in windows), "coordinates alone"
    windows.clear()
    values = cube["elevation"].values
    np.testing.assert_array_equal(values, bands[0, 1990:2000, 1000:1020])
    assert windows == [(10, 20)]
    with pytest.raises(NoOverlap, match="region"):
        product.open(tmp_path, region=(100, 0, 101, 1))


def test_threads_and_processes_may_read(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", STEPS, ("time", "lat", "lon"))
    cube = product_of().open([path])
    with dask.config.set(scheduler="threads", num_workers=4):
        np.testing.assert_array_equal(cube["soil_moisture"], STEPS[:, ::-1])
    sent = pickle.loads(pickle.dumps(cube))  # noqa: S301
    np.testing.assert_array_equal(sent["soil_moisture"], STEPS[:, ::-1])


class InMemory(LazyArray):
    """Stand in for a file."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.shape, self.dtype, self.blocks = values.shape, values.dtype, values.shape

    def take(self, places: Any) -> np.ndarray:
        return self.values[np.ix_(*places)]


KEYS = st.one_of(st.slices(3), st.integers(-3, 2), st.lists(st.integers(0, 2), max_size=4))


@given(st.tuples(KEYS, KEYS, KEYS), st.permutations(range(3)))
def test_lazy_arrays_index_like_numpy(key: tuple[Any, ...], order: list[int]) -> None:
    values = np.arange(27).reshape(3, 3, 3)
    turned = ArrangedArray(InMemory(values), order, [None, np.array([2, 1, 0]), None])
    expected = values.transpose(order)[:, ::-1]
    np.testing.assert_array_equal(turned[()], expected)
    stack = StackedArray([InMemory(layer) for layer in values])
    steps = SteppedArray(np.arange(3), (3, 3, 3), axis=1)
    path = FileArray("f", "v", (3, 3, 3), values.dtype, (3,) * 3, lambda _, __, at: values[at])
    for array, whole in (
        (turned, expected),
        (stack, values),
        (steps, np.broadcast_to(np.arange(3)[None, :, None], (3, 3, 3))),
        (path, values),
    ):
        for axis in reversed(range(3)):  # axis by axis, as dask does
            item = key[axis]
            item = np.array(item, dtype=int) if isinstance(item, list) else item
            whole = whole[(slice(None),) * axis + (item,)]
        found = array[tuple(np.array(k, dtype=int) if isinstance(k, list) else k for k in key)]
        np.testing.assert_array_equal(found, whole)


# --- the shipped descriptions


def test_gleam_has_a_file_for_each_variable_and_year(tmp_path: Path) -> None:
    for name, unit, value in (
        ("SMsurf", "m3/m3", 0.2),
        ("SMroot", "m3/m3", 0.3),
        ("E", "mm/day", 2),
    ):
        for year in (2003, 2004):
            with netCDF4.Dataset(tmp_path / f"{name}_{year}_GLEAM_v3.8a.nc", "w") as file:
                for dim, size in (("time", 2), ("lon", 8), ("lat", 4)):
                    file.createDimension(dim, size)
                file.createVariable("lon", "f8", ("lon",))[:] = -157.5 + 45 * np.arange(8)
                file.createVariable("lat", "f8", ("lat",))[:] = 67.5 - 45 * np.arange(4)
                time = file.createVariable("time", "f8", ("time",))
                time.units = f"days since {year}-01-01 00:00:00"
                time[:] = [0, 1]
                field = file.createVariable(name, "f4", ("time", "lon", "lat"))
                field.units = unit
                field[:] = value
                field[0, 0, 0] = -999.0
    cube = PRODUCTS["GLEAM"].open(tmp_path).load()
    assert cube.sizes == {"time": 4, "y": 4, "x": 8}
    assert set(cube.data_vars) == {*GLEAM.layers, "quality"}
    for name, value in (("soil_moisture", 0.2), ("root_zone_soil_moisture", 0.3)):
        np.testing.assert_allclose(np.nanmean(cube[name]), value, rtol=1e-6)
    assert np.isnan(cube["evaporation"].values).sum() == 2
    assert not cube["quality"].values.any()
    assert cube.attrs["duplicate_times_dropped"] == 0
    part = PRODUCTS["GLEAM"].open(tmp_path, period=("2004-01-01", "2004-12-31"))
    assert part.sizes["time"] == 2
    assert part.attrs["number_of_files"] == 3
    (tmp_path / "E_2004_GLEAM_v3.8a.nc").unlink()
    with pytest.raises(FileProblem, match="do not fit together"):
        PRODUCTS["GLEAM"].open(tmp_path)


def test_mcca_is_on_the_ease_grid(tmp_path: Path) -> None:
    data = np.full((406, 964), 0.2, dtype="f4")
    data[0, 0], data[1, 1] = -9999.0, 1.5
    with h5py.File(tmp_path / "MCCA_SMAP_2016-07-01_D.h5", "w") as file:
        file["SM"], file["VOD"] = data, data * 2
    cube = PRODUCTS["MCCA_SMAP"].open(tmp_path).load()
    assert grid_of(cube) == named_grid("EASE2_36km")
    assert np.isfinite(cube["soil_moisture"].values).sum() == 406 * 964 - 2
    assert cube["quality"].values[0, 1, 1] == QUALITY.mask("out_of_range")
    assert cube["time"].values.astype("datetime64[D]")[0] == np.datetime64("2016-07-01")
    assert MCCA_SMAP.layers["vegetation_optical_depth"].is_optional


def test_hwsd_is_one_map_for_each_fraction(tmp_path: Path) -> None:
    for name, share in (("sand", 40), ("silt", 35), ("clay", 25)):
        bands = np.full((1, 3, 4), share, dtype="i2")
        bands[0, 0, 0] = -9
        write_tiff(tmp_path / f"HWSD2_D1_{name.upper()}.tif", bands)
    cube = PRODUCTS["HWSD"].open(tmp_path).load()
    total = cube["sand"] + cube["silt"] + cube["clay"]
    assert np.isnan(total.values[0, 0])
    assert (total.values.ravel()[1:] == 100).all()
    assert cube["clay"].attrs["depth_to"] == 0.2
    check_values(cube)


def test_every_shipped_record_is_complete() -> None:
    for name, product in PRODUCTS.items():
        assert product.name == name
        assert set(product.variables) <= set(VARIABLES)
        for words in (product.title, product.licence, product.citation, product.time_meaning):
            assert words
            assert "not stated" not in words


# --- recipes


def test_a_recipe_describes_a_product(tmp_path: Path) -> None:
    path = write_netcdf(
        tmp_path / "a.nc",
        STEPS * 100,
        ("time", "lat", "lon"),
        others={"flag": np.ones(STEPS.shape, dtype="u1")},
        attributes={"units": "vol%"},
    )
    settings = {
        "name": "OURS",
        "title": "ours",
        "layers": {
            "soil_moisture": {"source": ["SM", "sm"], "units": "percent", "depth": [0, 0.1]}
        },
        "flags": {"source": "flag", "reasons": {"1": "snow"}},
    }
    cube = generic_product(settings).open(path)
    np.testing.assert_allclose(cube["soil_moisture"], STEPS[:, ::-1], rtol=1e-5)
    assert (cube["quality"] == QUALITY.mask("snow")).all()
    assert cube["soil_moisture"].attrs["depth_to"] == 0.1


@pytest.mark.parametrize(
    ("change", "problem", "words"),
    [
        ({"layer": {}}, UnknownName, "Did you mean 'layers'"),
        ({"layers": {}}, RecipeProblem, "OURS: layers: found {}"),
        ({"layers": {"soil_moisture": {}}}, RecipeProblem, "OURS: soil_moisture"),
        ({"layers": {"soil_moisture": {"units": "%"}}}, RecipeProblem, "'source'"),
        ({"layers": {"soil_moisture": {"source": "sm", "unit": "%"}}}, UnknownName, "'units'"),
        ({"layers": {"soil_misture": {"source": "sm"}}}, UnknownName, "'soil_moisture'"),
        ({"time": "clock"}, UnknownName, "one of name, static, variable"),
        ({"time": "name"}, RecipeProblem, "also time_pattern"),
        ({"title": None}, RecipeProblem, "title"),
        (
            {"layers": {"soil_moisture": {"source": "sm", "valid_range": [1, 0]}}},
            RecipeProblem,
            "valid_range (1, 0)",
        ),
    ],
)
def test_recipes_that_cannot_be_right(
    change: dict[str, Any], problem: type[Exception], words: str
) -> None:
    settings: dict[str, Any] = {
        "name": "OURS",
        "title": "ours",
        "layers": {"soil_moisture": {"source": "sm"}},
    }
    settings = {key: value for key, value in {**settings, **change}.items() if value is not None}
    with pytest.raises(problem) as caught:
        generic_product(settings)
    assert words in str(caught.value)


def test_a_description_and_its_settings_are_the_same() -> None:
    described = describe(
        {
            "name": "A",
            "title": "a",
            "layers": {"sand": Layer(1)},
            "flags": [FlagLayer("f", {1: ()})],
        }
    )
    assert described == Description("A", "a", {"sand": Layer(1)}, flags=(FlagLayer("f", {1: ()}),))


# --- units, places and times


@pytest.mark.parametrize(
    ("units", "target", "factor", "offset"),
    [
        ("%", "m3 m-3", 0.01, 0),
        ("m^3/m^3", "m3 m-3", 1, 0),
        ("cm³ cm⁻³", "m3 m-3", 1, 0),
        ("°C", "K", 1, 273.15),
        ("Kelvin", "K", 1, 0),
        ("kg m-2 s-1", "mm day-1", 86400, 0),
        ("kg/m2/s", "mm day-1", 86400, 0),
        ("mm/h", "mm day-1", 24, 0),
        ("mm d-1", "mm day-1", 1, 0),
        ("m s**-1", "mm day-1", 86.4e6, 0),
        ("mm", "kg m-2", 1, 0),
        ("m of water equivalent", "kg m-2", 1000, 0),
        ("g/kg", "%", 0.1, 0),
        ("percent", "1", 0.01, 0),
    ],
)
def test_units_convert(units: str, target: str, factor: float, offset: float) -> None:
    assert conversion(units, target, source="a.nc: v") == pytest.approx((factor, offset))


def test_amounts_need_a_layer_or_a_duration() -> None:
    assert conversion("mm", "m3 m-3", source="", thickness=0.3).factor == pytest.approx(1 / 300)
    assert conversion("m", "mm day-1", source="", hours=1).factor == pytest.approx(24000)
    with pytest.raises(UnitProblem, match=r"a\.nc: v: found unit 'kg m-2'.*thickness"):
        conversion("kg m-2", "m3 m-3", source="a.nc: v")
    with pytest.raises(UnitProblem, match="hours"):
        conversion("mm", "mm day-1", source="a.nc: v")
    with pytest.raises(UnitProblem, match="no unit"):
        conversion(" ", "K", source="a.nc: v")


@given(st.text(max_size=30))
def test_any_text_is_a_unit_or_a_unit_problem(text: str) -> None:
    canonical(text)
    with pytest.raises(UnitProblem) if canonical(text) not in ("k", "degc") else _nothing():
        conversion(text, "K", source="a.nc: v")


class _nothing:  # noqa: N801
    """Expect nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@given(st.sampled_from([0.05, 0.1, 0.25, 1 / 112, 1 / 120, 0.5, 1.0]), st.integers(2, 50))
def test_single_precision_coordinates_give_the_exact_grid(step: float, size: int) -> None:
    y = (60 - step * (np.arange(size) + 0.5)).astype("f4")
    x = (-120 + step * (np.arange(size) + 0.5)).astype("f4")
    grid = place(y, x, crs="EPSG:4326", source="a.nc").grid
    assert grid == latlon(step, (-120, 60 - size * step, -120 + size * step, 60)) or np.allclose(
        grid.affine, (step, 0, -120, 0, -step, 60, 0, 0, 1), rtol=1e-12
    )
    assert grid.resolution.x == pytest.approx(step, rel=1e-12)


def test_a_single_row_needs_a_cell_size() -> None:
    with pytest.raises(GridProblem, match="found a single cell"):
        place(np.array([1.0]), np.array([1.0, 2.0]), crs="EPSG:4326", source="a.nc")
    grid = place(np.array([1.0]), np.array([1.0]), crs="EPSG:4326", source="a", step=0.5).grid
    assert grid.boundingbox.bbox == (0.75, 0.75, 1.25, 1.25)
    with pytest.raises(GridProblem, match="not finite"):
        place(np.array([1.0, np.nan]), np.array([1.0, 2]), crs="EPSG:4326", source="a.nc")
    with pytest.raises(GridProblem, match="registration 'middle'"):
        place(np.arange(2.0), np.arange(2.0), crs="EPSG:4326", source="a", registration="middle")


def test_times_are_decoded_or_refused() -> None:
    def decode(number: float, units: str, calendar: str = "standard") -> np.datetime64:
        attributes = {"units": units, "calendar": calendar}
        return decode_times(np.array([number]), attributes, source="a.nc")[0]

    assert decode(90, "minutes since 2000-01-01 03:00:00") == np.datetime64("2000-01-01T04:30")
    assert decode(964248, "hours since 1900-01-01 00:00:0.0") == np.datetime64("2010-01-01")
    assert decode(20200229.0, "day as %Y%m%d.%f") == np.datetime64("2020-02-29")
    assert decode(17999.99999999, "days since 1970-01-01") == np.datetime64("2019-04-14")
    for number, units, calendar, words in (
        (0, "", "standard", "unit ''"),
        (0, "bananas since 1970-01-01", "standard", "unit 'bananas"),
        (0, "days since 1970-01-01", "noleap", "calendar 'noleap'"),
        (np.nan, "days since 1970-01-01", "standard", "missing time stamps"),
    ):
        with pytest.raises(FileProblem) as caught:
            decode(number, units, calendar)
        assert "a.nc: time" in str(caught.value)
        assert words in str(caught.value)
