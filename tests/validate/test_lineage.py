"""Shared inputs are found along the chain of what products are made from."""

from __future__ import annotations

from vadose.products import PRODUCTS
from vadose.validate.lineage import INPUTS, LINEAGE_OF, Finding, warn_of_shared_inputs


def test_every_product_has_a_lineage() -> None:
    assert set(PRODUCTS) - set(LINEAGE_OF) == {"GENERIC"} & set(PRODUCTS)
    assert set(LINEAGE_OF) <= set(PRODUCTS)


def test_the_table_holds_together() -> None:
    for lineage, inputs in INPUTS.items():
        sources = [one.source for one in inputs]
        assert lineage not in sources
        assert len(set(sources)) == len(sources)
        assert all(one.use and one.reference for one in inputs)
    makers = {one.source for inputs in INPUTS.values() for one in inputs} | set(LINEAGE_OF.values())
    assert set(INPUTS) <= makers, "a row that nothing leads to is misspelt"


def kinds(target: str, predictors: dict[str, str | None]) -> list[tuple[str, str]]:
    return [(one.variable, one.kind) for one in warn_of_shared_inputs(target, predictors)]


def test_ndvi_went_into_official_smap_and_not_into_mcca() -> None:
    for target in ("SPL2SMP", "SPL3SMP", "SPL3SMP_E", "SPL3SMP_E_PM"):
        assert kinds(target, {"ndvi": "MOD13A2"}) == [("ndvi", "input")]
    assert kinds("MCCA_SMAP", {"ndvi": "MOD13A2"}) == []
    assert kinds("LPRM_AMSR2_D", {"ndvi": "MOD13A2", "land_surface_temperature": "MOD11A1"}) == []


def test_what_is_shared_is_found_along_the_chain() -> None:
    found = warn_of_shared_inputs(
        "GLEAM", {"precipitation": "IMERG", "air_temperature": "GLDAS_NOAH"}
    )
    assert [(one.variable, one.kind) for one in found] == [
        ("precipitation", "input"),
        ("air_temperature", "input"),
    ]
    assert "the GLEAM uses precipitation (documented: Martens" in str(found[0])
    assert "MSWEP uses satellite rain (documented: Beck" in str(found[0])


def test_products_made_from_the_target_are_found() -> None:
    assert kinds("ESA_CCI", {"evaporation": "GLEAM"}) == [("evaporation", "derived")]
    assert kinds("ERA5", {"precipitation": "ERA5_LAND_FLUXES"}) == [("precipitation", "derived")]
    assert kinds("GLDAS_NOAH", {"precipitation": "GLDAS_NOAH_FLUXES"}) == [
        ("precipitation", "derived")
    ]


def test_common_sources_are_found_where_they_meet_first() -> None:
    found = warn_of_shared_inputs("SPL3SMP", {"albedo_black_sky": "MCD43A3"})
    assert [one.kind for one in found] == ["common source"]
    assert "share MODIS reflectances" in str(found[0])
    smap = warn_of_shared_inputs("MCCA_SMAP", {"soil_moisture": "SPL4SMGP"})
    assert sorted(str(one).split(" share ")[1].split(":")[0] for one in smap) == [
        "GEOS",
        "SMAP radiometer",
    ]


def test_the_past_of_a_variable_and_unknown_products_are_matched_by_variable() -> None:
    found = warn_of_shared_inputs("SPL3SMP", {"ndvi_mean_16_days": None, "slope": None})
    assert [(one.variable, one.kind, one.predictor) for one in found] == [
        ("ndvi_mean_16_days", "same variable", "")
    ]
    assert str(found[0]).endswith("which product it is from is not known.")
    likely = warn_of_shared_inputs("SMOS_L2", {"ndvi": None})
    assert "(likely: Kerr" in str(likely[0])


def test_what_the_table_does_not_know_is_said_last() -> None:
    found = warn_of_shared_inputs("SPL3SMP", {"own_index": "MINE", "ndvi": "MOD13A2"})
    assert [one.kind for one in found] == ["input", "unknown"]
    assert found[1] == Finding(
        "SPL3SMP",
        "MINE",
        "own_index",
        "unknown",
        "Of own_index (MINE) the table of inputs knows nothing: look up its inputs.",
    )
    assert [one.kind for one in warn_of_shared_inputs("MINE", {"ndvi": "MOD13A2"})] == ["unknown"]
