"""The page as a reader sees it: in a browser, on a screen and on a phone, beside models that write HTML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from med_lora.retrieval.context import ShownPassage
from tests.injections import SAMPLE

from .replies import PASSAGES, GivenAnswers
from .serving import running

pytestmark = pytest.mark.browser

ANSWERS = {
    "base": f"Gout {''.join(SAMPLE)}",
    "tuned": "A painful arthritis\nof the toe. \u202eold\u202c",
    "base_rag": "As in [1], <img src=x onerror=alert(1)>.",
    "tuned_rag": "Crystals of uric acid in a joint [1].",
}
HOSTILE = ShownPassage(3, "book:9", SAMPLE[2], SAMPLE[0], 9, cut=False)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[GivenAnswers, int]]:
    """An asker, and the port of its page."""
    asker = GivenAnswers(ANSWERS, [*PASSAGES, HOSTILE])
    with running(asker) as port:
        yield asker, port


@pytest.fixture
def asker(served: tuple[GivenAnswers, int]) -> GivenAnswers:
    return served[0]


@pytest.fixture
def page(browser: Any, served: tuple[GivenAnswers, int]) -> Iterator[Any]:
    """The page, opened anew; both logs of the browser are empty."""
    asker, port = served
    browser.set_window_size(1300, 900)
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(f"http://127.0.0.1:{port}/")
    yield browser
    asker.step.release(1_000_000)
    assert asker.closed.wait(30)
    asker.words = 0


def wait(page: Any, condition: Callable[[Any], bool]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 30, poll_frequency=0.02).until(condition)


def status(page: Any) -> str:
    return str(page.find_element("id", "status").text)


def ask(page: Any, question: str) -> None:
    field = page.find_element("id", "question")
    field.clear()
    field.send_keys(question)
    page.find_element("id", "ask").click()


def answer(page: Any, arm: str) -> str:
    return str(page.find_element("css selector", f"#{arm} .answer").get_property("textContent"))


def test_four_columns_fill_and_show_their_sources(page: Any) -> None:
    ask(page, "What is gout?")
    wait(page, lambda page: status(page) == "Done.")
    assert {arm: answer(page, arm) for arm in ANSWERS} == ANSWERS
    columns = {page.find_element("id", arm).location["x"] for arm in ANSWERS}
    assert len(columns) == 4
    for arm in ("base_rag", "tuned_rag"):
        assert page.find_element("css selector", f"#{arm} .basis").text == "Rests: A Book, Joints, p. 3"
        cited = [found.text for found in page.find_elements("css selector", f"#{arm} summary")]
        assert cited == ["[1] A Book, Joints, p. 3", "[2] training:a (shortened)", f"[3] {SAMPLE[0]}"]
        page.find_element("css selector", f"#{arm} summary").click()
        assert page.find_element("css selector", f"#{arm} details p").text == "Gout hurts."
    assert not page.find_elements("css selector", "#base .sources, #tuned .sources, #base .basis, #tuned .basis")
    assert page.find_element("css selector", "#base .state").text.startswith("cut at")
    assert page.find_element("css selector", "#tuned .state").text == "ended; the question lost its first 3 tokens"


def test_what_models_and_books_write_is_text(page: Any) -> None:
    ask(page, "What is gout?")
    wait(page, lambda page: status(page) == "Done.")
    assert page.execute_script("return window.injected") is None
    assert not page.find_elements("css selector", "main script, main img, main b")
    assert all(injection in answer(page, "base") for injection in SAMPLE)
    assert "an <b>experiment</b>" in page.find_element("tag name", "h1").text
    assert page.get_log("browser") == []


def test_no_request_leaves_this_machine(page: Any, asker: GivenAnswers) -> None:
    ask(page, "What is gout?")
    wait(page, lambda page: status(page) == "Done.")
    own = page.current_url
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in urls if not url.startswith("data:")} == {own, f"{own}ask"}
    assert page.get_cookies() == []
    assert page.execute_script("return localStorage.length + sessionStorage.length") == 0


def test_the_policy_blocks_what_the_page_does_not_need(page: Any) -> None:
    outcome = page.execute_async_script(
        """
        const done = arguments[0], blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.injected = 5";
        document.body.append(script);
        const image = new Image();
        image.src = "https://example.invalid/pixel.png";
        fetch("https://example.invalid/").catch(() => setTimeout(() => done([window.injected ?? null, blocked]), 200));
        """
    )
    page.get_log("browser")
    assert outcome[0] is None
    assert {"connect-src", "img-src", "script-src-elem"} <= set(outcome[1])


def test_answers_grow_and_stop_with_the_reader(page: Any, asker: GivenAnswers) -> None:
    import threading

    ask(page, "Why?")
    wait(page, lambda page: status(page) == "Done.")
    asker.words, asker.step = 0, threading.Semaphore(1)
    ask(page, "What is gout?")
    wait(page, lambda page: answer(page, "base") == "Gout")
    assert status(page) == "base is answering."
    assert not page.find_element("css selector", "#base_rag .basis").is_displayed()
    assert page.find_element("css selector", "#base .answer").get_attribute("aria-busy") == "true"
    assert not page.find_element("id", "ask").is_enabled()
    page.find_element("id", "stop").click()
    wait(page, lambda page: status(page) == "Stopped.")
    assert page.find_element("css selector", "#base .state").text == "stopped"
    for _ in range(500):
        asker.step.release()
        if asker.closed.wait(0.02):
            break
    assert asker.closed.is_set()
    assert asker.words < sum(len(text.split(" ")) for text in ANSWERS.values())


@pytest.mark.parametrize(
    ("question", "shown"),
    [("faulty", "The model's logits are not finite; train again."), (" ", "The question is empty; write one.")],
)
def test_faults_are_said_where_the_reader_looks(page: Any, question: str, shown: str) -> None:
    ask(page, question)
    wait(page, lambda page: status(page) == shown)
    assert page.find_element("id", "ask").is_enabled()
    page.get_log("browser")  # which notes the refused request


@pytest.mark.parametrize(("width", "columns"), [(500, 1), (800, 2), (1300, 4)])
def test_columns_stack_and_nothing_is_wider_than_the_screen(page: Any, width: int, columns: int) -> None:
    page.set_window_size(width, 900)
    ask(page, "What is gout?")
    wait(page, lambda page: status(page) == "Done.")
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    places = {page.find_element("id", arm).location["x"] for arm in ANSWERS}
    assert len(places) == columns


def contrast(first: str, second: str) -> float:
    """Ratio of two colours written as rgb(r, g, b) (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page: Any, scheme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    colours = page.execute_script(
        """
        const style = (selector) => getComputedStyle(document.querySelector(selector));
        const ground = style("body").backgroundColor;
        return [[style("body").color, ground], [style(".what").color, ground], [style("#question").color, ground],
                [style("#ask").color, style("#ask").backgroundColor], [style(".notice").color,
                style(".notice").backgroundColor]];
        """
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [pair for pair in colours if contrast(*pair) < 4.5] == []


def test_fields_have_names_that_a_screen_reader_says(page: Any) -> None:
    assert page.find_element("css selector", "label[for=question]").text == "Question"
    assert page.find_element("id", "question").accessible_name == "Question"
    headings = page.find_elements("css selector", "h1, h2, h3")
    assert [heading.tag_name for heading in headings] == ["h1", "h2", "h3", "h3", "h3", "h3"]
    assert page.find_element("id", "base").accessible_name == "base"
    for live in page.find_elements("css selector", "#status, .answer"):
        assert live.get_attribute("aria-live") == "polite"
    assert "no medical advice" in page.find_element("css selector", "[role=note]").text
