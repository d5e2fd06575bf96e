"""What went into which product, and what a target and its predictors have in common.

A target that was retrieved with a predictor carries it already: what a model learns of it is in part the
retrieval's own assumption. And two products made from one source agree in its errors.

Products belong to a *lineage*; a lineage is made from others, down to sensors, gauges and maps. The table is
written from the documents it cites and is as complete as they are: that nothing is found here is no proof
that nothing is shared. ``documented`` is what the reference says; ``likely`` is known practice that should
be checked for the version at hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Standing = Literal["documented", "likely"]
Kind = Literal["input", "derived", "common source", "same variable", "unknown"]
_PAST = re.compile(r"_(mean|index)_\d+_days$")


@dataclass(frozen=True)
class Input:
    """Describe what one lineage takes from another.

    Attributes
    ----------
    source
        The lineage it comes from.
    variables
        Our names of what is taken, for predictors whose product is not known.
    use
        What it is used for, in words that follow "uses".
    reference
        Where that is written.
    standing
        ``documented`` or ``likely``.
    """

    source: str
    variables: tuple[str, ...]
    use: str
    reference: str
    standing: Standing = "documented"


@dataclass(frozen=True)
class Finding:
    """Say what a predictor shares with a target.

    Attributes
    ----------
    target, predictor, variable
        Names of the products and of our variable; the predictor is empty where its product is not known.
    kind
        ``input`` (it went into the target's retrieval), ``derived`` (it was made from the target's own
        data), ``common source`` (both were made from something), ``same variable`` (the retrieval uses
        such a variable, and the predictor's product is not known) or ``unknown`` (a product of which the
        table knows nothing).
    text
        The finding in a sentence, with how sure it is and where it is written.
    """

    target: str
    predictor: str
    variable: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        """Give the sentence."""
        return self.text


_SMAP = "O'Neill et al., SMAP ATBD L2/3 passive soil moisture, JPL D-66480"
_L4 = "Reichle et al. (2019), JAMES 11:3106"
_SMOS = "Kerr et al. (2012), IEEE TGRS 50:1384"
_CCI = "Gruber et al. (2019), ESSD 11:717"
_GLEAM = "Martens et al. (2017), GMD 10:1903"
_GLDAS = "Rodell et al. (2004), BAMS 85:381; GLDAS-2.1 readme, GES DISC"
_ERA5 = "Hersbach et al. (2020), QJRMS 146:1999"
_IMERG = "Huffman et al., IMERG ATBD, NASA GSFC"
_TEMPERATURES = ("land_surface_temperature", "air_temperature")
_TEXTURE = ("sand", "silt", "clay")

#: Lineage of each product of `vadose.products.PRODUCTS`.
LINEAGE_OF: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "SPL2SMP",
            "SPL3SMP",
            "SPL3SMP_AM",
            "SPL3SMP_PM",
            "SPL3SMP_E",
            "SPL3SMP_E_AM",
            "SPL3SMP_E_PM",
        ),
        "SMAP official retrieval",
    ),
    **dict.fromkeys(("SPL4SMGP", "SPL4SMAU"), "SMAP L4"),
    "MCCA_SMAP": "SMAP MCCA retrieval",
    **dict.fromkeys(("SMOS_L2", "SMOS_L3_A", "SMOS_L3_D"), "SMOS retrieval"),
    **dict.fromkeys(("LPRM_AMSR2_A", "LPRM_AMSR2_D"), "AMSR2 LPRM retrieval"),
    **dict.fromkeys(("ESA_CCI", "C3S"), "ESA CCI and C3S soil moisture"),
    "CGLS_SSM_1KM": "Sentinel-1 change detection",
    **dict.fromkeys(("CGLS_SWI_1KM", "CGLS_SWI_1KM_T40"), "CGLS soil water index"),
    **dict.fromkeys(("GLDAS_NOAH", "GLDAS_NOAH_FLUXES", "SAMPLE"), "GLDAS Noah"),
    **dict.fromkeys(("ERA5", "ERA5_FLUXES"), "ERA5"),
    **dict.fromkeys(("ERA5_LAND", "ERA5_LAND_FLUXES"), "ERA5-Land"),
    **dict.fromkeys(("IMERG", "IMERG_DAILY"), "IMERG"),
    "GLEAM": "GLEAM",
    "MOD13A2": "MODIS vegetation indices",
    **dict.fromkeys(("MOD11A1", "MOD11A1_NIGHT"), "MODIS land surface temperature"),
    "MCD43A3": "MODIS albedo",
    **dict.fromkeys(("MCD12Q1", "MCD12C1"), "MODIS land cover"),
    "SRTM": "SRTM",
    "COPERNICUS_DEM": "Copernicus DEM",
    "SOILGRIDS": "SoilGrids",
    "HWSD": "HWSD",
}

#: What each lineage is made from; those that are not listed are sensors, gauges and maps of their own.
INPUTS: Mapping[str, tuple[Input, ...]] = {
    "SMAP official retrieval": (
        Input("SMAP radiometer", (), "SMAP brightness temperatures", _SMAP),
        Input(
            "MODIS vegetation indices",
            ("ndvi",),
            "a climatology of MODIS NDVI for vegetation water content (SCA-V and SCA-H, and as the first "
            "guess and constraint of DCA)",
            _SMAP,
        ),
        Input("GEOS", _TEMPERATURES, "GEOS soil temperatures as effective temperature", _SMAP),
        Input("MODIS land cover", ("land_cover",), "roughness and albedo by IGBP class", _SMAP),
        Input("SoilGrids", _TEXTURE, "clay and bulk density, from version 7", "NSIDC, SPL2SMP V7"),
        Input("HWSD", _TEXTURE, "clay, in a mosaic with national maps, before version 7", _SMAP),
    ),
    "SMAP MCCA retrieval": (
        Input(
            "SMAP radiometer",
            (),
            "SMAP brightness temperatures, and no vegetation index",
            "Zhao et al. (2021), RSE 257:112321",
        ),
        Input(
            "GEOS",
            _TEMPERATURES,
            "the effective soil temperature of the SMAP files",
            "Zhao et al. (2021), RSE 257:112321",
            "likely",
        ),
    ),
    "SMAP L4": (
        Input("SMAP radiometer", ("soil_moisture",), "assimilated brightness temperatures", _L4),
        Input("GEOS", (*_TEMPERATURES, "evaporation"), "GEOS weather as forcing", _L4),
        Input("rain gauges", ("precipitation",), "gauge-corrected precipitation (CPC)", _L4),
        Input("IMERG", ("precipitation",), "precipitation, from version 6", "NSIDC, SPL4SMGP V6"),
        Input("SRTM", ("elevation",), "topography, from version 4", "NSIDC, SPL4SMGP V4"),
        Input("MODIS vegetation indices", ("ndvi",), "greenness and leaf area", _L4, "likely"),
        Input("HWSD", _TEXTURE, "soil parameters", "De Lannoy et al. (2014), JAMES 6:957"),
    ),
    "SMOS retrieval": (
        Input("SMOS radiometer", (), "SMOS brightness temperatures", _SMOS),
        Input("ECMWF forecasts", _TEMPERATURES, "surface and soil temperatures, and snow", _SMOS),
        Input(
            "MODIS vegetation indices",
            ("ndvi",),
            "leaf area for vegetation opacity",
            _SMOS,
            "likely",
        ),
    ),
    "AMSR2 LPRM retrieval": (
        Input(
            "AMSR2 radiometer",
            ("land_surface_temperature",),
            "AMSR2 brightness temperatures, those at 36.5 GHz for the surface temperature, and no "
            "vegetation index",
            "Owe et al. (2008), JGR 113:F01002",
        ),
    ),
    "ESA CCI and C3S soil moisture": (
        Input(
            "GLDAS Noah",
            ("soil_moisture",),
            "the range of Noah's top layer, to which COMBINED is scaled",
            _CCI,
        ),
        Input("SMAP radiometer", (), "retrievals from SMAP, in late versions", _CCI, "likely"),
        Input("SMOS radiometer", (), "retrievals (LPRM) from SMOS", _CCI),
        Input("AMSR2 radiometer", (), "retrievals (LPRM) from AMSR2", _CCI),
        Input("ASCAT", (), "scatterometer soil moisture", _CCI),
    ),
    "Sentinel-1 change detection": (
        Input(
            "Sentinel-1", (), "radar backscatter", "Bauer-Marschallinger et al. (2019), TGRS 57:520"
        ),
    ),
    "CGLS soil water index": (
        Input(
            "Sentinel-1", (), "radar backscatter", "Bauer-Marschallinger et al. (2018), RS 10:1030"
        ),
        Input("ASCAT", (), "scatterometer", "Bauer-Marschallinger et al. (2018), RS 10:1030"),
    ),
    "GLDAS Noah": (
        Input("rain gauges", ("precipitation",), "gauge-corrected precipitation (GPCP)", _GLDAS),
        Input("MODIS land cover", ("land_cover",), "vegetation classes", _GLDAS),
    ),
    "ERA5": (
        Input("ECMWF forecasts", _TEMPERATURES, "the ECMWF model", _ERA5),
        Input("ASCAT", ("soil_moisture",), "assimilated soil moisture", _ERA5),
        Input("MODIS vegetation indices", ("ndvi",), "a climatology of leaf area", _ERA5, "likely"),
    ),
    "ERA5-Land": (
        Input(
            "ERA5",
            (*_TEMPERATURES, "precipitation", "evaporation"),
            "ERA5 weather as forcing",
            "Muñoz-Sabater et al. (2021), ESSD 13:4349",
        ),
    ),
    "IMERG": (
        Input("rain gauges", ("precipitation",), "monthly gauge analyses (GPCC)", _IMERG),
        Input("AMSR2 radiometer", (), "brightness temperatures of the constellation", _IMERG),
        Input("GEOS", (), "total vapour, to move rain between overpasses", _IMERG),
    ),
    "MSWEP": (
        Input("rain gauges", ("precipitation",), "gauges", "Beck et al. (2019), BAMS 100:473"),
        Input("ERA5", ("precipitation",), "reanalysis rain", "Beck et al. (2019), BAMS 100:473"),
        Input("IMERG", ("precipitation",), "satellite rain", "Beck et al. (2019), BAMS 100:473"),
    ),
    "GLEAM": (
        Input(
            "ESA CCI and C3S soil moisture",
            ("soil_moisture",),
            "assimilated surface soil moisture",
            _GLEAM,
        ),
        Input("MSWEP", ("precipitation",), "precipitation", _GLEAM),
        Input("ERA5", ("air_temperature",), "radiation and air temperature", _GLEAM, "likely"),
        Input("AMSR2 radiometer", (), "vegetation optical depth", _GLEAM, "likely"),
    ),
    "MODIS vegetation indices": (
        Input("MODIS reflectances", ("ndvi",), "reflectances", "Didan (2021), MOD13 guide"),
    ),
    "MODIS albedo": (
        Input("MODIS reflectances", (), "reflectances", "Schaaf et al. (2002), RSE 83:135"),
    ),
    "MODIS land cover": (
        Input("MODIS reflectances", (), "reflectances", "Sulla-Menashe et al. (2019), RSE 222:183"),
    ),
}


def warn_of_shared_inputs(
    target_product: str, predictors: Mapping[str, str | None]
) -> list[Finding]:
    """Find predictors that the target, or a product to compare with, has seen before.

    Parameters
    ----------
    target_product
        Product of the target; or of the reference, when it is a product too: GLDAS is no independent
        judge of what was made with predictors from GLDAS.
    predictors
        Product of each predictor, by variable; None where it is not known. The past of a variable
        (``precipitation_index_30_days``) counts as the variable.

    Returns
    -------
    list of Finding
        The gravest first; empty where the table finds nothing, which is no proof. Nothing is raised: what
        to do about it is a choice, what was found belongs in the report.

    References
    ----------
    `INPUTS` cites a source for each of its rows.

    Examples
    --------
    >>> for finding in warn_of_shared_inputs("SPL3SMP", {"ndvi": "MOD13A2", "elevation": "SRTM"}):
    ...     print(finding)
    ndvi (MOD13A2) went into SPL3SMP: the SMAP official retrieval uses a climatology of MODIS NDVI for \
