"""What objects say of themselves in a notebook, and what `import vadose` gives."""

from __future__ import annotations

import pickle
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import vadose
from vadose.config import DEMO_RECIPE, read_recipe
from vadose.errors import UnknownName
from vadose.models import MODELS, RandomForest
from vadose.notebook import as_table
from vadose.pipeline.folder import RunFolder, start
from vadose.products import PRODUCTS


class Words(HTMLParser):
    """Collect the text of a table, and insist that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.opened = "", []
        self.feed(page)
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def test_text_from_a_file_is_escaped_and_what_is_empty_is_left_out():
    table = as_table("<script>", {"note": "a < b", "none": ""})
    assert "<script>" not in table
    assert Words(table).text.split() == ["<script>", "note", "a", "<", "b"]


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_says_what_it_holds_and_what_to_cite(name):
    product = PRODUCTS[name]
    text = Words(product._repr_html_()).text
    assert product.citation in text
    assert next(iter(product.variables)) in text


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_shown_as_the_call_that_makes_it(name):
    build = MODELS[name]
    assert repr(build()) == f"{build.__name__}()"
    assert repr(build(seed=3)) == f"{build.__name__}(seed=3)"
    text = Words(build()._repr_html_()).text
    assert "not fitted yet" in text
    assert build.kind in text


def test_a_fitted_model_says_so():
    forest = RandomForest(trees=2, leaf=1).fit(np.eye(3), np.arange(3.0))
    text = Words(forest._repr_html_()).text
    assert "not fitted" not in text
    assert repr(forest) == "RandomForest(trees=2, leaf=1)"


def test_a_recipe_names_what_it_makes():
    recipe = read_recipe(DEMO_RECIPE)
    text = Words(recipe._repr_html_()).text
    assert recipe.title in text
    assert "and 16 more" in text  # predictors
    assert "everywhere" in text


def test_a_run_says_what_is_done_and_what_comes_next(tmp_path):
    text = DEMO_RECIPE.read_text(encoding="utf-8")
    folder = start(tmp_path / "run", text, origin=tmp_path, command="vadose demo")
    assert f"vadose build {folder.path}" in Words(folder._repr_html_()).text
    with folder.stage("build"):
        pass
    shown = Words(folder._repr_html_()).text
    assert "build (0.0 s)" in shown
    assert f"vadose fit {folder.path}" in shown
    assert folder.recipe.title in shown


def test_a_folder_without_a_run_is_shown_too(tmp_path):
    shown = Words(RunFolder(tmp_path)._repr_html_()).text
    assert "no run" in shown
    assert "vadose build RECIPE --out FOLDER" in shown


@pytest.mark.parametrize("name", [name for name in vadose.__all__ if name != "__version__"])
def test_every_name_of_the_package_is_there(name):
    found = getattr(vadose, name)
    home = sys.modules[f"vadose.{vadose._HOME[name]}"]
    assert found is getattr(home, name)
    assert name in dir(vadose)


def test_type_checkers_are_told_the_same_names():
    stub = Path(vadose.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    lines = [line.split() for line in stub.splitlines() if line.startswith("from")]
    told = {words[-1]: words[1].removeprefix("vadose.") for words in lines}
    assert told == vadose._HOME
    assert {*told, "__version__"} == set(vadose.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'vadose' has no attribute 'wrld'"):
        vadose.wrld  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys, vadose; print([n for n in sys.modules if n.startswith('vadose.') or n in ('numpy', 'xarray')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("table", ["PRODUCTS", "MODELS", "FILLERS", "CORRECTORS", "VARIABLES"])
def test_a_name_that_is_not_in_a_table_is_told_with_those_that_are(table):
    names = getattr(vadose, table)
    first = next(iter(names))
    with pytest.raises(UnknownName, match=f"expected one of .*Did you mean '{first}'") as error:
        names[f"{first}x"]
    assert isinstance(error.value, KeyError)  # whoever catches that goes on to
    assert names.get("x") is None
    assert pickle.loads(pickle.dumps(error.value)).found == "no such name"  # noqa: S301 - our own


def test_a_parameter_that_a_model_does_not_have_is_told_with_those_it_has():
    for name, build in MODELS.items():
        with pytest.raises(UnknownName, match=f"parameter of {name} 'sed': .*Did you mean 'seed'"):
            build(sed=1)
    model = MODELS["boosting"](trees=7)
    assert pickle.loads(pickle.dumps(model)).trees == 7  # noqa: S301 - our own


def test_a_run_is_named_by_text_or_path(tmp_path):
    assert RunFolder(str(tmp_path)) == RunFolder(tmp_path)
    assert "no run" in RunFolder(str(tmp_path))._repr_html_()
    assert RunFolder(str(tmp_path)) / "a" == tmp_path / "a"


def test_the_package_lists_what_it_is_for_alone():
    assert dir(vadose) == sorted(vadose.__all__)
