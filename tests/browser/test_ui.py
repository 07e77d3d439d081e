"""The UI in a real browser: the experiment, its run, and the run's metric chart."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.servers import Server

_ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
_LIMIT = 60
#: What the UI asks for and Go answers.
_NATIVE = (
    "/ajax-api/2.0/mlflow/experiments/search",
    "/ajax-api/2.0/mlflow/experiments/get",
    "/ajax-api/2.0/mlflow/runs/search",
    "/ajax-api/2.0/mlflow/runs/get",
    "/ajax-api/2.0/mlflow/metrics/get-history",
)
_OFFLINE = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1200",
)


_SHOT_PAUSE = 1.0  # for what still fades in


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Run headless Chromium; what it shows when a test fails is kept as a picture."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "Debian's chromium is needed"
    assert driver, "Debian's chromium-driver is needed"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*_OFFLINE, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    failed_before = request.session.testsfailed
    try:
        yield chrome
        if request.session.testsfailed > failed_before:
            _keep(chrome, request, "failed")
    finally:
        chrome.quit()


def _keep(browser: webdriver.Chrome, request: pytest.FixtureRequest, page: str) -> None:
    """Save what the browser shows as a picture."""
    _ARTIFACTS.mkdir(exist_ok=True)
    time.sleep(_SHOT_PAUSE)
    browser.save_screenshot(str(_ARTIFACTS / f"{request.node.name.replace('/', '-')}-{page}.png"))


def _shows(browser: webdriver.Chrome, *texts: str) -> None:
    """Wait until the page shows each text."""

    def all_there(driver: webdriver.Chrome) -> bool:
        page = driver.find_element(By.TAG_NAME, "body").text
        return all(text in page for text in texts)

    WebDriverWait(
        browser, _LIMIT, ignored_exceptions=(StaleElementReferenceException, NoSuchElementException)
    ).until(all_there, f"the page doesn't show {texts}")


def _responses(browser: webdriver.Chrome) -> list[dict[str, Any]]:
    """Every response that the browser has got since it was asked last, as DevTools describes it."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["response"] for event in events if event["method"] == "Network.responseReceived"]


def test_experiment_run_and_chart(
    server: Server, browser: webdriver.Chrome, request: pytest.FixtureRequest
) -> None:
    client = MlflowClient(server.url)
    experiment = client.create_experiment("seen in the browser")
    run = client.create_run(experiment, run_name="the run to see").info.run_id
    client.log_batch(
        run,
        metrics=[Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(20)],
        params=[Param("learning_rate", "0.125")],
    )
    client.set_terminated(run)

    browser.get(f"{server.url}/#/experiments")
    _shows(browser, "seen in the browser", "Default")
    _keep(browser, request, "experiments")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs")
    _shows(browser, "the run to see")
    _keep(browser, request, "runs")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs/{run}")
    _shows(browser, "the run to see", "learning_rate", "0.125", "loss", "Finished")
    _keep(browser, request, "run")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs/{run}/model-metrics")
    WebDriverWait(browser, _LIMIT).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer .trace path"),
        "no metric chart was drawn",
    )
    _keep(browser, request, "chart")

    uncaught = [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]
    assert not uncaught
    responses = [each for each in _responses(browser) if each["url"].startswith(server.url)]
    assert responses
    broken = [(each["status"], each["url"]) for each in responses if each["status"] >= 500]
    assert not broken
    native = [each for each in responses if urlsplit(each["url"]).path in _NATIVE]
    assert native, "the UI asked for none of the native routes"
    proxied = [each["url"] for each in native if "via" in {name.lower() for name in each["headers"]}]
    assert not proxied
