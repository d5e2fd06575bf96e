"""The documentation: how its pages are made, and that it names everything there is."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

from vadose.config import parse_recipe
from vadose.correct import CORRECTORS
from vadose.models import MODELS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


tutorials = load("docs_tutorials")
pages = load("docs_pages")


class PlainYaml(yaml.SafeLoader):
    """Read settings of other programs."""


PlainYaml.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def navigation():
    def names(part):
        if isinstance(part, str):
            return [part]
        inner = part.values() if isinstance(part, dict) else part
        return [name for one in inner for name in names(one)]

    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return names(yaml.load(text, PlainYaml)["nav"])  # noqa: S506 - a safe loader


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_cell_shows_what_it_prints_and_the_value_of_its_last_line(tmp_path):
    source = "# %% [markdown]\n# # Rain\n# falls\n# %%\nrain = 3\nprint('a < b')\nrain + 1\n"
    page = tutorials.make_page(write(tmp_path / "1.py", source), tmp_path / "1")
    assert page.startswith("# Rain\nfalls\n\n```python\nrain = 3\n")
    assert "<code>a &lt; b</code>" in page
    assert "<code>4</code>" in page


def test_a_cell_without_a_value_shows_none(tmp_path):
    page = tutorials.make_page(write(tmp_path / "1.py", "# %%\nx = 1\n"), tmp_path / "1")
    assert "shown" not in page


def test_cells_share_their_names_and_files_and_leave_none_behind(tmp_path):
    source = "# %%\nfrom pathlib import Path\nn = Path('f').write_text('ab')\n# %%\nPath('f').read_text() * n\n"
    before = Path.cwd()
    page = tutorials.make_page(write(tmp_path / "1.py", source), tmp_path / "1")
    assert "abab" in page
    assert Path.cwd() == before
    assert not (before / "f").exists()


def test_what_fails_is_named_with_its_cell(tmp_path):
    path = write(tmp_path / "1.py", "# %%\nx = 1\n# %%\nassert x == 2, 'no'\n")
    with pytest.raises(
        tutorials.TutorialFailed, match=r"1\.py, cell at line 3: AssertionError: no"
    ):
        tutorials.make_page(path, tmp_path / "1")


def test_code_before_the_first_cell_is_refused():
    with pytest.raises(
        tutorials.TutorialFailed, match="line 1: found 'x = 1', expected # %% first"
    ):
        tutorials.cells("x = 1\n")


def test_a_figure_is_saved_and_its_title_stands_for_it(tmp_path):
    source = "# %%\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.set_title('Map')\n"
    page = tutorials.make_page(write(tmp_path / "1.py", source), tmp_path / "1")
    assert "![Map](1/00_1.png)" in page
    assert (tmp_path / "1/00_1.png").read_bytes().startswith(b"\x89PNG")
    assert "Text(" not in page


def test_formulas_are_set_and_code_is_left_alone():
    text = "Of $`x_1`$.\n\n```math\na^2\n```\n\n```python\n'$`x`$'\n```\n"
    made = pages.with_formulas(text)
    assert made.count("<math") == 2
    assert "'$`x`$'" in made
    assert "<msub><mi>x</mi><mn>1</mn></msub>" in made


def test_a_formula_that_is_not_understood_stops_the_build():
    with pytest.raises(SystemExit, match="write it otherwise"):
        pages.formula(r"\bigl\| a \bigr\|")


def test_links_out_of_the_docs_lead_to_pages_of_those_files():
    page = DOCS / "models/dnn.md"
    text, linked = pages.with_links("[a](../../examples/models.yaml), [b](../api.md)", page)
    assert text == "[a](../files/examples/models.yaml.md), [b](../api.md)"
    assert linked == ["examples/models.yaml"]


def test_links_of_the_changelog_lead_to_the_same_pages_from_where_it_stands():
    text, linked = pages.with_links("[a](docs/api.md#in-a-notebook)", ROOT / "CHANGELOG.md")
    assert text == "[a](api.md#in-a-notebook)"
    assert linked == []


def test_the_site_is_built_so_that_warnings_count():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    line = next(line for line in recipe.splitlines() if "mkdocs build" in line)
    assert "--strict" in line
    assert "--quiet" not in line  # with it mkdocs counts no warnings at all


def test_a_link_to_nothing_stops_the_build():
    with pytest.raises(SystemExit, match=r"link to \.\./gone\.yaml, where no file is"):
        pages.with_links("[a](../gone.yaml)", DOCS / "api.md")


@pytest.mark.parametrize("path", sorted(DOCS.glob("tutorials/*.py")), ids=lambda path: path.stem)
def test_tutorials_are_numbered_titled_and_in_the_navigation(path):
    first = tutorials.cells(path.read_text(encoding="utf-8"))[0]
    assert first.text.startswith(f"# {int(path.stem[:2])}. ")
    assert f"tutorials/{path.stem}.md" in navigation()


def test_there_are_eight_tutorials():
    assert [path.stem[:2] for path in sorted(DOCS.glob("tutorials/*.py"))] == [
        f"{number:02d}" for number in range(1, 9)
    ]


@pytest.mark.parametrize("name", [*MODELS, "drcgan"])
def test_every_model_has_a_page_with_formula_limits_and_references(name):
    page = (DOCS / f"models/{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# `{name}`: ")
    for part in ("```math", "**Limits.**", "**References.**"):
        assert part in page
    assert f"models/{name}.md" in navigation()
    assert f"({name}.md)" in (DOCS / "models/index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODELS)
def test_parameters_on_the_page_of_a_model_are_those_of_the_model(name):
    import inspect

    known = inspect.signature(MODELS[name]).parameters
    page = (DOCS / f"models/{name}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
    named = [word for row in rows for word in re.findall(r"`(\w+)`", row)]
    assert named
    assert set(named) <= set(known)


def test_every_corrector_is_told_of():
    page = (DOCS / "correction.md").read_text(encoding="utf-8")
    assert [name for name in CORRECTORS if f"`{name}`" not in page and name != "nothing"] == []


def test_every_package_has_a_page_of_reference():
    packages = {
        path.stem if path.suffix else path.name
        for path in (ROOT / "src/vadose").iterdir()
        if not path.name.startswith(("_", ".")) and path.suffix in ("", ".py")
    }
    inside = {"cli", "notebook"}  # told of by their commands, and by what they show
    assert packages - inside == set(pages.PACKAGES)
    assert {f"reference/{name}.md" for name in pages.PACKAGES} <= set(navigation())


def test_the_page_on_china_names_every_folder_of_its_recipe():
    text = (ROOT / "examples/china_1km.yaml").read_text(encoding="utf-8")
    recipe = parse_recipe(text)
    page = (DOCS / "china_1km.md").read_text(encoding="utf-8")
    folders = [path.strip("/") for source in recipe.build.sources for path in source.paths]
    assert len(folders) == 9
    assert [folder for folder in folders if f"`{folder}`" not in page] == []


def test_pages_of_the_navigation_exist():
    made = {f"tutorials/{path.stem}.md" for path in DOCS.glob("tutorials/*.py")}
    made |= {f"reference/{name}.md" for name in pages.PACKAGES} | {"changelog.md"}
    assert [name for name in navigation() if name not in made and not (DOCS / name).exists()] == []
