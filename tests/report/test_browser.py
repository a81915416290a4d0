"""The page in a real browser: it works from a file without a network, its controls do what they say, phones show it.

Needs Chromium and its driver (Debian: chromium, chromium-driver). Without them the tests are skipped, but fail where
the environment has CI=true.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from subgrid.report import write
from subgrid.report.plates import Section
from subgrid.report.subjects import Progress

pytestmark = pytest.mark.slow

LAPTOP, PHONE, SMALL = (1280, 800), (390, 844), (320, 640)
VARIABLES = ("", "ptend_t", "cam_out_PRECC")


@pytest.fixture(scope="module")
def page(work: Path, tmp_path_factory: pytest.TempPathFactory, silent: Progress) -> Path:
    """A report of one prediction under two names, with the figures of two variables and few of the worst columns."""
    whole = write.sections

    def few(cases) -> list[Section]:  # noqa: ANN001
        return [
            Section(
                one.id, one.title, one.intro, tuple(x for x in one.plates if x.variable in VARIABLES)[:2], one.tables
            )
            for one in whole(cases)
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "sections", few)
        out = tmp_path_factory.mktemp("browser") / "report"
        names = [f"One={work}", f"A second run with a rather long name={work / 'run'}"]
        return write.write_report(out, names, write.ReportSettings(title="Two runs"), silent)


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    """A headless browser without a way to any network."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        missing = "no Chromium with chromedriver here (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    options = Options()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


def turn(chromium: webdriver.Chrome, size: tuple[int, int]) -> None:
    """Give the browser a screen."""
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.fixture
def opened(chromium: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, freshly opened on a laptop."""
    turn(chromium, LAPTOP)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get("about:blank")  # never the page as a test before left it
    chromium.get(page.as_uri())
    WebDriverWait(chromium, 20).until(lambda found: found.find_element(By.ID, "count").text)
    return chromium


def choose(chromium: webdriver.Chrome, control: str, value: str) -> None:
    """Choose in one of the page's controls."""
    Select(chromium.find_element(By.ID, control)).select_by_value(value)


def shown(chromium: webdriver.Chrome) -> list[str]:
    """Names of the figures in sight."""
    return [one.get_attribute("id") for one in chromium.find_elements(By.TAG_NAME, "figure") if one.is_displayed()]


def test_nothing_is_fetched_and_nothing_goes_wrong(opened: webdriver.Chrome, page: Path) -> None:
    for control, value in (("variable", ""), ("run", "one"), ("theme", "dark")):
        choose(opened, control, value)
    opened.find_element(By.ID, "search").send_keys("ptend_t")
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:") and url != page.as_uri()] == []
    assert [entry for entry in opened.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE, SMALL])
def test_no_page_is_wider_than_its_screen(opened: webdriver.Chrome, size: tuple[int, int]) -> None:
    turn(opened, size)
    for variable in VARIABLES:
        choose(opened, "variable", variable)
        width = opened.execute_script("return document.documentElement.scrollWidth")
        assert width <= size[0], f"{width} pixels wide on a screen of {size[0]}"
        wide = opened.execute_script(
            "return [...document.querySelectorAll('main > section > *, figure, .picture')]"
            ".filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"
        )
        assert wide == []


def test_letters_in_figures_can_be_read_on_a_phone(opened: webdriver.Chrome) -> None:
    turn(opened, PHONE)
    choose(opened, "variable", "")
    heights = opened.execute_script(
        "return [...document.querySelectorAll('figure')].map(figure => [figure.id, Math.min("
        "...[...figure.querySelectorAll('svg text')].map(text => parseFloat(getComputedStyle(text).fontSize)"
        " * figure.querySelector('svg').getBoundingClientRect().width"
        " / figure.querySelector('svg').viewBox.baseVal.width))])"
    )
    assert {name: height for name, height in heights if height < 6} == {}


def test_a_variable_is_chosen(opened: webdriver.Chrome) -> None:
    assert {"levels-ptend-t", "density-ptend-t", "zonal-r2-one"} <= set(shown(opened))
    assert "density-cam-out-precc" not in shown(opened)
    choose(opened, "variable", "cam_out_PRECC")
    assert {"density-cam-out-precc", "map-cam-out-precc", "zonal-r2-one"} <= set(shown(opened))
    assert not {"levels-ptend-t", "density-ptend-t"} & set(shown(opened))
    note = opened.find_element(By.CSS_SELECTOR, "#levels .absent")
    assert note.is_displayed()
    note.find_element(By.TAG_NAME, "button").click()
    assert {"levels-ptend-t", "density-ptend-t", "density-cam-out-precc"} <= set(shown(opened))
    assert not note.is_displayed()


def test_a_run_is_chosen(opened: webdriver.Chrome) -> None:
    assert {"zonal-r2-one", "zonal-r2-a-second-run-with-a-rather-long-name"} <= set(shown(opened))
    choose(opened, "run", "one")
    assert "zonal-r2-one" in shown(opened)
    assert [name for name in shown(opened) if "second-run" in name] == []
    assert "r2-by-variable" in shown(opened)


def column(chromium: webdriver.Chrome, place: int) -> list[str]:
    """Texts of a column of the table of all scores, of the rows in sight."""
    return chromium.execute_script(
        "return [...document.querySelectorAll('#all tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[arguments[0]].textContent.trim())", place,
    )  # fmt: skip


def heading(chromium: webdriver.Chrome, name: str) -> WebElement:
    """A heading of that table."""
    return next(one for one in chromium.find_elements(By.CSS_SELECTOR, "#all thead th") if one.text.startswith(name))


def test_the_table_is_sorted_by_clicks(opened: webdriver.Chrome) -> None:
    before = column(opened, 4)
    assert len(before) == 2 * 368
    button = heading(opened, "R²").find_element(By.TAG_NAME, "button")
    for direction, way in (("ascending", 1), ("descending", -1)):
        button.click()
        assert heading(opened, "R²").get_attribute("aria-sort") == direction
        values = column(opened, 4)
        known = [float(value) for value in values if value != "–"]
        assert known == sorted(known, key=lambda value: way * value)
        assert values[len(known) :] == ["–"] * (len(values) - len(known))  # undefined values stand last, both ways
        assert sorted(values) == sorted(before)
    assert heading(opened, "Level").get_attribute("aria-sort") == "none"


def test_the_table_is_sorted_from_the_keyboard(opened: webdriver.Chrome) -> None:
    button = heading(opened, "Variable").find_element(By.TAG_NAME, "button")
    opened.execute_script("arguments[0].focus()", button)
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert column(opened, 1) == sorted(column(opened, 1), key=str.lower)
    opened.switch_to.active_element.send_keys(Keys.SPACE)
    assert column(opened, 1) == sorted(column(opened, 1), key=str.lower, reverse=True)
    opened.switch_to.active_element.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text.startswith("Level")


def test_the_table_is_searched(opened: webdriver.Chrome) -> None:
    search, count = opened.find_element(By.ID, "search"), opened.find_element(By.ID, "count")
    assert count.text == "736 of 736 rows"
    search.send_keys("one ptend_u")
    assert set(column(opened, 1)) == {"ptend_u"}
    assert count.text == "60 of 736 rows"
    search.send_keys("x")
    assert (column(opened, 1), count.text) == ([], "0 of 736 rows")
    search.clear()
    search.send_keys(" ")
    assert count.text == "736 of 736 rows"


def lightness(colour: str) -> float:
    """Relative luminance of an rgb(...) colour (WCAG 2)."""
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def inks(chromium: webdriver.Chrome) -> dict[str, str]:
    """Computed colours of the ground, of text, of captions, of links and of text inside figures."""
    return chromium.execute_script(
        "const of = (selector, name) => getComputedStyle(document.querySelector(selector))[name];"
        "return {ground: of('body', 'backgroundColor'), text: of('body', 'color'), caption: of('figcaption', 'color'),"
        " link: of('nav a', 'color'), figure: of('figure svg text', 'fill')}"
    )


def test_light_and_dark_follow_the_device_and_the_choice(opened: webdriver.Chrome) -> None:
    def emulate(value: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": value}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    for device, choice, dark in (
        ("light", "auto", False), ("dark", "auto", True), ("dark", "light", False), ("light", "dark", True),
    ):  # fmt: skip
        emulate(device)
        choose(opened, "theme", choice)
        colours = inks(opened)
        ground = lightness(colours.pop("ground"))
        assert (ground < 0.1) == dark
        for name, colour in colours.items():
            bright, dim = sorted((ground, lightness(colour)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) > 4.5, f"{name} is hard to read, dark: {dark}"


def test_every_file_that_is_offered_is_there(opened: webdriver.Chrome, page: Path) -> None:
    links = [one.get_attribute("href") for one in opened.find_elements(By.CSS_SELECTOR, ".files a")]
    assert len(links) == 2 * len(opened.find_elements(By.TAG_NAME, "figure"))
    for link in links:
        assert (page.parent / link.removeprefix(page.parent.as_uri() + "/")).stat().st_size > 1000


def test_on_paper_there_are_no_controls(opened: webdriver.Chrome) -> None:
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element(By.ID, "controls").is_displayed()
    assert opened.find_element(By.ID, "zonal-r2-one").is_displayed()


def test_without_scripts_everything_is_in_sight(opened: webdriver.Chrome, page: Path) -> None:
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(page.as_uri())
        assert len(shown(opened)) == len(opened.find_elements(By.TAG_NAME, "figure"))
        assert not opened.find_element(By.ID, "controls").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
