"""The examples of docs/ run and do what they promise."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
import torch
from paths import ROOT

from gsplat_core.compat.install import REPLACEMENTS
from tools import docs_pages
from trainers.commands import commands

PAGES = sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = [
    pytest.param(page.name, example, id=f"{page.stem}{i}")
    for page in PAGES
    for i, example in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S))
]


@pytest.fixture(autouse=True)
def _names_of_others() -> Iterator[None]:
    """What an example serves under the names of other packages is gone afterwards."""
    yield
    for modules in REPLACEMENTS.values():
        for alias in modules:
            sys.modules.pop(alias, None)


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
    made = {"commands.md", "contributing.md", *docs_pages.api()}
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert link in made or (page.parent / link).exists(), f"{page.name}: {link}"


def test_commands_have_the_options_that_pages_name() -> None:
    known = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", docs_pages.commands(), re.M | re.S))
    texts = {page.name: page.read_text() for page in PAGES} | {"README.md": README}
    named = [
        (name, *found)
        for name, text in texts.items()
        for found in re.findall(r"(?:^ {4,}|`)gsplat-core ([a-z]+)([^`\n#]*)", text, re.M)
    ]
    assert len(named) > 40
    foreign = {"--iterations"}  # migrating.md tells what is answered
    wrong = [
        f"{name}: {command} {option}"
        for name, command, rest in named
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest)
        if option not in foreign and not re.search(rf"{option}\b", known.get(command, ""))
    ]
    assert wrong == []


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert len(listed) == len(set(listed))
    assert {page.name for page in PAGES} == {name for name in listed if (ROOT / "docs" / name).exists()}
    assert {"commands.md", "contributing.md", "api/index.md"} <= set(listed)


def test_the_reference_has_every_command_and_every_module() -> None:
    text = docs_pages.commands()
    assert re.findall(r"^## (\w+)$", text, re.M) == list(commands())
    assert "--preset" in text
    pages = "\n".join(docs_pages.api().values())
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "gsplat_core").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert modules == set(re.findall(r"^::: (\S+)$", pages, re.M))


RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()
README = (ROOT / "README.md").read_text()
PROMISES = README.partition("## What you can rely on")[2].partition("\n## ")[0]


def items(text: str) -> list[str]:
    """The entries of lists and the rows of tables, without the tables' heads."""
    entries = re.findall(r"^- (.*?)(?=^- |^$|\Z)", text, re.M | re.S)
    return entries + re.findall(r"^\| (?!what \|)(.*)\|$", text, re.M)


def test_every_promise_names_a_test() -> None:
    promises = items(RELIABILITY)
    assert len(promises) > 30
    assert [promise for promise in promises if "::test_" not in promise] == []
    assert [promise for promise in items(PROMISES) if "`tests/" not in promise] == []


def test_tests_that_promises_name_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", RELIABILITY + PROMISES)
    assert len(named) > 40
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or (test and f"def {test}(" not in (ROOT / file).read_text())
    ]
    assert missing == []
    targets = set(re.findall(r"`make (\w+)`", RELIABILITY + PROMISES))
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
