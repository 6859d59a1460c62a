"""How csrc becomes a library: csrc/build_ops.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code that may import build_ops."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "csrc"), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)


def test_finds_pytorch_without_importing_it() -> None:
    result = run("import sys, build_ops; print(build_ops.find_torch()); sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr
    assert (Path(result.stdout.strip()) / "include" / "torch" / "csrc" / "stable").is_dir()


def test_finds_the_environments_pytorch_when_imports_are_isolated() -> None:
    # As in pip's isolated builds: site-packages is not importable, yet the interpreter belongs to it.
    result = run("import sys, sysconfig; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
                 "import build_ops; print(build_ops.find_torch())")  # fmt: skip
    assert "torch" in result.stdout, result.stderr


@pytest.mark.parametrize(("version", "usable"), [("2.9.1", False), ("2.10.0+cpu", True), ("3.0.0a0", True)])
def test_pytorch_must_be_new_enough(tmp_path: Path, version: str, usable: bool) -> None:
    torch = tmp_path / "torch"
    (torch / "include" / "torch" / "csrc" / "stable").mkdir(parents=True)
    (torch / "version.py").write_text(f"__version__ = '{version}'\n")
    (torch / "__init__.py").write_text("")
    code = "import sys, sysconfig; sysconfig.get_path = lambda kind: '/nowhere'\n"
    code += f"sys.path.insert(0, {str(tmp_path)!r}); import build_ops; print(build_ops.find_torch())"
    assert run(code).stdout.strip() == (str(torch) if usable else "None")


def test_a_missing_compiler_is_named_with_the_remedy() -> None:
    result = run("import build_ops; build_ops.find_compiler()", CXX="no-such-compiler -O1")
    assert result.returncode == 1
    assert "no-such-compiler" in result.stderr
    assert "apt install g++" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_compiler_without_cxx20_is_named_with_the_remedy(tmp_path: Path) -> None:
    compiler = tmp_path / "c++98"
    compiler.write_text("#!/bin/sh\necho \"error: unrecognized option '-std=c++20'\" >&2\nexit 1\n")
    compiler.chmod(0o755)
    result = run("import build_ops; build_ops.find_compiler()", CXX=str(compiler))
    assert result.returncode == 1
    assert "c++98" in result.stderr
    assert "GCC 10" in result.stderr
    assert "unrecognized option" in result.stderr


def test_the_build_backend_asks_for_pytorch_only_where_there_is_none() -> None:
    code = "import build_backend, build_ops\n{}print(build_backend.get_requires_for_build_wheel())"
    assert "torch" not in run(code.format("")).stdout
    constraint = (ROOT / "constraints.txt").read_text().splitlines()[-1]
    assert constraint.startswith("torch==")
    assert constraint in run(code.format("build_ops.find_torch = lambda: None\n")).stdout
