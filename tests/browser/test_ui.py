"""The UI's classic pages in a real browser: what they show, and who answers them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelStatus, Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.servers import Server

_ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
_LIMIT = 60
#: What the walk asks Python for, by path, and why. An entry that nothing asks for any more fails the test.
_PROXIED: dict[str, str] = {}
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


@dataclass(frozen=True)
class _Exchange:
    """One request of the browser's and what it got, as DevTools tells."""

    url: str
    body: str
    status: int
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """What is asked; a GraphQL query for model versions is another thing than one without."""
        path = urlsplit(self.url).path
        return f"{path} modelVersions" if "modelVersions" in self.body else path

    @property
    def proxied(self) -> bool:
        """Whether Python answered."""
        return "via" in {name.lower() for name in self.headers}


def _exchanges(browser: webdriver.Chrome, server: Server) -> list[_Exchange]:
    """Every answer of the server's that the browser has got since it was asked last."""
    sent: dict[str, dict[str, Any]] = {}
    found = []
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            sent[event["params"]["requestId"]] = event["params"]["request"]
        elif event["method"] == "Network.responseReceived":
            response = event["params"]["response"]
            if response["url"].startswith(server.url):
                body = sent.get(event["params"]["requestId"], {}).get("postData", "")
                found.append(_Exchange(response["url"], body, response["status"], response["headers"]))
    return found


def _train(client: MlflowClient) -> tuple[str, list[str], list[str]]:
    """Log what a training would: an experiment with three runs, each with a model and a dataset."""
    experiment = client.create_experiment("seen in the browser")
    runs, models = [], []
    for number, rate in enumerate((0.125, 0.25, 0.5)):
        run = client.create_run(experiment, run_name=f"run {number} to see").info.run_id
        model = client.create_logged_model(
            experiment, name=f"model-{number}", source_run_id=run, params={"depth": str(number + 11)}
        ).model_id
        client.log_batch(
            run,
            metrics=[
                Metric("loss", (number + 1) / (step + 1), 1_700_000_000_000 + step, step, model_id=model)
                for step in range(20)
            ],
            params=[Param("learning_rate", str(rate))],
            tags=[RunTag("team", "vision")],
        )
        client.log_inputs(
            run,
            [
                DatasetInput(
                    Dataset("iris", "abc123", "local", "{}"), [InputTag("mlflow.data.context", "train")]
                )
            ],
        )
        client.finalize_logged_model(model, LoggedModelStatus.READY)
        client.set_terminated(run)
        runs.append(run)
        models.append(model)
    return experiment, runs, models


_DRAWN = ".js-plotly-plot .scatterlayer .trace path"


def _draws(browser: webdriver.Chrome, selector: str) -> None:
    """Wait until a chart is drawn."""
    WebDriverWait(browser, _LIMIT).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, selector), f"no chart with {selector} was drawn"
    )


class _Visitor(Protocol):
    """What opens a page by its path, waits for texts and a chart in it, and takes a picture."""

    def __call__(self, name: str, path: str, *texts: str, drawn: str = "") -> None: ...


@pytest.fixture
def visit(server: Server, browser: webdriver.Chrome, request: pytest.FixtureRequest) -> _Visitor:
    """Give what opens pages of the server's UI."""

    def visit(name: str, path: str, *texts: str, drawn: str = "") -> None:
        browser.get(f"{server.url}/#/{path}")
        _shows(browser, *texts)
        if drawn:
            _draws(browser, drawn)
        _keep(browser, request, name)

    return visit


def _asked(browser: webdriver.Chrome, server: Server) -> tuple[set[str], set[str]]:
    """Give the paths that were asked for, and those that Python answered; nothing may have gone wrong."""
    uncaught = [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]
    assert not uncaught
    exchanges = _exchanges(browser, server)
    broken = [(each.status, each.url) for each in exchanges if each.status >= 500]
    assert not broken
    return {each.path for each in exchanges}, {each.path for each in exchanges if each.proxied}


def test_registry_pages_wake_no_python(server: Server, browser: webdriver.Chrome, visit: _Visitor) -> None:
    client = MlflowClient(server.url)
    run = client.create_run("0", run_name="run behind").info
    client.log_text(run.run_id, "flavors: {}", "model/MLmodel")
    client.create_registered_model("iris to see", {"team": "vision"}, "a model in words")
    for number in (1, 2):
        client.create_model_version(
            "iris to see", f"{run.artifact_uri}/model", run.run_id, description=f"version {number}"
        )
    client.set_registered_model_alias("iris to see", "champion", "2")
    for text in ("Hello {{name}}", "Good day {{name}}"):
        client.register_prompt("greeting-to-see", text)
    visit("models", "models", "iris to see", "champion")
    visit("model", "models/iris%20to%20see", "a model in words", "Version 2", "champion")
    visit("version", "models/iris%20to%20see/versions/2", "version 2", "run behind")
    visit("prompts", "prompts", "greeting-to-see")
    visit("prompt", "prompts/greeting-to-see", "Good day")
    asked, proxied = _asked(browser, server)
    assert asked >= {
        "/ajax-api/2.0/mlflow/registered-models/search",
        "/ajax-api/2.0/mlflow/registered-models/get",
        "/ajax-api/2.0/mlflow/model-versions/search",
    }
    assert "/model-versions/get-artifact" in asked
    assert not proxied - set(_PROXIED), "asked of Python"


def test_classic_pages_wake_no_python(server: Server, browser: webdriver.Chrome, visit: _Visitor) -> None:
    client = MlflowClient(server.url)
    experiment, runs, models = _train(client)
    listed, only = quote(json.dumps(runs)), quote(json.dumps([experiment]))
    here = f"experiments/{experiment}"
    visit("experiments", "experiments", "seen in the browser", "Default")
    visit("overview", here, "seen in the browser")
    visit("runs", f"{here}/runs", "run 0 to see", "run 1 to see", "run 2 to see", "iris")
    visit("charts", f"{here}/runs?compareRunsMode=CHART", "loss", drawn=_DRAWN)
    visit(
        "run", f"{here}/runs/{runs[0]}", "run 0 to see", "learning_rate", "0.125", "loss", "Finished", "iris"
    )
    visit("chart", f"{here}/runs/{runs[0]}/model-metrics", "loss", drawn=_DRAWN)
    visit("artifacts", f"{here}/runs/{runs[0]}/artifacts", "run 0 to see")
    visit(
        "compare",
        f"compare-runs?runs={listed}&experiments={only}",
        "learning_rate",
        "0.125",
        "0.5",
        "run 2 to see",
    )
    plot = f"plot_metric_keys={quote(json.dumps(['loss']))}&plot_layout={quote('{}')}&x_axis=step"
    visit(
        "metric",
        f"metric?runs={listed}&metric=%22loss%22&experiments={only}&{plot}",
        "Points",
        "loss",
        drawn=_DRAWN,
    )
    visit("models", f"{here}/models", "model-0", "model-2")
    visit("model", f"{here}/models/{models[1]}", "model-1", "depth", "12", "loss")
    visit(
        "experiments-compared",
        f"compare-experiments/s?experiments={quote(json.dumps([experiment, '0']))}",
        "run 1 to see",
    )

    asked, proxied = _asked(browser, server)
    assert asked >= {"/graphql", "/ajax-api/2.0/mlflow/runs/search"}
    assert not proxied - set(_PROXIED), "asked of Python"
    assert not set(_PROXIED) - proxied, "native or not asked for by now: take these out of _PROXIED"
