"""The UI in a real browser: the experiment, its run, and the run's metric chart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.servers import Server

_ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
_LIMIT = 60
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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
        _ARTIFACTS.mkdir(exist_ok=True)
        failed = request.session.testsfailed
        name = request.node.name.replace("/", "-")
        chrome.save_screenshot(str(_ARTIFACTS / f"{name}{'-failed' if failed else ''}.png"))
    finally:
        chrome.quit()


def _shows(browser: webdriver.Chrome, *texts: str) -> None:
    """Wait until the page shows each text."""

    def all_there(driver: webdriver.Chrome) -> bool:
        page = driver.find_element(By.TAG_NAME, "body").text
        return all(text in page for text in texts)

    WebDriverWait(browser, _LIMIT).until(all_there, f"the page doesn't show {texts}")


def test_experiment_run_and_chart(server: Server, browser: webdriver.Chrome) -> None:
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
    _shows(browser, "seen in the browser")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs")
    _shows(browser, "the run to see")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs/{run}")
    _shows(browser, "the run to see", "learning_rate", "0.125", "loss")

    browser.get(f"{server.url}/#/experiments/{experiment}/runs/{run}/model-metrics")
    WebDriverWait(browser, _LIMIT).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer .trace path"),
        "no metric chart was drawn",
    )
    errors = [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]
    assert not errors
