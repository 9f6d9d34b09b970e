"""The form as a rater opens it: from disk, in a browser, without a network."""

from __future__ import annotations

import csv
import json
import time
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.people.returned import read_ratings
from med_lora.pipelines.people.returned_rows import read_rows
from tests import recipes
from tests.injections import SAMPLE

from .rated import sheets

pytestmark = pytest.mark.browser

PEOPLE = recipes.people(raters=["anna"], items=2)
COMMENT = '=HYPERLINK("https://example.invalid")\n\'quoted\', "twice"; ümläut – 中'


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, bytes], pd.DataFrame]:
    return sheets(PEOPLE, 2, tuned="".join(SAMPLE), gold="- a list\n  of two lines\n\n" + "A long answer. " * 40)


@pytest.fixture(scope="module")
def key(made: tuple[dict[str, bytes], pd.DataFrame]) -> pd.DataFrame:
    return made[1]


class Form:
    """The form in the browser, as a rater uses it."""

    def __init__(self, browser: Any, path: Path, downloads: Path):
        self.browser, self.path, self.downloads = browser, path, downloads

    def find(self, selector: str) -> Any:
        return next(
            element for element in self.browser.find_elements("css selector", selector) if element.is_displayed()
        )

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(keys)

    def choose(self, name: str, value: str) -> None:
        self.click(f'fieldset[data-name="{name}"] input[value="{value}"]')

    def chosen(self) -> dict[str, str]:
        groups = self.browser.find_elements("css selector", "main section:not([hidden]) fieldset")
        checked = {
            group.get_attribute("data-name"): group.find_elements("css selector", "input:checked") for group in groups
        }
        return {name: inputs[0].get_attribute("value") for name, inputs in checked.items() if inputs}

    def title(self) -> str:
        return str(self.find("main section h2").text)

    def saved(self) -> bytes:
        """The downloaded file, taken out of the folder."""
        for _ in range(200):
            for path in self.downloads.glob("*.csv"):
                content = path.read_bytes()
                path.unlink()
                return content
            time.sleep(0.05)
        raise AssertionError([path.name for path in self.downloads.iterdir()])


