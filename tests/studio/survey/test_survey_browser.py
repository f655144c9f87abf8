"""A survey in Chromium as a rater with a keyboard or a screen reader meets it: names, roles, focus, live text, axe."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.survey.answer_store import AnswerStore
from studio.survey.results.survey_report import write_report
from studio.survey.simulated_raters import simulate_raters
from studio.survey.survey_folder import Survey, read_survey
from tests.studio.browser_pages import look, needs_axe, served, tab_to, visit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, survey: Survey) -> Survey:
    """A survey of this module's own."""
    folder = tmp_path_factory.mktemp("surveys") / "pilot"
    return read_survey(shutil.copytree(survey.folder, folder))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, asked: Survey) -> Iterator[str]:
    """A studio that asks the survey."""
    words = ("--workers", "0", "--surveys", str(asked.folder.parent))
    with served(tmp_path_factory.mktemp("studio"), *words) as url:
        yield url


def begin(page: Any) -> None:
    """Give consent and set the sound, by keyboard alone."""
    page.goto("/surveys/pilot")
    tab_to(page, "input[name=consent]")
    page.keyboard.press("Space")
    tab_to(page, "button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_selector("input[name=headphones]")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    tab_to(page, ".clip button")
    page.keyboard.press("Enter")
    tab_to(page, "input[name=headphones]")
    page.keyboard.press("Space")
    tab_to(page, "button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset:disabled")


def listen(page: Any) -> None:
    """Play the clip of a page until it may be answered."""
    tab_to(page, ".clip button")
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset:not(:disabled)")


def finish(page: Any, address: str) -> None:
    """Answer all that is left as the page would."""
    api = f"{address}/api/v1/surveys/pilot/raters/{page.url.rsplit('/', 1)[1]}"
    while (trial := page.request.get(api).json()["trial"]) is not None:
        for place in range(len(trial["clips"])):
            for criterion in trial["criteria"]:
                body = {"trial": trial["number"], "place": place, "criterion": criterion["name"], "heard": 1.0}
                answer = page.request.put(f"{api}/answers", data={**body, "value": criterion["high"]})
                assert answer.status == 204


def test_a_rater_with_a_keyboard(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        begin(page)
        assert page.evaluate("document.activeElement.tagName") == "H2"
        assert page.get_by_role("button", name="Next").is_disabled()
        listen(page)
        assert page.get_by_role("status").inner_text() == "You can answer now."
        names = page.locator("fieldset legend").all_inner_texts()
        for place in range(len(names)):
            tab_to(page, f"fieldset:nth-of-type({place + 1}) input")
            page.keyboard.press("Space")
        page.wait_for_selector("button:not(:disabled) >> text=Next")
        assert page.get_by_role("status").inner_text() == "Saved"
        tab_to(page, "#page > button")
        page.keyboard.press("Enter")
        page.wait_for_selector("h2 >> text=Clip 2 of")
        page.reload()
        page.wait_for_selector("h2 >> text=Clip 2 of")
        finish(page, address)
        page.reload()
        tab_to(page, "button.plain")
        assert page.get_by_role("heading", level=2).inner_text().startswith("Thank you")


def test_names_and_roles_of_a_page(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        begin(page)
        listen(page)
        heard = page.locator("main").aria_snapshot()
        for part in (
            'heading "Clip 1 of', 'button "Play: Clip"', 'progressbar "Clip"', 'group "Melody', 'group "Who made this',
            'radio "A human"', 'radio "5"', 'button "Next"', "status",
        ):  # fmt: skip
            assert part in heard or part.replace("Play", "Pause") in heard, (part, heard)
        assert page.locator("html").get_attribute("lang") == "en"
        page.goto("/surveys/pilot?language=zh")
        assert page.locator("html").get_attribute("lang") == "zh"
        assert page.get_by_role("checkbox").count() == 1 and page.get_by_role("navigation").count() == 1


@needs_axe
def test_axe_finds_nothing_in_any_look(browser: Any, address: str, asked: Survey, tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    context = browser.new_context(base_url=address, bypass_csp=True)
    page = context.new_page()
    for language in ("en", "zh"):
        page.goto(f"/surveys/pilot?language={language}")
        found |= look(page, f"consent-{language}")
    page.goto("/surveys/pilot")
    page.get_by_role("checkbox").check()
    page.get_by_role("button").click()
    page.wait_for_selector("input[name=headphones]")
    found |= look(page, "sound")
    page.get_by_role("radio", name="headphones").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("fieldset:disabled")
    found |= look(page, "clip-before")
    listen(page)
    found |= look(page, "clip-heard")
    finish(page, address)
    page.reload()
    page.wait_for_selector("button.plain")
    found |= look(page, "end")
    store = AnswerStore(asked.folder / "answers.sqlite")
    simulate_raters(asked, store, 12)
    write_report(asked, tmp_path / "report")
    page.goto((tmp_path / "report" / "report.html").as_uri())
    found |= look(page, "report")
    context.close()
    assert found == {}
