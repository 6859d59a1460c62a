"""What README.md and CONTRIBUTING.md say is true: examples run, and what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from paths import ROOT

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example{i}" for i in range(len(EXAMPLES))])
def test_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert len(names) > 3


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([\w-]+)", README + CONTRIBUTING, re.MULTILINE))
    assert {"demo", "test", "sanitize"} <= named
    assert named <= targets


def test_commands_and_presets_exist() -> None:
    from trainers.commands import commands
    from trainers.presets import PRESETS

    named = set(re.findall(r"gsplat-core ([a-z]+)", README + CONTRIBUTING))
    assert {"train", "export", "doctor"} <= named
    assert named <= set(commands())
    assert set(re.findall(r"--preset (\w+)", README)) <= set(PRESETS)


def test_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README + CONTRIBUTING)
    folders = "csrc|gsplat_core|trainers|tests|tools|densify|io|cpu|ops"
    paths = re.findall(rf"`((?:{folders})/[\w./]+)`", CONTRIBUTING)
    paths = [path for path in paths if "NAME" not in path]
    assert links
    assert len(paths) > 8
    homes = (ROOT, ROOT / "gsplat_core", ROOT / "csrc")
    assert [path for path in [*links, *paths] if not any((home / path).exists() for home in homes)] == []


def test_layout_is_the_tree() -> None:
    block = re.search(r"## How it is laid out\n\n(.*?)\n\n", README, re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        name = line.split()[0]
        home = ROOT / "gsplat_core" if line.startswith("      ") else ROOT
        assert (home / name).is_dir(), name
