"""Whatever a message, help text or page of documentation tells people to type exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from paths import ROOT

from trainers.cli import main
from trainers.commands import COMMANDS, commands

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+(?![a-z\0-])")
SOURCES = sorted(path for folder in ("gsplat_core", "trainers") for path in (ROOT / folder).rglob("*.py"))
OWN = {"--help", "--version"}


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each command, from its own help."""
    return {name: set(OPTION.findall(_help(name))) for name in commands()}


@cache
def _help(command: str) -> str:
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        main([command, "--help"])
    return text.getvalue()


def texts(path: Path) -> list[str]:
    """All strings of a module; of those with parts to be filled in, the fixed parts in one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in joined for part in node.values}
    whole = ["".join(_fixed(part) for part in node.values) for node in joined]
    single = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in inside]
    return whole + [node.value for node in single if isinstance(node.value, str)]


def _fixed(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "\0"


def named(text: str) -> set[str]:
    """The options of this program in a text; those of other programs stand behind their names."""
    if re.match(r"(usage: )?(pip|nvidia-smi|colmap|git) |--query", text):
        return set()
    return set(OPTION.findall(text)) - OWN


def test_the_scan_finds_what_it_looks_for() -> None:
    found = set().union(*(named(text) for path in SOURCES for text in texts(path)))
    assert {"--exif-rotate", "--images", "--masks", "--downscale", "--resume"} <= found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_options_in_texts_exist(path: Path, options: dict[str, set[str]]) -> None:
    known = set().union(*options.values())
    for text in texts(path):
        assert named(text) <= known, text


ADVISED = {"doctor": {"--downscale"}, "stream": {"--frame"}, "sfm": {"--optimize-poses"}}
"""By command, options of the commands that it tells to go on with."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_its_own_options(command: str, options: dict[str, set[str]]) -> None:
    module = ROOT / (COMMANDS[command].module.replace(".", "/") + ".py")
    for text in texts(module):
        assert named(text) <= options[command] | ADVISED.get(command, set()), text


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_texts_exist(path: Path) -> None:
    for text in texts(path):
        for name in re.findall(r"`gsplat-core ([a-z]+)", text):
            assert name in commands(), text


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_command_lines_of_the_documentation_exist(page: str, options: dict[str, set[str]]) -> None:
    file = ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page
    for name, rest in re.findall(r"^ {4}gsplat-core ([a-z]+)(.*)$", file.read_text(encoding="utf-8"), re.M):
        assert name in commands()
        assert set(OPTION.findall(rest.split("#")[0])) <= options[name], rest
