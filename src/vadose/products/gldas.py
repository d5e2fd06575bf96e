"""GLDAS Noah land surface model, 0.25°, 3-hourly (v2.1 and its kin), netCDF-4.

States are instantaneous at the file's stamp. Fluxes are means over the three hours **before** it, so they
are a product of their own, stamped at the start of their interval.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from vadose.products.base import Product
from vadose.products.description import Description, Layer
from vadose.products.generic import generic_product

_TERMS: dict[str, Any] = {
    "pattern": "GLDAS_NOAH*.nc4",
    "time_pattern": r"\.A(\d{8})\.(\d{4})",
    "time_format": "%Y%m%d%H%M",
    "grid": "latlon_0.25, 60° S to 90° N",
    "licence": "NASA open data, no restriction",
    "citation": "Rodell, M., et al. (2004), Bull. Amer. Meteor. Soc. 85, 381-394; "
    "Beaudoing & Rodell (2020), doi:10.5067/E7TYRXPJKWOQ",
}
#: Amounts of water in the three layers down to 1 m, kg m-2 each.
_ROOT_ZONE = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst")

GLDAS_NOAH = Description(
    name="GLDAS_NOAH",
    title="GLDAS Noah Land Surface Model L4 3-hourly 0.25 x 0.25 degree, states",
    layers={
        "soil_moisture": Layer(
            "SoilMoi0_10cm_inst", thickness=0.1, depth=(0.0, 0.1), is_optional=True
        ),
        "root_zone_soil_moisture": Layer(
            dict.fromkeys(_ROOT_ZONE, 1.0), thickness=1.0, depth=(0.0, 1.0), is_optional=True
        ),
        "land_surface_temperature": Layer("AvgSurfT_inst", is_optional=True),
        "air_temperature": Layer("Tair_f_inst", is_optional=True),
        "albedo": Layer("Albedo_inst", is_optional=True),
        "snow_water_equivalent": Layer("SWE_inst", is_optional=True),
    },
    cell_methods="time: point",
    time_meaning="the instant of the state",
    **_TERMS,
)

GLDAS_NOAH_FLUXES = Description(
    name="GLDAS_NOAH_FLUXES",
    title="GLDAS Noah Land Surface Model L4 3-hourly 0.25 x 0.25 degree, fluxes",
    layers={
        # rain and snow together; Rainf_tavg is the liquid part alone
        "precipitation": Layer("Rainf_f_tavg", is_optional=True),
        "evaporation": Layer("Evap_tavg", is_optional=True),
    },
    shift_hours=-3.0,
    cell_methods="time: mean",
    time_meaning="the file gives the end of the three hours; stamped here at their start",
    **_TERMS,
)

#: Readers of this family.
PRODUCTS: dict[str, Product] = {
    described.name: replace(generic_product(described), since=date(1948, 1, 1))  # of version 2.0
    for described in (GLDAS_NOAH, GLDAS_NOAH_FLUXES)
}
