"""Read every product of which there are native files: how many, how fast, and what is in them.

Run with ``python benchmarks/readers.py [--data FOLDER]``. Prints a table, one row for a product and a
group of files that belong together, with statistics of each variable below it, and as its last line one
JSON object with the keys ``products``, ``files_read`` and ``seconds``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from vadose.products import PRODUCTS
from vadose.products.sample import SAMPLE_PATH
from vadose.schema import check_values

DATA = Path(__file__).parents[1].parent / "shared" / "data"
_MODIS, _SMAP = "native/modis", "native/smap"
#: Native files of each product: globs below the data folder, each of files that open together.
NATIVE: dict[str, tuple[str, ...]] = {
    "SAMPLE": (str(SAMPLE_PATH),),
    "SPL2SMP": (f"{_SMAP}/SMAP_L2_SM_P_*.h5",),
    "SPL4SMAU": (
        f"{_SMAP}/SMAP_L4_SM_aup_input.h5",
        f"{_SMAP}/SMAP_L4_SM_aup_dimension_list_input.h5",
        f"{_SMAP}/SPL4SMAU_test_reference.h5",
    ),
    "SMOS_L2": ("native/smos/SM_*_MIR_SMUDP2_*.nc",),
    "SMOS_L3_A": ("native/smos/SM_*_MIR_CLF31A_*.nc",),
    "LPRM_AMSR2_D": ("native/lprm_amsr2/*.nc4",),
    "ESA_CCI": ("native/esa_cci/*.nc",),
    "CGLS_SSM_1KM": ("native/cgls_s1_ssm1km/*_SSM1km_*.nc",),
    "CGLS_SWI_1KM": ("native/cgls_s1_ssm1km/*_SWI1km_*.nc",),
    "CGLS_SWI_1KM_T40": ("native/cgls_s1_ssm1km/*_SWI1km_*.nc",),
    "GLDAS_NOAH": ("native/gldas/*.A20160101.*.nc4", "native/gldas/*.A20150101.*.nc4"),
    "GLDAS_NOAH_FLUXES": ("native/gldas/*.A20150101.*.nc4",),
    "ERA5": (
        "native/era5/example_downloaded_raw.nc",
        "yanco/smap36_era5_2018-2020/ERA5/ERA5_20190[67]*.nc",
    ),
    "ERA5_LAND": (
        "native/era5/era5-land-monthly-means_example.nc",
        "south_africa/era5land_swvl1_daily_south_africa_202001.nc",
    ),
    "ERA5_LAND_FLUXES": ("native/era5/era5-land-monthly-means_example.nc",),
    "IMERG": (
        "native/imerg/*.V07A.HDF5",
        "native/imerg/GPM_3IMERGHH_bounds.nc4",
        "native/imerg/hoss_shape_file_reference.nc4",
    ),
    "MOD13A2": (f"{_MODIS}/MOD13A2.A2016145.*.hdf", f"{_MODIS}/MOD13A2.A2021225.*.hdf"),
    "MOD11A1": (f"{_MODIS}/MOD11A1.A*.hdf", f"{_MODIS}/MOD11A1.061.*.nc4"),
    "MOD11A1_NIGHT": (f"{_MODIS}/MOD11A1.A*.hdf", f"{_MODIS}/MOD11A1.061.*.nc4"),
    "MCD43A3": (f"{_MODIS}/MCD43A3.*.hdf",),
    "MCD12Q1": (f"{_MODIS}/MCD12Q1.*.hdf",),
    "SRTM": ("native/terrain/srtm_ref.tif", "native/soilgrids/bungo_elev_srtm.tif"),
    "COPERNICUS_DEM": ("native/terrain/Copernicus_DSM_*.tif",),
    "SOILGRIDS": ("native/soilgrids/bungo_*_0-5cm_mean.tif",),
    "MCD12C1": ("native/landcover/MCD12C1.*.tif",),
}


def native_groups(name: str, data: Path = DATA) -> list[list[Path]]:
    """List the files of a product that are there, group by group.

    Parameters
    ----------
    name
        Key in ``PRODUCTS``.
    data
        Folder of native files.
    """
    own = PRODUCTS[name].pattern
    groups = [
        [Path(glob)] if Path(glob).is_absolute() else sorted(data.glob(glob))
        for glob in NATIVE.get(name, ())
    ]
    if name == "SOILGRIDS":  # the folder holds organic carbon too
        groups = [[path for path in group if path.match(own)] for group in groups]
    return [group for group in groups if group]


def measure(name: str, files: list[Path]) -> tuple[float, float, list[str]]:
    """Open, load and check files of a product; give the seconds of each and a row a variable."""
    start = time.perf_counter()
    cube = PRODUCTS[name].open(files)
    opened = time.perf_counter()
    cube = cube.load()
    loaded = time.perf_counter()
    rows = []
    for variable, array in check_values(cube, source=name).data_vars.items():
        values = array.values.astype("f8")
        numbers = values[np.isfinite(values)]
        rows.append(
            f"    {variable!s:<52}{numbers.min():>12.5g}{numbers.mean():>12.5g}{numbers.max():>12.5g}"
            f"{numbers.size:>12,}"
        )
    return opened - start, loaded - opened, rows


def main() -> None:
    """Read all native files and print what they hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of native files")
    data = parser.parse_args().data.resolve()
    print(f"{'product':<22}{'files':>6}{'open, s':>10}{'load, s':>10}")
    print(f"    {'variable':<52}{'min':>12}{'mean':>12}{'max':>12}{'valid':>12}")
    total, read, products = 0.0, set(), 0
    for name in PRODUCTS:
        groups = native_groups(name, data)
        products += bool(groups)
        for files in groups:
            opening, loading, rows = measure(name, files)
            print(f"{name:<22}{len(files):>6}{opening:>10.3f}{loading:>10.3f}")
            print("\n".join(rows))
            total += opening + loading
            read |= set(files)
    absent = sorted(set(PRODUCTS) - {name for name in PRODUCTS if native_groups(name, data)})
    print(f"No native files: {', '.join(absent)}")
    print(json.dumps({"products": products, "files_read": len(read), "seconds": round(total, 3)}))


if __name__ == "__main__":
    main()
