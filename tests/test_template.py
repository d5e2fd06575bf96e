"""The recipe that `vadose recipe new` writes: valid for every product and model, and all of it explained."""

from __future__ import annotations

import re

import pytest
import yaml

from vadose.config import parse_recipe
from vadose.config.template import recipe_text, targets
from vadose.errors import NoOverlap, RecipeProblem, UnknownName
from vadose.models import MODELS
from vadose.products import PRODUCTS

REGION, PERIOD = (146.0, -36.0, 149.0, -33.0), ("2019-12-01", "2020-02-29")


@pytest.mark.parametrize("product", targets())
def test_a_recipe_of_any_product_is_valid(product):
    recipe = parse_recipe(recipe_text(REGION, PERIOD, product, "random_forest"))
    target = next(source for source in recipe.build.sources if source.use == "target")
    assert (target.product, target.paths) == (product, [f"data/{product}/"])
    assert recipe.build.region == REGION
    assert recipe.build.period == PERIOD


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_recipe_of_any_model_is_valid(model):
    recipe = parse_recipe(recipe_text(REGION, PERIOD, "SPL3SMP_E", model))
    assert recipe.methods["learned"].model == model
    assert recipe.methods[recipe.publish].kind == "close"


def test_every_key_is_explained():
    """A line with a key has a comment, or is one of the few whose kind was explained above."""
    text = recipe_text(REGION, PERIOD, "SPL2SMP", "lstm")
    explained: set[str] = set()
    for line in text.splitlines():
        key = re.match(r"\s*(?:- )?([a-z_]+):", line)
        if key is None or line.lstrip().startswith("#"):
            continue
        if "#" in line:
            explained.add(key[1])
        else:
            seen = {"paths", "variables", "title", "model", "nearest", "smooth", "learned"}
            assert key[1] in explained | seen | {"learned_closed"}, line


def test_what_is_commented_out_is_valid_too():
    """Stations, intervals and correction need but their hash signs taken off."""
    text = recipe_text(REGION, PERIOD, "SPL3SMP_E", "random_forest")
    opened = re.sub(
        r"^# ((?:stations|intervals|correct|also):|  [a-z_]+:)", r"\1", text, flags=re.M
    )
    recipe = parse_recipe(opened)
    assert recipe.stations is not None
    assert recipe.stations.layer == (0.0, 0.1)
    assert recipe.intervals is not None
    assert recipe.correct is not None


def test_the_fine_grid_is_about_one_kilometre():
    for product, kilometres in (
        ("SPL3SMP", 36),
        ("SPL3SMP_E", 9),
        ("ESA_CCI", 27.8),
        ("ERA5_LAND", 11.1),
    ):
        factor = yaml.safe_load(recipe_text(REGION, PERIOD, product, "dnn"))["build"]["factor"]
        assert kilometres / factor == pytest.approx(1.0, abs=0.1)


def test_predictors_suit_the_product_and_the_model():
    def predictors(product, model):
        return parse_recipe(recipe_text(REGION, PERIOD, product, model)).predictors

    assert "precipitation_index_10_days" in predictors("SPL3SMP", "random_forest")
    assert "precipitation_index_10_days" not in predictors("SPL3SMP", "lstm")
    assert "land_surface_temperature" in predictors("SPL3SMP", "lstm")
    assert "land_surface_temperature" not in predictors("ERA5_LAND", "lstm")


def test_doubts_are_named_for_satellites_alone():
    def target(product):
        return parse_recipe(recipe_text(REGION, PERIOD, product, "dnn")).build.sources[0]

    assert target("SPL3SMP").drop == ["frozen", "snow"]
    assert target("GLDAS_NOAH").drop == []
    assert target("SMOS_L2").clock == "local_solar"


def test_every_source_gives_what_is_taken_of_it():
    for source in parse_recipe(recipe_text(REGION, PERIOD, "GLEAM", "dnn")).build.sources:
        assert set(source.variables or []) <= set(PRODUCTS[source.product].variables)


def test_a_wrong_name_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'SPL3SMP_E'"):
        recipe_text(REGION, PERIOD, "SPL3SMPE", "dnn")
    with pytest.raises(UnknownName, match="Did you mean 'lstm'"):
        recipe_text(REGION, PERIOD, "SPL3SMP", "lsmt")
    with pytest.raises(UnknownName):  # what has no soil moisture is no target
        recipe_text(REGION, PERIOD, "MOD13A2", "dnn")


@pytest.mark.parametrize("region", [(149, -36, 146, -33), (146, -33, 149, -36), (170, 0, 190, 5)])
def test_a_region_without_inside_is_refused(region):
    with pytest.raises(RecipeProblem, match="expected west, south, east, north in degrees"):
        recipe_text(region, PERIOD, "SPL3SMP", "dnn")


def test_a_period_that_is_none_is_refused():
    with pytest.raises(RecipeProblem, match="expected first day before last"):
        recipe_text(REGION, ("2020-02-01", "2020-01-01"), "SPL3SMP", "dnn")
    with pytest.raises(RecipeProblem, match="expected two days as YYYY-MM-DD"):
        recipe_text(REGION, ("winter", "2020-01-01"), "SPL3SMP", "dnn")


def test_a_period_before_the_record_of_a_product_is_refused():
    with pytest.raises(
        NoOverlap,
        match=r"SPL3SMP_E: found a period from 2012-01-01, expected one from 2015-03-31 on",
    ):
        recipe_text(REGION, ("2012-01-01", "2012-01-31"), "SPL3SMP_E", "dnn")
    with pytest.raises(
        NoOverlap, match=r"MOD13A2: .* from 2000-02-16 on"
    ):  # what is learned from counts too
        recipe_text(REGION, ("1999-12-01", "2001-01-31"), "ESA_CCI", "dnn")
    assert "period: [2015-03-31" in recipe_text(
        REGION, ("2015-03-31", "2015-04-30"), "SPL3SMP_E", "dnn"
    )


def test_first_days_are_known_where_they_are_sure():
    known = {name for name, product in PRODUCTS.items() if product.since is not None}
    satellites = {
        "SPL2SMP",
        "SPL3SMP",
        "SPL3SMP_E",
        "SPL4SMGP",
        "SMOS_L2",
        "SMOS_L3_A",
        "ESA_CCI",
        "C3S",
    }
    assert known >= satellites | {
        "ERA5",
        "ERA5_LAND",
        "IMERG",
        "IMERG_DAILY",
        "MOD13A2",
        "GLDAS_NOAH",
    }
    assert str(PRODUCTS["ERA5_LAND_FLUXES"].since) == "1950-01-01"
    assert str(PRODUCTS["ERA5_FLUXES"].since) == "1940-01-01"
