"""Whether and how the CUDA backend is built: csrc/build_cuda.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from paths import ROOT

sys.path.insert(0, str(ROOT / "csrc"))
import build_cuda
from build_cuda import CudaBuild, architectures

KNOWN = {"75", "80", "86", "90", "90a"}


@pytest.fixture
def toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvcc of CUDA 12.4 that knows four generations of GPUs, and nothing else of CUDA on the machine."""
    for name in ("GSPLAT_CUDA", "TORCH_CUDA_ARCH_LIST", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    known = " ".join(f"compute_{name}" for name in sorted(KNOWN))
    nvcc.write_text(f"""#!/bin/sh
case $1 in
--version) echo "Cuda compilation tools, release 12.4, V12.4.99" ;;
--list-gpu-arch) echo "{known}" ;;
--dryrun) echo '#$ INCLUDES="-I/there/include"  ' >&2; echo '#$ LIBRARIES="-L/there/lib"' >&2 ;;
esac
""")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    return tmp_path / "cuda"


def torch_folder(folder: Path, cuda: str | None) -> Path:
    folder.mkdir()
    (folder / "version.py").write_text(
        f"__version__ = '2.10.0'\ncuda: Optional[str] = {cuda!r}\nhip: Optional[str] = None\n"
    )
    return folder


def test_it_is_built_where_pytorch_has_cuda_and_nvcc_is_there(toolkit: Path, tmp_path: Path) -> None:
    build = CudaBuild.wanted(torch_folder(tmp_path / "torch", "12.4"))
    assert build is not None
    assert build.version == (12, 4)
    assert str(build) == "CUDA 12.4 for 7.5 8.0 8.6 9.0+PTX"
    command = build.command("ccache c++")
    assert command.startswith(f"{toolkit}/bin/nvcc -ccbin c++ ")
    assert re.findall(r",code=(\w+)", command) == ["sm_75", "sm_80", "sm_86", "sm_90", "compute_90"]
    assert (build.includes, build.libraries.split()[:2]) == (
        '"-I/there/include"',
        ['"-L/there/lib"', "-lcudart_static"],
    )


def test_it_is_left_out_for_a_pytorch_without_cuda_unless_asked_for(
    toolkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = torch_folder(tmp_path / "torch", None)
    assert CudaBuild.wanted(torch) is None
    monkeypatch.setenv("GSPLAT_CUDA", "1")
    assert CudaBuild.wanted(torch) is not None


def test_it_can_be_left_out(toolkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSPLAT_CUDA", "0")
    assert CudaBuild.wanted(torch_folder(tmp_path / "torch", "12.4")) is None


def test_asking_for_it_without_nvcc_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_cuda, "find_nvcc", lambda: None)
    torch = torch_folder(tmp_path / "torch", "12.4")
    monkeypatch.delenv("GSPLAT_CUDA", raising=False)
    assert CudaBuild.wanted(torch) is None
    monkeypatch.setenv("GSPLAT_CUDA", "1")
    with pytest.raises(SystemExit, match="Install the CUDA toolkit"):
        CudaBuild.wanted(torch)


@pytest.mark.parametrize("text", ["8.6;9.0+PTX", "8.6 9.0+PTX", "8.6, 9.0+PTX"])
def test_architectures_are_those_of_the_environment(text: str) -> None:
    assert architectures(text, KNOWN) == (("86", False), ("90", True))


def test_architectures_may_be_specific() -> None:
    assert architectures("9.0a", KNOWN) == (("90a", False),)


@pytest.mark.parametrize("text", ["Hopper", "9", "12.0"])
def test_an_architecture_that_cannot_be_built_for_is_named(text: str) -> None:
    with pytest.raises(SystemExit, match="TORCH_CUDA_ARCH_LIST has"):
        architectures(text, KNOWN)
