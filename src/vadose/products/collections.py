"""What archives call the products: collections, versions, file names, sizes, accounts; or the steps by hand.

These are facts from the archives' documentation, kept apart from the readers. Sizes are those of a usual
file and serve plans, not checks. Nothing here has been tried on a live archive; `docs/fetch.md` says how to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: How often a collection has a file: for each of its days, tiles, months and variables.
Cadence = Literal[
    "day",
    "half_orbit",
    "three_hours",
    "half_hour",
    "tile_day",
    "tile_16_days",
    "tile_year",
    "tile_degree",
    "month",
    "once",
    "by_hand",
]
#: Files of a day.
PER_DAY: dict[str, int] = {"day": 1, "half_orbit": 29, "three_hours": 8, "half_hour": 48}
#: Which of our classes asks the archive.
ArchiveName = Literal["earthdata", "climate_store", "elevation", "soil", "by_hand"]


@dataclass(frozen=True)
class Collection:
    """Say what an archive holds of a product.

    Attributes
    ----------
    archive
        Who is asked; ``by_hand`` where there is no programme interface.
    short_name, version
        Its name and version there.
    cadence
        How often it has a file.
    size
        Bytes of a usual file; for the Climate Data Store, of one field of one cell.
    names
        Regular expression that a file's whole name must match.
    variables
        Our variables and the archive's, where it gives files by variable.
    together
        By file, what the archive is asked for in one request, where our variable is made of several of its.
    elsewhere
        Our variables that the archive does not give, and where they are to be had.
    account
        Which account is needed, a name in ``vadose.products.fetching.accounts.ACCOUNTS``.
    page
        Where its terms and description stand.
    steps
        What a person does, one thing each; ``{folder}`` is where the files go.
    """

    archive: ArchiveName
    short_name: str
    version: str
    cadence: Cadence
    size: float
    names: str
    page: str
    account: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    together: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


def _earthdata(
    short_name: str, version: str, cadence: Cadence, megabytes: float, names: str, page: str
) -> Collection:
    return Collection(
        "earthdata", short_name, version, cadence, megabytes * 1e6, names, page, "earthdata"
    )


def _smap(
    short_name: str, version: str, cadence: Cadence, megabytes: float, names: str
) -> Collection:
    page = f"https://nsidc.org/data/{short_name.lower()}"
    tail = (
        r"_R\d{5}_\d{3}\.h5" if short_name.startswith(("SPL2", "SPL3")) else r"_Vv\d{4}_\d{3}\.h5"
    )
    return _earthdata(short_name, version, cadence, megabytes, names + tail, page)


def _modis(short_name: str, cadence: Cadence, megabytes: float) -> Collection:
    return _earthdata(
        short_name,
        "061",
        cadence,
        megabytes,
        rf"{short_name}\.A\d{{7}}\.h\d\dv\d\d\.061\.\d{{13}}\.hdf",
        f"https://lpdaac.usgs.gov/products/{short_name.lower()}v061/",
    )


def _climate_store(
    dataset: str,
    variables: Mapping[str, str],
    size: float,
    elsewhere: Mapping[str, str] | None = None,
) -> Collection:
    return Collection(
        "climate_store",
        dataset,
        "",
        "month",
        size,
        r"[a-z0-9_]+_\d{4}-\d\d\.nc",
        f"https://cds.climate.copernicus.eu/datasets/{dataset}?tab=download#manage-licences",
        "climate_store",
        variables,
        {name: layers for name, layers in _TOGETHER.items() if name in variables.values()},
        elsewhere or {},
    )


def _by_hand(name: str, version: str, page: str, *steps: str, size: float = 0.0) -> Collection:
    return Collection("by_hand", name, version, "by_hand", size, ".+", page, steps=steps)


_LAYER = "volumetric_soil_water_layer_1"
#: The first metre of the soil, in one file as its reader wants it.
_TOGETHER = {
    "root_zone_soil_moisture": (
        _LAYER,
        "volumetric_soil_water_layer_2",
        "volumetric_soil_water_layer_3",
    )
}
_STATES = {
    "soil_moisture": _LAYER,
    "quality": _LAYER,  # read off the range of the soil moisture
    "root_zone_soil_moisture": "root_zone_soil_moisture",
    "land_surface_temperature": "skin_temperature",
    "air_temperature": "2m_temperature",
    "albedo": "forecast_albedo",
}
#: The store's two reanalyses call the same fields by different names.
_ERA5_STATES = {
    **_STATES,
    "snow_water_equivalent": "snow_depth",
    "land_fraction": "land_sea_mask",
}
_LAND_STATES = {**_STATES, "snow_water_equivalent": "snow_depth_water_equivalent"}
_ERA5_FLUXES = {"precipitation": "total_precipitation", "evaporation": "evaporation"}
_LAND_FLUXES = {"precipitation": "total_precipitation", "evaporation": "total_evaporation"}
_LAND_MASK = {
    "land_fraction": "the Climate Data Store does not give the land-sea mask of ERA5-Land; it is a file of its "
    "documentation (https://confluence.ecmwf.int/display/CKB/ERA5-Land), or take that of ERA5"
}
_SMAP_3 = _smap("SPL3SMP", "009", "day", 30, r"SMAP_L3_SM_P_\d{8}")
_SMAP_3E = _smap("SPL3SMP_E", "006", "day", 50, r"SMAP_L3_SM_P_E_\d{8}")
_GLDAS = _earthdata(
    "GLDAS_NOAH025_3H",
    "2.1",
    "three_hours",
    25,
    r"GLDAS_NOAH025_3H\.A\d{8}\.\d{4}\.021\.nc4",
    "https://disc.gsfc.nasa.gov/datasets/GLDAS_NOAH025_3H_2.1/summary",
)
_LAND_TEMPERATURE = _modis("MOD11A1", "tile_day", 4)

#: By product; a product that is not here is brought by its user.
COLLECTIONS: dict[str, Collection] = {
    "SPL2SMP": _smap("SPL2SMP", "009", "half_orbit", 2, r"SMAP_L2_SM_P_\d{5}_[AD]_\d{8}T\d{6}"),
    **dict.fromkeys(("SPL3SMP", "SPL3SMP_AM", "SPL3SMP_PM"), _SMAP_3),
    **dict.fromkeys(("SPL3SMP_E", "SPL3SMP_E_AM", "SPL3SMP_E_PM"), _SMAP_3E),
    "SPL4SMGP": _smap("SPL4SMGP", "008", "three_hours", 150, r"SMAP_L4_SM_gph_\d{8}T\d{6}"),
    "SPL4SMAU": _smap("SPL4SMAU", "008", "three_hours", 90, r"SMAP_L4_SM_aup_\d{8}T\d{6}"),
    "GLDAS_NOAH": _GLDAS,
    "GLDAS_NOAH_FLUXES": _GLDAS,
    "IMERG": _earthdata(
        "GPM_3IMERGHH",
        "07",
        "half_hour",
        8,
        r"3B-HHR\.MS\.MRG\.3IMERG\.\d{8}-S\d{6}-E\d{6}\.\d{4}\.V07[A-Z]\.HDF5",
        "https://disc.gsfc.nasa.gov/datasets/GPM_3IMERGHH_07/summary",
    ),
    "IMERG_DAILY": _earthdata(
        "GPM_3IMERGDF",
        "07",
        "day",
        30,
        r"3B-DAY\.MS\.MRG\.3IMERG\.\d{8}-S\d{6}-E\d{6}\.V07[A-Z]\.nc4",
        "https://disc.gsfc.nasa.gov/datasets/GPM_3IMERGDF_07/summary",
    ),
    "MOD13A2": _modis("MOD13A2", "tile_16_days", 7),
    "MOD11A1": _LAND_TEMPERATURE,
    "MOD11A1_NIGHT": _LAND_TEMPERATURE,
    "MCD43A3": _modis("MCD43A3", "tile_day", 70),
    "MCD12Q1": _modis("MCD12Q1", "tile_year", 7),
    "SRTM": _earthdata(
        "SRTMGL3",
        "003",
        "tile_degree",
        1.2,
        r"[NS]\d\d[EW]\d{3}\.SRTMGL3\.hgt\.zip",
        "https://lpdaac.usgs.gov/products/srtmgl3v003/",
    ),
    "ERA5": _climate_store("derived-era5-single-levels-daily-statistics", _ERA5_STATES, 4.0),
    "ERA5_FLUXES": _climate_store("reanalysis-era5-single-levels", _ERA5_FLUXES, 2.0),
    "ERA5_LAND": _climate_store(
        "derived-era5-land-daily-statistics", _LAND_STATES, 4.0, _LAND_MASK
    ),
    "ERA5_LAND_FLUXES": _climate_store("reanalysis-era5-land", _LAND_FLUXES, 2.0),
    "COPERNICUS_DEM": Collection(
        "elevation",
        "copernicus-dem-90m",
        "2021",
        "tile_degree",
        4e6,
        r"Copernicus_DSM_COG_30_[NS]\d\d_00_[EW]\d{3}_00_DEM\.tif",
        "https://copernicus-dem-90m.s3.amazonaws.com/readme.html",
    ),
    "SOILGRIDS": Collection(
        "soil",
        "soilgrids/data_aggregated/1000m",
        "2.0",
        "once",
        2.0,
        r"(sand|silt|clay)_0-5cm_mean_1000\.tif",
        "https://docs.isric.org/globaldata/soilgrids/",
        variables={"sand": "sand", "silt": "silt", "clay": "clay"},
    ),
    "MCCA_SMAP": _by_hand(
        "MCCA SMAP soil moisture and VOD",
        "as the page says",
        "https://data.tpdc.ac.cn",
        "Open https://data.tpdc.ac.cn and register (free); log in.",
        "Search for: MCCA SMAP. Open the global daily soil moisture data set, 36 km (Zhao et al. 2021).",
        "Press Download; where it asks for a purpose, say what the data are for. Files come by the page or "
        "by an FTP account that it shows for some days.",
        "Take the years of the study, daily files whose names hold MCCA and the date (YYYYMMDD).",
        "Put them into {folder}.",
        size=0.5e6,
    ),
    "GLEAM": _by_hand(
        "GLEAM",
        "v3.8",
        "https://www.gleam.eu/#downloads",
        "Open https://www.gleam.eu/#downloads and fill in the form; an account of the SFTP server comes by mail.",
        "Connect with the programme of your choice (sftp, FileZilla) to the server that the mail names.",
        "Open data, v3.8a, daily, and the folder of each year.",
        "Take {files} for each year of the study (about 250 MB each).",
        "Put them into {folder}.",
        size=250e6,
    ),
    "HWSD": _by_hand(
        "HWSD v2.0",
        "2.0",
        "https://www.fao.org/soils-portal/data-hub/soil-maps-and-databases/"
        "harmonized-world-soil-database-v20/en/",
        "Open the page; under Download take the raster (HWSD2_RASTER.zip) and the database (HWSD2_DB.zip).",
        "Unpack both. The raster holds numbers of mapping units; open the table HWSD2_LAYERS and keep LAYER D1, "
        "SEQUENCE 1.",
        "In QGIS or Python give each unit its SAND, SILT and CLAY (per cent) and write three GeoTIFF: "
        "hwsd_sand.tif, hwsd_silt.tif, hwsd_clay.tif.",
        "Put them into {folder}.",
        size=60e6,
    ),
    "ISMN": _by_hand(
        "International Soil Moisture Network",
        "as of the day of download",
        "https://ismn.earth",
        "Open https://ismn.earth and register (free); log in; choose Data access.",
        "Draw the box {box} on the map, or pick networks in it; set the period {period}.",
        "Variable: soil moisture. Format: variables stored in separate files (header + values).",
        "Press Download; a link comes by mail. Leave the archive zipped, or unpack it with its folders.",
        "Put it into {folder}.",
    ),
}
