"""gsplat_core/compat/install.py: our modules under other packages' names, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from paths import ROOT

from gsplat_core.compat import install_as
from gsplat_core.errors import UsageError


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_gsplat() -> None:
    code = """
from gsplat_core.compat import install_as
assert install_as("gsplat") is install_as("gsplat")
import gsplat
from gsplat import rasterization
from gsplat.rendering import rasterization as same
assert rasterization is same is gsplat.rendering.rasterization
print(rasterization.__module__, gsplat.__version__)
"""
    assert run(code) == "gsplat_core.compat.gsplat 1.5.3"


def test_diff_gaussian_rasterization() -> None:
    code = """
import gsplat_core.compat
gsplat_core.compat.install_as("diff_gaussian_rasterization")
from diff_gaussian_rasterization import GaussianRasterizationSettings, GaussianRasterizer
print(GaussianRasterizer.__module__)
"""
    assert run(code) == "gsplat_core.compat.inria"


def test_simple_knn_and_fused_ssim() -> None:
    code = """
import torch
from gsplat_core.compat import install_as
install_as("simple_knn"), install_as("fused_ssim")
from simple_knn._C import distCUDA2
from fused_ssim import fused_ssim
image = torch.ones(1, 3, 16, 16)
print(distCUDA2(torch.eye(3).repeat(2, 1) * 2)[0].item(), fused_ssim(image, image).item())
"""
    nearest, similarity = map(float, run(code).split())
    assert nearest == pytest.approx((0 + 8 + 8) / 3)
    assert similarity == pytest.approx(1.0)


def test_the_original_is_not_replaced_once_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ModuleType("gsplat")
    monkeypatch.setitem(sys.modules, "gsplat", original)
    with pytest.raises(UsageError, match="'gsplat' is imported already"):
        install_as("gsplat")
    assert sys.modules["gsplat"] is original
    assert "gsplat.rendering" not in sys.modules


def test_other_names_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match="no replacement for 'nerfacc', only for gsplat, diff_gaussian_rasterization, simple_knn",
    ):
        install_as("nerfacc")
