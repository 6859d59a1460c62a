"""The viewer's page in a browser: it draws, it turns, and it follows a training."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from rich.console import Console
from splat_files import typical_scene

from gsplat_core.scene.dataset import Dataset
from trainers import session
from trainers.camera_paths import orbit_of_cameras
from trainers.config import TrainConfig
from trainers.keyed_path import KeyedPath
from trainers.observer import Observer
from trainers.run_folder import RunFolder
from trainers.trainer import Trainer
from trainers.viewer.following import Following
from trainers.viewer.server import Viewer
from trainers.viewer.subject import Subject


@pytest.fixture(scope="module")
def viewer(tiny_scene: Path) -> Iterator[Viewer]:
    dataset = Dataset.load(tiny_scene)
    scene = typical_scene(200, 1)
    orbit = orbit_of_cameras([view.camera for view in dataset.train])
    viewer = Viewer(Subject("tiny", "tiny", scene, orbit, dataset.train), "127.0.0.1", 8765)
    yield viewer
    viewer.stop()


def origin_of(address: str) -> str:
    return "{0.scheme}://{0.netloc}/".format(urlsplit(address))


def test_it_draws_turns_compares_and_saves_paths(viewer: Viewer, tmp_path: Path) -> None:
    with browser.tab(520, 300) as tab:
        tab.open(viewer.url)
        page = tab.page
        first = tab.settled()
        assert first.std() > 0.02
        # The server's picture of the same is the same.
        page.evaluate("document.getElementById('photographs').open = true")
        page.uncheck('[data-set="frusta"]')
        drawn = tab.settled()
        page.select_option('[data-set="drawnBy"]', "server")
        tab.wait("Number(document.body.dataset.pictures) >= 2")
        assert np.square(tab.settled() - drawn).mean() < 1e-3
        page.select_option('[data-set="drawnBy"]', "browser")
        tab.drag(80)
        second = tab.settled()
        assert np.abs(second - drawn).mean() > 0.01
        # A path through where one was and where one is goes into a file that render takes.
        page.evaluate("document.getElementById('path').open = true")
        page.click('#path [data-do="add"]')
        tab.drag(0, 40)
        tab.settled()
        page.click('#path [data-do="add"]')
        with page.expect_download() as saved:
            page.click('#path [data-do="save"]')
        saved.value.save_as(tmp_path / "path.json")
        with page.expect_download() as saved:
            page.click('[data-do="screenshot"]')
        assert saved.value.suggested_filename == "tiny.png"
        page.click("#stage", position={"x": 130, "y": 150}, modifiers=["Shift"])
        tab.wait("/^(Gaussian|There is nothing)/.test(document.getElementById('picked').textContent)")
        page.click(".thumbnails button >> nth=1")
        tab.wait("[...document.querySelectorAll('#compare img')].every((i) => i.complete && i.naturalWidth)")
    assert not tab.errors
    assert browser.local(tab.asked, origin_of(viewer.url))
    path = KeyedPath.read(tmp_path / "path.json")
    assert len(path.keys) == 2
    assert np.abs(path.keys[0] - path.keys[1]).max() > 0.1
    assert len(path.cameras(3, tmp_path / "path.json")) == 3


def test_a_browser_without_webgl_gets_pictures(viewer: Viewer) -> None:
    with browser.tab(options=browser.NO_WEBGL) as tab:
        tab.open(viewer.url)
        tab.wait("Number(document.body.dataset.pictures) >= 2")
        first = tab.settled()
        assert first.std() > 0.02
        before = tab.page.evaluate("document.body.dataset.pictures")
        tab.drag(80)
        tab.wait(f"Number(document.body.dataset.pictures) > {before}")
        assert np.abs(tab.settled() - first).mean() > 0.01
    assert not [error for error in tab.errors if "WebGL" not in error]
    assert browser.local(tab.asked, origin_of(viewer.url))


class Patient(Observer):
    """Leaves a page the time to look at a training that would be over at once."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def passed(self, trainer: Trainer, loss: float, psnr: float) -> None:
        self.opened.wait(60)
        if trainer.step % 10 == 0:
            time.sleep(1.2)

    def close(self) -> None:
        time.sleep(2.5)


def test_it_follows_a_training(config: TrainConfig, tmp_path: Path) -> None:
    told: list[str] = []
    observers = [patient := Patient(), Following("127.0.0.1", 8765, told.append)]
    arguments = (config, RunFolder(tmp_path / "run"), Console(quiet=True))
    thread = threading.Thread(target=session.train, args=arguments, kwargs={"observers": observers})
    thread.start()
    while not told and thread.is_alive():
        time.sleep(0.05)
    address = told[0].split()[-1]
    steps = set()
    with browser.tab(520, 300) as tab:
        tab.open(address)
        patient.opened.set()
        while thread.is_alive():
            steps.add(int(tab.page.evaluate("document.body.dataset.step")))
            tab.page.wait_for_timeout(200)
        text, version = tab.page.inner_text(".numbers"), tab.page.evaluate("document.body.dataset.version")
    assert len(steps) >= 3
    assert max(steps) == 40
    assert "finished, step 40 of 40" in text
    assert int(version) >= 2  # the scene was another one than at first
    assert browser.local(tab.asked, origin_of(address))