vegetation water content (SCA-V and SCA-H, and as the first guess and constraint of DCA) (documented: \
O'Neill et al., SMAP ATBD L2/3 passive soil moisture, JPL D-66480).
    >>> warn_of_shared_inputs("MCCA_SMAP", {"ndvi": "MOD13A2"})
    []
    """
    target = LINEAGE_OF.get(target_product)
    if target is None:
        text = (
            f"Of {target_product} the table of inputs knows nothing: look up what it was made from."
        )
        return [Finding(target_product, "", "", "unknown", text)]
    findings = []
    for name, product in predictors.items():
        variable = _PAST.sub("", name)
        if product is None:
            findings += _by_variable(target_product, target, variable, name)
        elif product not in LINEAGE_OF:
            text = f"Of {name} ({product}) the table of inputs knows nothing: look up its inputs."
            findings.append(Finding(target_product, product, name, "unknown", text))
        else:
            findings += _by_lineage(target_product, target, product, name)
    order: list[Kind] = ["input", "derived", "common source", "same variable", "unknown"]
    return sorted(findings, key=lambda finding: order.index(finding.kind))


def _by_lineage(target_product: str, target: str, product: str, name: str) -> list[Finding]:
    own = LINEAGE_OF[product]
    above, below = _ancestors(target), _ancestors(own)
    predictor = f"{name} ({product})"
    if own == target:
        text = f"{predictor} is of the same lineage as {target_product}, the {target}."
        return [Finding(target_product, product, name, "derived", text)]
    if own in above:
        text = f"{predictor} went into {target_product}: {_chain(above[own])}."
        return [Finding(target_product, product, name, "input", text)]
    if target in below:
        text = f"{predictor} was made from {target_product}: {_chain(below[target])}."
        return [Finding(target_product, product, name, "derived", text)]
    shared = [source for source in above if source in below]
    # what is shared through something that is shared itself is said already
    nearest = [
        source
        for source in shared
        if not any(source in _ancestors(other) for other in shared if other != source)
    ]
    return [
        Finding(
            target_product,
            product,
            name,
            "common source",
            f"{predictor} and {target_product} share {source}: {_chain(above[source])}; "
            f"{_chain(below[source])}.",
        )
        for source in nearest
    ]


def _by_variable(target_product: str, target: str, variable: str, name: str) -> list[Finding]:
    return [
        Finding(
            target_product,
            "",
            name,
            "same variable",
            f"{name} may have gone into {target_product}: {_chain([(target, one)])}; which product it "
            "is from is not known.",
        )
        for one in INPUTS.get(target, ())
        if variable in one.variables
    ]


def _ancestors(lineage: str) -> dict[str, list[tuple[str, Input]]]:
    """Give all that a lineage is made from, each with the shortest way to it."""
    found: dict[str, list[tuple[str, Input]]] = {}
    waiting: list[tuple[str, list[tuple[str, Input]]]] = [(lineage, [])]
    while waiting:
        here, way = waiting.pop(0)
        for one in INPUTS.get(here, ()):
            if one.source not in found:
                found[one.source] = [*way, (here, one)]
                waiting.append((one.source, found[one.source]))
    return found


def _chain(way: list[tuple[str, Input]]) -> str:
    return ", ".join(
        f"the {user} uses {one.use} ({one.standing}: {one.reference})" for user, one in way
    )
