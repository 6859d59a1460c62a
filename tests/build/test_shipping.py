"""Dockerfile and .github/workflows/wheels.yml name what is there."""

from __future__ import annotations

import fnmatch
import re

from paths import ROOT

DOCKER = (ROOT / "Dockerfile").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()


def test_docker_gets_the_pytorch_that_is_tested() -> None:
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.M)
    assert DOCKER.count("grep '^torch=='") == 2


def test_docker_is_given_all_that_the_wheel_is_made_of() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for name in ("csrc", "gsplat_core", "trainers", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        assert (ROOT / name).exists()
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)


def test_wheels_are_those_that_the_documentation_tells() -> None:
    names = re.findall(r"name: ([\w-]+), machine", WORKFLOW)
    assert names == ["manylinux-x86-64", "manylinux-aarch64", "macos-arm64"]
    told = (ROOT / "docs" / "installing.md").read_text()
    assert all(word in told for word in ("x86-64", "aarch64", "macOS", "Windows"))
    assert "manylinux_2_28" in PROJECT
    assert '[tool.cibuildwheel]\nbuild = "cp312-*"' in PROJECT
