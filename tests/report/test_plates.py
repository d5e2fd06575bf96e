import re

import matplotlib.image
import pandas as pd
import pytest

from vadose.errors import FileProblem, UnknownName
from vadose.report import plates
from vadose.report.html import write_report
from vadose.report.journals import STYLES, find_style, fit_to, print_family
from vadose.report.plates import Plate, draw_plates
from vadose.report.style import new_figure


def _figure(width=9.6):
    figure = new_figure(width, 3.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1])
    axes.set_title("a title", fontsize=9.5)
    return figure


def _plate(name, rows=3):
    return Plate(name, _figure, f"A line called {name}.", lambda: pd.DataFrame({"x": range(rows)}))


def test_a_plate_is_kept_in_four_ways_and_listed(tmp_path):
    pictures = draw_plates([_plate("line")], tmp_path / "figures")
    assert pictures["line"].content.startswith(b"\x89PNG")
    folder = tmp_path / "figures"
    assert (folder / "line.png").read_bytes() == pictures["line"].content
    assert (folder / "line.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (folder / "line.svg").read_bytes()
    assert pd.read_csv(folder / "line.csv")["x"].tolist() == [0, 1, 2]
    assert pd.read_csv(folder / "index.csv").loc[0, "shows"] == "A line called line."


def test_the_same_figure_has_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        draw_plates([_plate("line")], tmp_path / name)
    for suffix in ("png", "pdf", "svg", "csv"):
        first, second = (tmp_path / name / f"line.{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_what_an_earlier_report_had_is_removed_and_nothing_else(tmp_path):
    draw_plates([_plate("line"), _plate("old")], tmp_path)
    (tmp_path / "of_the_user.png").write_bytes(b"mine")
    draw_plates([_plate("line")], tmp_path)
    assert not list(tmp_path.glob("old.*"))
    assert (tmp_path / "of_the_user.png").exists()


def test_long_data_is_whole_but_compressed(tmp_path):
    rows = plates.PLAIN_ROWS + 1
    draw_plates([_plate("line", 3)], tmp_path)
    draw_plates([_plate("line", rows)], tmp_path)
    listed = pd.read_csv(tmp_path / "index.csv").loc[0]
    assert listed["data"] == "line.csv.gz"
    assert listed["data_rows"] == listed["data_rows_of"] == rows
    assert len(pd.read_csv(tmp_path / listed["data"])) == rows
    assert not (tmp_path / "line.csv").exists(), "that of the shorter table"
    first = (tmp_path / "line.csv.gz").read_bytes()
    draw_plates([_plate("line", rows)], tmp_path)
    assert (tmp_path / "line.csv.gz").read_bytes() == first
    draw_plates([_plate("line", 3)], tmp_path)
    assert not (tmp_path / "line.csv.gz").exists()


def test_very_long_data_is_thinned_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(plates, "MOST_ROWS", 100)
    draw_plates([_plate("line", 201)], tmp_path)
    listed = pd.read_csv(tmp_path / "index.csv").loc[0]
    assert listed["data_rows_of"] == 201
    assert len(pd.read_csv(tmp_path / "line.csv")) == listed["data_rows"] == 67


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(FileProblem, match="figures: found a folder that cannot be written to"):
        draw_plates([_plate("line")], tmp_path / "figures")


@pytest.mark.parametrize("style", [name for name, journal in STYLES.items() if journal])
@pytest.mark.parametrize("width", [4.0, 9.6])
def test_a_figure_has_the_width_of_its_column(style, width):
    journal, figure = STYLES[style], _figure(width)
    fit_to(figure, journal)
    wanted = journal.double if width > 6.5 else journal.single
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(wanted)
    size = figure.axes[0].title.get_fontsize()
    assert journal.smallest <= size <= journal.font + 1


def test_a_figure_for_print_has_one_family(tmp_path):
    def paint():
        figure = _figure()
        axes = figure.axes[0]
        axes.set(xlabel="soil moisture (m³ m⁻³)", yscale="log", ylim=(1e-4, 1))
        return figure

    draw_plates([Plate("units", paint, "", pd.DataFrame)], tmp_path, find_style("agu"))
    fonts = set(
        re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?([\w-]+)", (tmp_path / "units.pdf").read_bytes())
    )
    assert {name.split(b"-")[0] for name in fonts} == {print_family().replace(" ", "").encode()}


def test_a_journal_has_its_dots(tmp_path):
    draw_plates([_plate("line")], tmp_path, find_style("ieee"))
    pixels = matplotlib.image.imread(tmp_path / "line.png").shape
    assert pixels[1] == pytest.approx(181.9 / 25.4 * 600, abs=2)


def test_an_unknown_style_is_named(globe):
    with pytest.raises(UnknownName, match=r"style.*'nejm'.*agu"):
        write_report(globe, style="nejm")
