import io
import sys

import numpy as np
import pytest
from PIL import Image

from vadose.errors import MissingExtra
from vadose.grids import latlon
from vadose.report import charts, figures
from vadose.report.runs import Importance, read_run
from vadose.report.scene import Pairs, busiest_window, departures, owners, read_pairs, read_scene
from vadose.report.style import new_figure, png


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB"), "f4")


@pytest.fixture(scope="module")
def run(globe):
    return read_run(globe)


@pytest.fixture(scope="module")
def scene(run):
    return read_scene(run)


def test_maps_are_drawn_and_differ_between_panels(scene):
    picture = pixels(figures.map_panels(scene, unit="m3 m-3"))
    half = picture.shape[1] // 2
    height = picture.shape[0] // 3
    assert picture.std() > 20
    assert np.abs(picture[:height, :half] - picture[:height, -half:]).mean() > 2


def test_the_zoom_shows_a_window(scene):
    window = busiest_window(scene)
    assert pixels(figures.map_panels(scene, unit="m3 m-3", window=window)).std() > 20


def test_charts_are_drawn(run, scene):
    pairs = read_pairs(run)
    drawn = [
        charts.scatter_density(pairs, unit="m3 m-3"),
        charts.gain_bars(run.scores, list(run.scores.methods)),
        charts.importance_bars(run.importances),
        charts.closure_histogram(scene.closure, unit="m3 m-3"),
        figures.origin_map(scene.origin, scene.fine_grid),
    ]
    assert all(pixels(figure).std() > 10 for figure in drawn)


def test_charts_bear_what_is_empty_or_hostile():
    none = np.empty(0)
    assert pixels(charts.scatter_density(Pairs(none, none, none, none, 0), unit="")).std() > 5
    assert pixels(charts.closure_histogram(np.array([np.nan]), unit="")).std() > 1
    rows = [Importance("$\\frac{" + "x" * 200, 1.0), Importance("a\nb$", float("nan"))]
    assert pixels(charts.importance_bars(rows)).std() > 5


def test_figures_are_the_same_bytes_each_time(scene):
    first, second = (png(figures.origin_map(scene.origin, scene.fine_grid)) for _ in range(2))
    assert first == second


def test_departures_cancel_in_each_coarse_cell(scene):
    departure = departures(scene.product, scene.owner, np.ones(scene.product.shape))
    sums = np.bincount(scene.owner.ravel(), np.nan_to_num(departure).ravel())
    assert np.abs(sums).max() < 1e-5


def test_fine_cells_outside_the_coarse_grid_have_no_owner():
    owner = owners(latlon(10.0), latlon(20.0, (-180, -40, 180, 40)))
    assert (owner[0] == -1).all()
    assert owner.max() == 18 * 4 - 1


def test_the_window_holds_the_busiest_place(scene):
    """Put strong detail into one corner: the window goes there, not to a single wild cell."""
    truth = np.full(scene.truth.shape, 0.2)
    truth[20:, 44:] += 0.1 * np.indices((12, 20)).sum(axis=0) % 0.2
    truth[5, 30] = 9.0
    busy = type(scene)(**{**vars(scene), "truth": truth, "product": truth})
    rows, columns = busiest_window(busy)
    assert rows.start >= 14
    assert columns.stop > 50


def test_a_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vadose\[report\]'"):
        new_figure(1, 1)


def test_importances_have_a_panel_for_every_model():
    told = {"std": 0.001, "measure": "growth of the RMSE when shuffled", "unit": "m3 m-3",
            "samples": 1200.0, "repeats": 5.0, "rmse": 0.02}  # fmt: skip
    rows = [
        Importance("elevation", 0.01, model="one", title="The first", **told),
        Importance("all_predictors", 0.008, model="one", title="The first", **told),
        Importance("latitude", 0.003, model="one", title="The first", **told),
        Importance("clay", 0.02, model="two", title="The second", **told),
    ]
    first, second = charts.importance_bars(rows).axes
    labels = [text.get_text() for text in first.get_yticklabels()]
    assert labels == ["elevation", "latitude"], (
        "what is made of all predictors is no bar beside single ones"
    )
    assert len({bar.get_facecolor() for bar in first.patches}) == 2, "where a place lies is marked"
    assert first.get_title(loc="left") == "The first · n 1\N{THIN SPACE}200, RMSE 0.0200"
    assert first.get_xlabel() == "growth of the RMSE when shuffled (m³ m⁻³)"
    assert second.get_title(loc="left").startswith("The second")
