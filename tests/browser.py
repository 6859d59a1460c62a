"""A browser for tests of pages: Chromium, driven by Playwright, drawing in software.

Tests skip where either is not on the machine.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

OPTIONS = (
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)  # fmt: skip
NO_WEBGL = ("--no-sandbox", "--disable-3d-apis", "--disable-background-networking")
SECONDS = 60


class Tab:
    """A page in the browser.

    Args:
        page: Playwright's.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        """The addresses of all requests."""
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def open(self, address: str) -> None:
        """Opens an address, and waits until the page says that it is ready."""
        self.page.goto(address)
        self.wait("document.body.dataset.ready === 'yes'")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true. Asked from here: pages of ours evaluate no text."""
        for _ in range(SECONDS * 10):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never: {condition}; {self.errors}")

    def picture(self) -> np.ndarray:
        """[H, W, 3] of the left two thirds of the window, in [0, 1]."""
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        shown: np.ndarray = np.asarray(image, dtype=np.float32)[:, : image.width * 2 // 3] / 255
        return shown

    def settled(self) -> np.ndarray:
        """`picture`, once it hardly changes any more."""
        before = self.picture()
        for _ in range(20):
            self.page.wait_for_timeout(150)
            after = self.picture()
            still = np.abs(before - after).mean() < 1e-3
            before = after
            if still:
                break
        return before

    def drag(self, across: int, down: int = 0) -> None:
        """Drags from the middle of the left half."""
        mouse, size = self.page.mouse, self.page.viewport_size
        x, y = size["width"] // 4, size["height"] // 2
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + across, y + down, steps=3)
        mouse.up()


@contextmanager
def tab(width: int = 640, height: int = 400, options: tuple[str, ...] = OPTIONS) -> Iterator[Tab]:
    """An empty page."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=[*options])
        yield Tab(browser.new_page(viewport={"width": width, "height": height}))
        browser.close()


def local(asked: list[str], origin: str) -> bool:
    """Whether all requests went to an origin, or nowhere."""
    return all(address.startswith((origin, "blob:", "data:")) for address in asked)
