"""The examples of docs/ run and do what they promise."""

from __future__ import annotations

import re

import pytest
import torch
from paths import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = [
    pytest.param(page.name, example, id=f"{page.stem}{i}")
    for page in PAGES
    for i, example in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S))
]


def run(name: str, example: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(example, name, "exec"), names)
    return names


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_examples_run(name: str, example: str) -> None:
    names = run(name, example)
    if name == "forward_mode.md":
        error = names["error"]
        assert isinstance(error, torch.Tensor)
        assert error < 1e-4


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
