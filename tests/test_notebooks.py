"""The notebooks run from top to bottom and do what they say."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def executed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The names that a notebook leaves behind, run in a folder that lies like its own. What a cell ends with,
    which Jupyter would show, is in the list `shown`."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    names: dict[str, Any] = {}
    shown = []
    for cell in json.loads(request.param.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, request.param.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = compile(ast.Expression(last.value), request.param.name, "eval")
            shown.append(eval(value, names))
    return {**names, "shown": shown}


def of(name: str) -> Any:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    assert path in NOTEBOOKS
    return pytest.mark.parametrize("executed", [path], indirect=True, ids=[name])


def test_each_of_them_is_tested() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["differentiate", "train_and_look"]


@of("train_and_look")
def test_a_scene_is_trained_and_shown(executed: dict[str, Any]) -> None:
    assert executed["metrics"]["psnr"] > 14
    pictures = [value for value in executed["shown"] if value is not None]
    camera = executed["view"].camera
    assert pictures[-1].size == (2 * camera.width, camera.height)
    assert len(set(pictures[-1].getdata())) > 1000
    assert (executed["run"].path / "scene.html").exists()


@of("differentiate")
def test_gaussians_and_a_camera_are_fitted(executed: dict[str, Any]) -> None:
    assert executed["losses"][-1] < 0.1 * executed["losses"][0]
    assert executed["errors"][-1] < 0.1 * executed["errors"][0]


def test_import_gsplat_is_all_that_another_notebook_changes() -> None:
    """The cells of `differentiate`, with gsplat's name for the rasterizer."""
    cells = json.loads((ROOT / "notebooks" / "differentiate.ipynb").read_text())["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    ours = "from gsplat_core import rasterization"
    assert source.count(ours) == 1
    begin = (
        "from gsplat_core.compat import install_as; install_as('gsplat')\nfrom gsplat import rasterization"
    )
    code = source.replace(ours, begin) + "\nassert losses[-1] < 0.1 * losses[0]"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "notebooks"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_an_earlier_run_is_kept(path: Path) -> None:
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