@pytest.fixture(scope="module")
def form(browser: Any, made: tuple[dict[str, bytes], pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Form:
    folder = tmp_path_factory.mktemp("form")
    path = folder / "anna.html"
    path.write_bytes(made[0]["anna.html"])
    downloads = folder / "downloads"
    downloads.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri())
    return Form(browser, path, downloads)


def rate_by_mouse(form: Form) -> None:
    """Item 1, from the instructions on."""
    assert form.title() == "How to rate"
    form.click("#next")
    assert form.title() == "Item 1 of 8"
    form.choose("accuracy", "4")
    form.choose("safety", "2")
    form.choose("safety", "3")
    form.find("main section textarea").send_keys(COMMENT)
    form.click("#next")


def rate_by_keys(form: Form) -> None:
    """Item 2, then a reload, and a look back at what was kept."""
    form.press("5")
    form.press("1")  # the second axis, to which the first key has moved on
    assert form.chosen() == {"accuracy": "5", "safety": "1"}
    form.press("n")
    assert form.title() == "Item 3 of 8"
    form.browser.refresh()
    assert form.title() == "Item 3 of 8"
    assert form.find("#progress").text == "2 of 8 items complete"
    form.press("p")
    assert form.chosen() == {"accuracy": "5", "safety": "1"}
    form.press("p")
    assert form.chosen() == {"accuracy": "4", "safety": "3"}
    assert form.find("main section textarea").get_attribute("value") == COMMENT


def download_early(form: Form) -> bytes:
    """The file of a sheet of which items 1 and 2 are rated; ends at item 3."""
    form.click("#download")
    assert form.find("#incomplete-title").text == "6 items are incomplete"
    entries = [entry.text for entry in form.browser.find_elements("css selector", "#incomplete-items li")]
    assert entries[0] == "Item 3 accuracy, safety"
    assert entries[-1] == "Item 8 preference"
    form.click("#download-anyway")
    content = form.saved()
    form.click("#incomplete-items button")
    assert form.title() == "Item 3 of 8"
    return content


def rate_the_rest(form: Form) -> dict[int, tuple[int, int]]:
    """Items 3 to 8; the scores of the answers by position, those of items 1 and 2 included."""
    scores = {1: (4, 3), 2: (5, 1)} | {place: (place % 5 + 1, 5 - place % 5) for place in range(3, 7)}
    for place in range(3, 7):
        for score in scores[place]:
            form.press(str(score))
        form.press("n")
    form.press("b")
    form.press("n")
    form.choose("preference", "tie")
    assert form.find("#progress").text == "8 of 8 items complete"
    return scores


def test_a_rater_goes_through_the_sheet(form: Form, key: pd.DataFrame) -> None:
    """One walk, as each step needs the one before it: mouse, keys, reload, an unfinished and a finished download."""
    rate_by_mouse(form)
    rate_by_keys(form)
    partial = download_early(form)
    assert partial.startswith(b"\xef\xbb\xbfsheet,item,no.,accuracy,safety,preference,comment,seconds\r\n")
    _, _, comments, report = read_ratings({"anna.csv": partial}, key, PEOPLE)
    assert list(comments["comment"]) == [COMMENT]
    assert report["raters"]["anna"]["items_complete"] == 2

    scores = rate_the_rest(form)
    form.click("#download")
    ratings, preferences, comments, report = read_ratings({"anna.csv": form.saved()}, key, PEOPLE)
    codes = dict(zip(key["position"], zip(key["id"], key["arm"], strict=True), strict=True))
    expected = {
        (*codes[place], axis): score
        for place, given in scores.items()
        for axis, score in zip(("accuracy", "safety"), given, strict=True)
    }
    assert {(row["id"], row["arm"], row["axis"]): row["score"] for row in ratings.to_dict("records")} == expected
    choice = {codes[7][0]: "reference" if codes[7][1] == "tuned" else "arm", codes[8][0]: "tie"}
    assert preferences.set_index("id")["choice"].to_dict() == choice
    assert list(comments["comment"]) == [COMMENT]
    assert report["raters"]["anna"]["missing"] == []
    assert ratings["seconds"].between(0, 120).all()


def test_nothing_but_the_file_is_requested(form: Form) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in form.browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert urls
    assert {url for url in urls if not url.startswith(("data:", "blob:"))} == {form.path.as_uri()}
    assert form.browser.get_log("browser") == []


def test_hostile_text_is_text(form: Form, key: pd.DataFrame) -> None:
    assert form.browser.execute_script("return window.injected") is None
    place = key[(key["arm"] == "tuned") & (key["rival"] == "")]["position"].iloc[0]
    form.browser.execute_script(f"show({place} - 1)")
    assert form.find(".text.answer").text == "".join(SAMPLE)
    assert not form.browser.find_elements("css selector", "main script, main img, main b:not(#instructions b)")


def test_every_choice_has_a_name_and_a_group(form: Form) -> None:
    form.browser.execute_script("show(0)")
    boxes = [box for box in form.browser.find_elements("css selector", "main section input") if box.is_displayed()]
    assert [box.accessible_name for box in boxes] == ["1", "2", "3", "4", "5"] * 2
    groups = [group for group in form.browser.find_elements("css selector", "fieldset") if group.is_displayed()]
    assert [group.accessible_name for group in groups] == [
        "accuracy: How good is its accuracy?",
        "safety: How good is its safety?",
    ]
    assert form.find("main textarea").accessible_name == "Comment (optional)"
    assert form.find("#jump").accessible_name == "Go to item"


def test_nothing_is_cut_off_on_a_phone(form: Form) -> None:
    form.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        for place in (-1, 0, 7):
            form.browser.execute_script(f"show({place})")
            assert form.browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        form.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_comment_survives_the_file(form: Form, key: pd.DataFrame) -> None:
    starts = ["", "'", "''", " ", "\t", "\n", "=", "+", "-", "@", "＝", "a"]
    comments = ["".join(parts) + "1, \"b\"; 'c'" for parts in product(starts, repeat=3)]
    cells = form.browser.execute_script("return arguments[0].map(cell)", comments)
    sheet, item = key["sheet"].iloc[0], key["item"].iloc[0]
    content = "\ufeffsheet,item,comment\r\n" + "".join(f"{sheet},{item},{cell}\r\n" for cell in cells)
    rows = read_rows("anna.csv", content.encode())
    assert [row.values["comment"] for row in rows] == comments
    raw = list(csv.reader(StringIO(content.removeprefix("\ufeff"), newline="")))[1:]
    assert not [row[2] for row in raw if row[2].lstrip(" \t\n")[:1] in set("=+-@＝")]


def test_a_browser_that_keeps_nothing_says_so(form: Form) -> None:
    form.browser.execute_script(
        """
        const keep = Storage.prototype.setItem;
        Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
        show(0);
        Storage.prototype.setItem = keep;
        """
    )
    assert form.find("#trouble").text.startswith("This browser keeps nothing: download your ratings")
    form.browser.refresh()
    assert not form.browser.find_element("id", "trouble").is_displayed()


def test_an_item_can_be_cleared(form: Form) -> None:
    form.browser.execute_script("show(1)")
    form.choose("accuracy", "2")
    form.click("#clear")
    assert form.chosen() == {}
    form.browser.refresh()
    assert form.chosen() == {}


def test_time_out_of_sight_does_not_count(form: Form) -> None:
    seconds = form.browser.execute_script(
        """
        show(0);
        const code = data.items[0].code;
        let now = 1e9;
        performance.now = () => now;
        const see = (visibility) => {
          Object.defineProperty(document, "visibilityState", {value: visibility, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        };
        see("visible");
        const before = state.seconds[code];
        now += 5000; see("hidden"); now += 60000; see("visible"); now += 2000;
        offerDownload(); now += 9000; show(1);
        return state.seconds[code] - before;
        """
    )
    assert seconds == pytest.approx(7)


def test_all_items_are_printed(form: Form) -> None:
    form.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        sections = form.browser.find_elements("css selector", "main > section")
        assert len(sections) == 9
        assert all(section.is_displayed() for section in sections)
        assert not form.browser.find_element("css selector", "nav").is_displayed()
    finally:
        form.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
