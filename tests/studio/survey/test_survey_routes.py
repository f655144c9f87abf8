"""Raters over HTTP: blind, resumable, idempotent, withdrawn; nothing that is sent names a system."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from studio.server.application import build
from studio.settings import Settings
from studio.survey import survey_routes
from studio.survey.survey_folder import Survey

PAGES = "https://pages.example.org"  # where the static pages lie
SYSTEMS = ("zebrafish", "quagga")


@pytest.fixture
def client(survey: Survey, tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(data=tmp_path, requests_per_second=1e6, token="secret", allowed_origins=(PAGES,))
    app = build(settings, [survey_routes.extension(survey.folder.parent)])
    with TestClient(app, base_url="http://127.0.0.1") as made:
        yield made


def enroll(client: TestClient) -> dict[str, Any]:
    answer = client.post("/api/v1/surveys/pilot/raters", json={"consent": True, "language": "en"})
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def answer_page(client: TestClient, rater: str, trial: dict[str, Any], value: int = 1) -> None:
    for criterion in trial["criteria"]:
        body = {"trial": trial["number"], "place": 0, "criterion": criterion["name"], "value": value, "heard": 0.9}
        for _ in range(2):  # a double click
            assert client.put(f"/api/v1/surveys/pilot/raters/{rater}/answers", json=body).status_code == 204


def test_a_rater_answers_everything_and_nothing_sent_names_a_system(client: TestClient, survey: Survey) -> None:
    pages = [client.get("/surveys/pilot").text, client.get("/surveys/pilot?language=zh").text]
    rater = enroll(client)["rater"]
    sent = [*pages, client.get(f"/surveys/pilot/{rater}").text]
    names, sizes, headers = set(), set(), []
    while (state := client.get(f"/api/v1/surveys/pilot/raters/{rater}")).json()["trial"]:
        sent.append(state.text)
        trial = state.json()["trial"]
        sound = client.get(f"/api/v1/surveys/pilot/raters/{rater}/clips/{trial['clips'][0]['name']}")
        headers.append(str(sound.headers))
        told = (sound.headers["etag"], sound.headers["last-modified"])
        assert told == (f'"{trial["clips"][0]["name"]}"', "Thu, 01 Jan 1970 00:00:00 GMT")
        names.add(trial["clips"][0]["name"])
        sizes.add(len(sound.content))
        answer_page(client, rater, trial, trial["attention"] if trial["attention"] == 1 else 1)
    known = [
        *SYSTEMS,
        "quagga",
        *(s.file for s in survey.stimuli),
        *(s.id for s in survey.stimuli),
        "key.json",
        "system",
    ]
    assert not [name for name in known for text in sent + headers if name in text]
    assert len(names) == len(sent) - 3 and len(sizes) == 1
    answers = survey_routes.SurveyBook(survey.folder.parent).session("pilot").store.answers(rater)
    assert len(answers) == len(names) * 8


def test_two_raters_know_a_clip_by_different_names(client: TestClient) -> None:
    one, other = enroll(client), enroll(client)
    assert one["trial"]["clips"][0]["name"] != other["trial"]["clips"][0]["name"]
    stolen = client.get(f"/api/v1/surveys/pilot/raters/{one['rater']}/clips/{other['trial']['clips'][0]['name']}")
    assert stolen.status_code == 404


def test_what_is_not_heard_or_not_asked_is_refused(client: TestClient) -> None:
    rater = enroll(client)["rater"]
    url = f"/api/v1/surveys/pilot/raters/{rater}/answers"
    good = {"trial": 1, "place": 0, "criterion": "audio", "value": 3, "heard": 1.0}
    wrong = [
        ({"heard": 0.5}, "Listen"),
        ({"value": 9}, "1 to 5"),
        ({"trial": 999}, "not asked"),
        ({"criterion": "price"}, "not asked"),
        ({"place": 1}, "not asked"),
        ({"value": True}, "value"),
        ({"extra": 1}, "extra"),
    ]
    for change, said in wrong:
        answer = client.put(url, json={**good, **change})
        assert answer.status_code == 422 and said in answer.text, (change, answer.text)
    assert client.put(url, json=good).status_code == 204
    assert client.put(url.replace(rater, "nobody"), json=good).status_code == 404
    assert client.post("/api/v1/surveys/pilot/raters", json={"consent": False}).status_code == 422
    assert client.get("/api/v1/surveys/..%2Fpilot/raters/x").status_code == 404


def test_withdrawal_deletes_and_ends(client: TestClient) -> None:
    found = enroll(client)
    answer_page(client, found["rater"], found["trial"])
    url = f"/api/v1/surveys/pilot/raters/{found['rater']}"
    assert client.delete(url).json() == {"deleted": 8} and client.delete(url).json() == {"deleted": 0}
    state = client.get(url).json()
    assert state["withdrawn"] and state["trial"] is None
    body = {"trial": 1, "place": 0, "criterion": "audio", "value": 3, "heard": 1.0}
    assert client.put(f"{url}/answers", json=body).status_code == 422


def test_results_need_the_token(client: TestClient) -> None:
    for path in ("/api/v1/survey-results/pilot", "/api/v1/survey-results/pilot/answers.csv"):
        assert client.get(path).status_code == 401
    found = enroll(client)
    answer_page(client, found["rater"], client.get(f"/api/v1/surveys/pilot/raters/{found['rater']}").json()["trial"])
    told = client.get("/api/v1/survey-results/pilot/answers.csv", headers={"Authorization": "Bearer secret"})
    assert told.status_code == 200 and "zebrafish" in told.text and found["rater"] not in told.text


def test_static_pages_elsewhere_may_ask_and_answer_and_no_other_site_may(client: TestClient) -> None:
    url, body = "/api/v1/surveys/pilot/raters", {"consent": True, "language": "en"}
    foreign = {"Sec-Fetch-Site": "cross-site"}
    made = client.post(url, json=body, headers={**foreign, "Origin": PAGES})
    assert made.status_code == 201 and made.headers["access-control-allow-origin"] == PAGES
    clip = f"{url}/{made.json()['rater']}/clips/{made.json()['trial']['clips'][0]['name']}"
    sound = client.get(clip, headers={**foreign, "Origin": PAGES, "Range": "bytes=0-9"})
    assert sound.status_code == 206 and sound.headers["cross-origin-resource-policy"] == "cross-origin"
    asks = {"Origin": PAGES, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    assert "PUT" in client.options(f"{url}/x/answers", headers=asks).headers["access-control-allow-methods"]
    for origin, path in (("https://elsewhere.example.org", url), (PAGES, "/api/v1/songs")):
        refused = client.post(path, json=body, headers={**foreign, "Origin": origin})
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
    results = client.get("/api/v1/survey-results/pilot", headers={"Origin": PAGES})
    assert results.status_code == 401 and "access-control-allow-origin" not in results.headers
