"""Copernicus Global Land: Sentinel-1 surface soil moisture and soil water index over Europe, 1 km.

Both are a degree of saturation between the driest and the wettest that the sensor saw (%), **not** a
volume: no porosity, so no m³ m⁻³. Codes above 200 in the byte are masks with a reason.
"""

from __future__ import annotations

from typing import Any

from vadose.products.base import Product
from vadose.products.description import Description, FlagLayer, Layer
from vadose.products.generic import generic_product

#: Codes in place of a value (product user manuals, table of flags).
_CODES: dict[int, tuple[str, ...]] = {
    241: ("out_of_range",),  # below the dry reference
    242: ("out_of_range",),  # above the wet reference
    251: ("open_water",),
    252: ("not_recommended",),  # too little sensitivity to soil moisture
    253: ("mountainous",),  # slope
    254: ("not_recommended",),  # low quality
}
#: Surface state: 2 frozen, 3 melting or surface water.
_STATE = FlagLayer("SSF", {2: ("frozen",), 3: ("snow", "open_water")}, is_optional=True)
_TERMS: dict[str, Any] = {
    "time_pattern": r"1km_(\d{12})_",
    "time_format": "%Y%m%d%H%M",
    "grid": "longitude/latitude, 1/112 degree, CEURO (11° W-50° E, 35-72° N)",
    "licence": "Copernicus: free, full and open access",
    "citation": "Bauer-Marschallinger, B., et al. (2019), IEEE Trans. Geosci. Remote Sens. 57, 520-539",
}

CGLS_SSM_1KM = Description(
    name="CGLS_SSM_1KM",
    title="Copernicus Global Land Surface Soil Moisture 1 km, Sentinel-1, V1",
    layers={
        "relative_soil_moisture": Layer("ssm", fill_values=tuple(_CODES), depth=(0.0, 0.05)),
        "relative_soil_moisture_uncertainty": Layer(
            "ssm_noise", fill_values=tuple(_CODES), is_optional=True
        ),
    },
    flags=(FlagLayer("ssm", _CODES),),
    pattern="c_gls_SSM1km_*.nc",
    cell_methods="time: mean",
    time_meaning="the day of the overpasses",
    **_TERMS,
)


def soil_water_index(days: int, name: str) -> Description:
    """Describe the soil water index of one characteristic time.

    Parameters
    ----------
    days
        Characteristic time of the filter in days: 2, 5, 10, 15, 20, 40, 60 or 100. The longer, the
        deeper the soil it resembles; it is not a depth.
    name
        Name of the product.

    Examples
    --------
    >>> soil_water_index(40, "CGLS_SWI_1KM_T40").layers["relative_soil_moisture"].source
    'SWI_040'
    """
    return Description(
        name=name,
        title=f"Copernicus Global Land Soil Water Index 1 km, T = {days} days, V1",
        layers={"relative_soil_moisture": Layer(f"SWI_{days:03d}", fill_values=tuple(_CODES))},
        flags=(FlagLayer(f"SWI_{days:03d}", _CODES), _STATE),
        pattern="c_gls_SWI1km_*.nc",
        cell_methods="time: point",
        time_meaning="12 UTC, the instant to which the filter has run",
        **_TERMS,
    )


#: Readers of this family.
PRODUCTS: dict[str, Product] = {
    described.name: generic_product(described)
    for described in (
        CGLS_SSM_1KM,
        soil_water_index(5, "CGLS_SWI_1KM"),
        soil_water_index(40, "CGLS_SWI_1KM_T40"),
    )
}
