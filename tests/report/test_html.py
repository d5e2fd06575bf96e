import json
import re
import shutil
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest

from vadose.errors import FileProblem, MissingExtra, RunProblem
from vadose.report.html import write_report
from vadose.report.pages import linked
from vadose.report.runs import read_run

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> {{ 7 * 7 }}"


class Page(HTMLParser):
    """Collect tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report(globe):
    return write_report(globe)


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


@pytest.fixture
def copied(globe, tmp_path):
    return shutil.copytree(globe, tmp_path / "run", ignore=shutil.ignore_patterns("figures"))


def test_the_page_loads_nothing(page):
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "form")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        if tag != "a":
            assert "href" not in attributes
    assert not re.search(r"url\(|@import", " ".join(page.words))
    policies = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policies[0]


def test_all_methods_and_numbers_are_told(page, globe):
    scores = json.loads((globe / "scores.json").read_text())
    for method in scores["methods"].values():
        assert method["title"] in page.text
        assert f"{method['pooled']['rmse']:.4f}" in page.text
    assert "worse than doing nothing" in page.text
    assert "is better than doing nothing" in page.text


def test_sections_of_what_was_not_done_are_left_out(page):
    sections = {attributes.get("id") for tag, attributes in page.tags if tag == "section"}
    assert not sections & {"held", "correction", "ensembles"}


def test_what_repeats_the_run_is_told(page, globe):
    manifest = json.loads((globe / "manifest.json").read_text())
    for words in (manifest["command"], "0123abcd", "CC0-1.0", "seed: 7", "numpy 2.4.1"):
        assert words in page.text
    links = [a["href"] for t, a in page.tags if t == "a" and not a["href"].startswith("#")]
    assert links == ["https://doi.org/10.1000/182"]


def test_every_picture_has_words_and_a_file(page, globe):
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 7
    assert all(len(picture["alt"]) > 30 for picture in pictures)
    for suffix in ("png", "pdf", "svg", "csv"):
        names = {path.stem for path in (globe / "figures").glob(f"*.{suffix}")} - {"index"}
        assert len(names) == 7


def test_numbers_of_a_map_are_those_drawn(report, globe):
    table = pd.read_csv(globe / "figures/map.csv")
    assert set(table.columns) == {"x", "y", "coarse", "downscaled", "truth"}
    error = (table["downscaled"] - table["truth"]).dropna()
    assert 0 < error.abs().mean() < 0.02


def test_a_warning_stands_beside_its_number(report):
    text = report.read_text()
    assert (
        text.index('id="scores"') < text.index("The split is random") < text.index('id="scatter"')
    )


def test_hostile_words_stay_words(build_run, tmp_path):
    run = build_run(tmp_path / "run", "utm", title=HOSTILE, command=HOSTILE, warnings=[HOSTILE])
    (run / "recipe.yaml").write_text(HOSTILE)
    scores = json.loads((run / "scores.json").read_text())
    for method in scores["methods"].values():
        method["title"] = HOSTILE
    (run / "scores.json").write_text(json.dumps(scores))
    (run / "importances.csv").write_text(f"predictor,importance\n{HOSTILE},1\n")
    page = Page(write_report(run, with_files=False).read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert {attributes["src"][:10] for tag, attributes in page.tags if tag == "img"} == {
        "data:image"
    }
    assert HOSTILE in page.text


def test_a_link_cannot_leave_its_attribute():
    assert 'href="https://a.b/c"' in linked('https://a.b/c"onclick=alert(1)')
    assert "<a" not in linked("javascript:alert(1)")


def test_a_run_without_truth_has_no_truth_in_it(build_run, tmp_path):
    run = build_run(tmp_path / "run", "ease", truth=False)
    (run / "importances.csv").unlink()
    (run / "figures").mkdir()
    (run / "figures" / "scatter.png").write_bytes(b"of an earlier report")
    (run / "figures" / "index.csv").write_text("figure,shows\nscatter,pairs\n../manifest,no\n")
    (run / "manifest.csv").write_text("of the user")
    text = write_report(run).read_text()
    assert 'id="scatter"' not in text
    assert "names no importances of its own" in text
    assert "Bars of the importance" not in text
    assert "The predictors are coarse themselves." in text, "a warning has a place without a figure"
    assert "Without a truth nobody can say" in text
    assert not (run / "figures" / "scatter.png").exists()
    assert (run / "manifest.csv").exists(), "a list of figures must not reach out of its folder"


def test_no_half_report_is_left(copied, monkeypatch):
    (copied / "report.html").write_text("the report of yesterday")
    monkeypatch.setattr("vadose.report.charts.gain_bars", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(copied)
    assert (copied / "report.html").read_text() == "the report of yesterday"
    assert not list(copied.glob(".*partial*"))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        FileProblem, match=r"nowhere: found no such folder, expected the folder of a"
    ):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["manifest.json", "scores.json", "recipe.yaml"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(FileProblem, match=f"{name}: found no such file, expected a finished run"):
        read_run(copied)


def test_a_missing_cube_is_named(copied):
    shutil.rmtree(copied / "product.zarr")
    with pytest.raises(FileProblem, match=r"product\.zarr: found no Zarr store"):
        read_run(copied)


def test_text_that_is_not_json_is_named(copied):
    (copied / "scores.json").write_text("{")
    with pytest.raises(FileProblem, match=r"scores\.json: found text that is not JSON"):
        read_run(copied)


def test_a_manifest_of_another_kind_is_named(copied):
    (copied / "manifest.json").write_text('{"title": "a book"}')
    with pytest.raises(RunProblem, match=r"manifest\.json: found field required at command"):
        read_run(copied)


def test_scores_without_the_published_method_are_refused(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "method": "magic"}))
    with pytest.raises(RunProblem, match="no scores of 'magic', expected one of nearest, smooth"):
        read_run(copied)


def test_importances_without_their_columns_are_refused(copied):
    (copied / "importances.csv").write_text("name,value\nclay,1\n")
    with pytest.raises(FileProblem, match=r"expected columns predictor,importance\[,std\]"):
        read_run(copied)


def test_cubes_of_different_runs_are_refused(copied, build_run, tmp_path):
    other = build_run(tmp_path / "other", "utm")
    shutil.rmtree(copied / "truth.zarr")
    shutil.copytree(other / "truth.zarr", copied / "truth.zarr")
    with pytest.raises(RunProblem, match=r"\(48, 64\) cells, expected the product's \(32, 64\)"):
        read_run(copied)


def test_a_missing_jinja2_is_named(globe, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match="jinja2: found no such library"):
        write_report(globe)


def test_importances_say_what_was_shuffled_and_warn_of_places(build_run, tmp_path, told_only):
    run = build_run(tmp_path / "run", "globe")
    (run / "recipe.yaml").write_text("predictors: [elevation, clay_content]\n")
    (run / "importances.csv").write_text(
        "predictor,importance,std,model,title,measure,unit,samples,repeats,rmse\n"
        "elevation,0.02,0.001,forest,Forest,growth of the RMSE when shuffled,m3 m-3,900,5,0.03\n"
        "all_predictors,0.0123,0.001,forest,Forest,growth of the RMSE when shuffled,m3 m-3,900,5,0.03\n"
        "longitude,0.01,0.001,forest,Forest,growth of the RMSE when shuffled,m3 m-3,900,5,0.03\n"
    )
    page = write_report(run, with_files=False).read_text()
    assert "the model, “Forest,” grows" in page
    assert "means of 5 shuffles" in page
    assert "shuffled, they cost 0.0123 m³ m⁻³" in page
    assert "Longitude is a feature of the model beside the recipe" in page
    assert "elevation, clay content, longitude" in page
    assert "<code>vadose explain RUN</code>, then" in page
