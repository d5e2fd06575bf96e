"""The page in a real browser: it loads from here alone, and does what its controls say.

Needs Playwright and the system's Chromium, which ``.ci/run`` installs. Pictures of what was seen are left in
the folder that ``VADOSE_SCREENSHOTS`` names.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from vadose.pipeline.serving import map_of
from vadose.serve.server import configured, open_socket

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

AXE = Path(__file__).parent / "data" / "axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
DESK, PHONE = {"width": 1300, "height": 820}, {"width": 390, "height": 844}
LAPTOP = {"width": 1024, "height": 640}


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium; install Debian's package chromium")
    return found


@contextmanager
def serving(folder: Path):
    """Answer in a thread as the command does, on a port that is free."""
    with open_socket(0) as listening:
        server = uvicorn.Server(configured(map_of(folder)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def address(run):
    with serving(run) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium):
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = Path(os.environ.get("VADOSE_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def context_of(browser):
    """Give a function that makes a browser of a size once: its pages share what they have loaded."""
    made = {}

    def found(**options):
        key = repr(options)
        if key not in made:
            made[key] = browser.new_context(**options)
        return made[key]

    yield found
    for context in made.values():
        context.close()


@pytest.fixture
def visit(context_of, address):
    """Give a function that opens the page and waits until it is drawn; what goes wrong fails the test."""
    pages, wrong = [], []

    def opened(fragment: str = "", size=DESK, at=address, before: str = "", **options):
        page = context_of(viewport=size, **options).new_page()
        pages.append(page)
        page.add_init_script(before)
        page.set_default_timeout(15000)
        page.on("console", lambda said: wrong.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        ours = (at, "data:")
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith(ours) else wrong.append(f"asked {asked.url}")
            ),
        )
        page.goto(at + fragment)
        page.wait_for_selector("body[data-state=ready]")
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []


def shown(page, words: str) -> None:
    page.wait_for_selector(f'body[data-shown="{words}"]')


def tiles(page) -> bytes:
    """Give a picture of the map without what lies above it."""
    return page.screenshot(clip={"x": 420, "y": 100, "width": 500, "height": 420})


def test_it_loads_without_an_error_and_asks_nobody_else(visit, pictures):
    page = visit()
    assert page.title() == "A small world · vadose map"
    assert page.locator("h1").inner_text() == "A small world"
    assert page.locator("#layer option").count() == 8
    assert page.locator(".leaflet-left-pane img.leaflet-tile-loaded").count() > 0
    assert page.locator("#legend .bar span").count() == 16
    page.screenshot(path=pictures / "desk.png")


def test_the_sliders_change_the_picture(visit):
    page = visit()
    shown(page, "fine 2019-04-01")
    before = tiles(page)
    page.locator("#time").focus()
    page.keyboard.press("ArrowRight")
    shown(page, "fine 2019-04-02")
    assert page.locator("#when").inner_text() == "2019-04-02"
    assert (after := tiles(page)) != before
    page.locator("#opacity").fill("40")
    assert page.locator("#opacity-value").inner_text() == "40 %"
    assert tiles(page) != after
    assert "opacity=40" in page.url


def test_play_goes_through_the_days_and_stops_at_the_last(visit):
    page = visit("#time=2019-04-04")
    page.locator("#play").click()
    assert page.locator("#play").get_attribute("aria-pressed") == "true"
    shown(page, "fine 2019-04-06")
    page.wait_for_selector('#play[aria-pressed="false"]')


def test_a_click_shows_the_series_there(visit, pictures):
    page = visit()
    page.mouse.click(800, 330)
    page.wait_for_selector("#series[data-place]")
    words = page.locator("#series-values").inner_text()
    for title in ("Fine, the product", "Coarse, the input", "Precipitation", "mm day⁻¹"):
        assert title in words
    assert "± spread of the model's parts" in words
    assert "on days when it is filled" in words
    assert page.locator("#chart canvas").count() == 1
    page.screenshot(path=pictures / "series.png")
    page.keyboard.press("Escape")
    assert page.locator("#series").is_hidden()


def test_the_value_under_the_pointer_has_a_unit(visit):
    page = visit()
    page.mouse.move(800, 330)
    page.wait_for_selector("#readout:visible")
    assert re.match(r"0\.\d+ m³ m⁻³", page.locator("#readout").inner_text())


def test_the_swipe_parts_two_layers(visit, pictures):
    page = visit("#layer=fine&with=coarse&split=50")
    shown(page, "fine 2019-04-01 coarse")
    middle = page.screenshot(path=pictures / "swipe.png")
    handle = page.locator("#swipe").bounding_box()
    y = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(910, y, steps=4)
    page.mouse.up()
    assert page.locator("#swipe").get_attribute("aria-valuenow") == "70"
    assert page.screenshot() != middle
    page.keyboard.press("Home")
    assert page.locator("#swipe").get_attribute("aria-valuenow") == "0"
    assert "split=0" in page.url
    assert page.locator("#left-name").is_hidden()  # there is no room for it
    name, panel = (page.locator(one).bounding_box() for one in ("#right-name:visible", "#controls"))
    assert name["x"] >= panel["x"] + panel["width"] or name["y"] >= panel["y"] + panel["height"]


def test_a_link_shows_what_its_sender_saw(visit):
    page = visit("#layer=truth&time=2019-04-03&opacity=60")
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#series[data-place]")
    other = visit(page.url[page.url.index("#") :])
    other.wait_for_selector("#series[data-place]")
    shown(other, "truth 2019-04-03")
    assert other.locator("#layer").input_value() == "truth"
    assert other.locator("#opacity").input_value() == "60"
    assert other.url == page.url


def test_the_keyboard_does_all(visit, pictures):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press(".")
    shown(page, "fine 2019-04-02")
    page.keyboard.press(",")
    shown(page, "fine 2019-04-01")
    page.keyboard.press("]")
    shown(page, "fine-origin 2019-04-01")
    page.keyboard.press("s")
    shown(page, "fine-origin 2019-04-01 coarse")
    page.locator("#map").focus()
    before = page.url
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#readout:visible")
    assert page.locator("#cross").is_visible()
    page.keyboard.press("Enter")
    page.wait_for_selector("#series[data-place]")
    assert page.url != before
    assert page.locator("#said").inner_text() != ""
    page.screenshot(path=pictures / "keyboard.png")


def test_a_phone_has_all_of_it(visit, pictures):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for name in ("#controls", "#clock", "#layer", "#play", "#when", "#more"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert page.locator("#with").is_hidden()
    assert "m³ m⁻³" in page.locator("#legend").inner_text()
    page.locator("#more").tap()
    assert page.locator("#with").is_visible()
    page.screenshot(path=pictures / "phone-open.png")
    page.locator("#more").tap()
    page.touchscreen.tap(195, 400)
    page.wait_for_selector("#series[data-place]")
    series, clock = page.locator("#series").bounding_box(), page.locator("#clock").bounding_box()
    assert series["y"] + series["height"] <= clock["y"]
    page.screenshot(path=pictures / "phone.png")


def test_a_small_laptop_has_room_for_panel_time_and_series(visit, pictures):
    page = visit("#layer=fine-origin&with=fine&point=34.93,105.15", size=LAPTOP)
    page.wait_for_selector("#series[data-place]")
    boxes = {name: page.locator(name).bounding_box() for name in ("#controls", "#clock", "#series")}
    for one, other in (("#controls", "#clock"), ("#controls", "#series"), ("#clock", "#series")):
        here, there = boxes[one], boxes[other]
        assert (
            here["x"] + here["width"] <= there["x"]
            or there["x"] + there["width"] <= here["x"]
            or there["y"] + there["height"] <= here["y"]
            or here["y"] + here["height"] <= there["y"]
        )
    page.screenshot(path=pictures / "laptop.png")


def test_another_layer_changes_picture_and_legend(visit):
    page = visit()
    before = tiles(page)
    assert "no value" in page.locator("#legend").inner_text()
    page.select_option("#layer", "fine-origin")
    shown(page, "fine-origin 2019-04-01")
    assert tiles(page) != before
    colours = page.locator("#legend i").evaluate_all("all => all.map(one => one.style.background)")
    assert len(set(colours)) == len(colours)
    assert page.locator("#legend").inner_text().split() == [
        "Origin",
        "downscaled",
        "filled",
        "masked",
    ]
    assert page.locator("#station-key").inner_text() == "2 judge the product\n2 judge nothing"


def test_a_value_called_off_while_it_is_told_is_no_error(visit):
    slow = """(() => {
        const json = Response.prototype.json;
        Response.prototype.json = async function () {
            if (this.url.includes("/api/value")) await new Promise((done) => setTimeout(done, 250));
            return json.call(this);
        };
    })()"""
    page = visit(before=slow)
    with page.expect_response("**/api/value*"):
        page.mouse.move(800, 330)
    with page.expect_response("**/api/value*"):
        page.mouse.move(820, 330)
    page.wait_for_selector("#readout:visible")


def test_a_gap_in_time_and_in_an_interval_are_drawn(visit, ensemble_run, pictures):
    with serving(ensemble_run) as there:
        page = visit("#point=-29.5,21&time=2019-07-06&layer=fine-member-1", at=there)
        page.wait_for_selector("#series[data-place]")
        words = page.locator("#series-values").inner_text()
        assert "Interval of 90 %" in words
        assert "0.15 to 0.3 m³ m⁻³" in words
        page.screenshot(path=pictures / "ensemble.png")


def test_both_sides_of_the_antimeridian_are_seen_in_one_piece(browser, far_run, pictures):
    with serving(far_run) as address:
        page = browser.new_page(viewport=DESK)
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]")
        asked = page.evaluate(
            "[...document.querySelectorAll('.leaflet-left-pane img.leaflet-tile-loaded')]"
            ".map(one => one.src.split('/').slice(-3, -1).map(Number))"
        )
        columns = {(column + 0.5) / 2**level for level, column in asked}
        assert any(share < 0.1 for share in columns)
        assert any(share > 0.9 for share in columns)
        west, east = page.evaluate(
            "(() => { const all = [...document.querySelectorAll('.leaflet-left-pane img')]"
            ".map(one => one.getBoundingClientRect());"
            " return [Math.min(...all.map(one => one.left)), Math.max(...all.map(one => one.right))] })()"
        )
        assert east - west < 2 * DESK["width"]  # not an earth's turn apart
        page.evaluate("location.hash += '&point=-15.05,182'")  # is loaded again as a link would be
        page.wait_for_selector("#series[data-place]")
        hint = page.locator("#layer optgroup[label=Uncertainty] option")
        assert hint.text_content() == "none: add intervals: to the recipe"
        assert hint.is_disabled()
        assert page.locator("#series-title").inner_text() == "15.050° S, 178.000° W"
        assert "0.4 m³ m⁻³" in page.locator("#series-values").inner_text()
        page.screenshot(path=pictures / "antimeridian.png")
        page.close()


def test_a_server_that_stops_is_told(browser, run):
    with serving(run) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]")
    page.keyboard.press(".")
    page.wait_for_selector("#notice:visible")
    assert "The server does not answer" in page.locator("#notice").inner_text()
    page.close()


def test_a_damaged_run_is_not_called_an_unfinished_one(browser, tmp_path, earth, write_run):
    broken = write_run(tmp_path / "broken", earth)
    next(
        part for part in (broken / "coarse.zarr/soil_moisture/c").rglob("*") if part.is_file()
    ).unlink()
    with serving(broken) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-state=nothing]")
        assert page.locator("#message-title").inner_text() == "This run cannot be read"
        page.close()


def test_those_who_want_no_motion_get_none(visit):
    page = visit(reduced_motion="reduce")
    assert page.locator("#map.leaflet-zoom-anim").count() == 0


def test_a_run_that_is_not_there_says_so(browser, tmp_path, pictures):
    with serving(tmp_path / "later") as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-state=nothing]")
        assert "found no such folder" in page.locator("#message").inner_text()
        page.screenshot(path=pictures / "nothing.png")
        page.close()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(browser, address, size):
    context = browser.new_context(viewport=size, bypass_csp=True)  # for axe itself
    page = context.new_page()
    page.goto(f"{address}#layer=fine&with=coarse&point=34.93,105.15")
    page.wait_for_selector("body[data-state=ready]")
    page.wait_for_selector("#series[data-place]")
    if size is PHONE:
        page.locator("#more").click()  # the controls then lie above the series
    page.locator("#keys").click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")
    context.close()
    serious = [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical", "moderate")
    ]
    assert serious == []
