"""Which variable of somebody's file is soil moisture, where no product is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vadose.errors import FileProblem
from vadose.products.base import find_files
from vadose.products.description import Description
from vadose.products.formats import open_raw
from vadose.products.layout import cube_dims
from vadose.products.raw import RawFile

#: What archives call the soil moisture of the topmost layer, the likeliest first.
NAMES = (
    "soil_moisture",
    "swvl1",
    "SoilMoi0_10cm_inst",
    "SoilMoist_S_tavg",
    "sm_surface",
    "SMsurf",
    "Soil_Moisture",
    "soil_moisture_am",
    "ssm",
    "sm",
)
#: Ends of the names of files that are looked into.
ENDINGS = ("*.nc", "*.nc4", "*.h5", "*.hdf5", "*.he5")
#: Thickness in m of layers whose water is given by weight.
THICKNESS = {"SoilMoi0_10cm_inst": 0.1, "SoilMoist_S_tavg": 0.02}


def describe_soil_moisture(paths: Sequence[Path], *, variable: str | None = None) -> dict[str, Any]:
    """Describe netCDF or HDF5 files by the one variable in them that is soil moisture.

    Parameters
    ----------
    paths
        Files, folders or globs; the first file speaks for all.
    variable
        Its name, where the file has several that could be meant.

    Returns
    -------
    dict
        What `vadose.products.generic.generic_product` takes, without a name.

    Raises
    ------
    FileProblem
        No file, none with dimensions of time and place, or several.

    Examples
    --------
    >>> import tempfile, vadose.synthetic
    >>> file = Path(tempfile.mkdtemp()) / "ours.nc"
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> world.land_model[["soil_moisture"]].to_netcdf(file, engine="h5netcdf")
    >>> describe_soil_moisture([file])["layers"]
    {'soil_moisture': {'source': 'soil_moisture'}}
    """
    pattern = next((one for one in ENDINGS if _has_any(paths, one)), ENDINGS[0])
    file = find_files(paths, pattern)[0]
    try:
        layer = _layer_in(file, variable)
    except OSError as error:
        raise FileProblem(
            file,
            found="a file that cannot be read",
            expected="netCDF or HDF5, whole",
            remedy="Download it again; a page of a login is often saved under the name of a file.",
        ) from error
    return {"pattern": pattern, "layers": {"soil_moisture": layer}}


def _layer_in(file: Path, variable: str | None) -> dict[str, Any]:
    """Describe the one layer of a file."""
    with open_raw(file) as raw:
        name = variable or _likeliest(raw)
        stored = raw.need(name)
        layer: dict[str, Any] = {"source": name}
        # without a unit it can only be a share: what is out of its range is refused when it is read
        if not str(stored.attrs.get("units", "")).strip():
            layer["units"] = "m3 m-3"
        if name in THICKNESS:
            layer["thickness"] = THICKNESS[name]
    return layer


def _has_any(paths: Sequence[Path], pattern: str) -> bool:
    try:
        return bool(find_files(paths, pattern))
    except FileProblem:
        return False


def _likeliest(raw: RawFile) -> str:
    """Find it by its name, or take the only variable in time and space that calls itself so."""
    ends = {name.rsplit("/", 1)[-1]: name for name in raw.names}
    for name in NAMES:
        if name in ends and _is_field(raw, ends[name]):
            return ends[name]
    fields = [name for name in raw.names if _is_field(raw, name)]
    alike = [name for name in fields if _is_alike(name, raw.variable(name).attrs)]
    if len(alike) == 1:
        return alike[0]
    raise FileProblem(
        raw.path,
        found=f"variables {', '.join(fields or raw.names[:40]) or 'none'}",
        expected="soil moisture with time, latitude and longitude",
        remedy="Name it (--satellite-variable, --model-variable), or describe the product in a recipe.",
    )


def _is_alike(name: str, attributes: Mapping[str, Any]) -> bool:
    words = (
        f"{name} {attributes.get('long_name', '')} {attributes.get('standard_name', '')}".lower()
    )
    return any(part in words for part in ("moist", "soil_water", "soil water", "water_in_soil"))


def _is_field(raw: RawFile, name: str) -> bool:
    try:
        dims = cube_dims(raw.variable(name).sizes, Description("file", "file", {}), str(raw.path))
    except FileProblem:
        return False
    return {"time", "y", "x"} <= set(dims.values())
