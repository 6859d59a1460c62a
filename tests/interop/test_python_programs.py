"""gaussforge and gsply, libraries of PyPI, and this program read each other's files to the same numbers.

What they write is compared with how they read it themselves: some of their writers lose more than the format
does, which is theirs to mend.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypi_packages import PyPI
from splat_files import assert_within, scene_of, trained_scene

from gsplat_core.io import load, save
from gsplat_core.scene.gaussians import Gaussians

# Each: file and target; saves what it decodes.
READ = {
    "gaussforge": """
import sys
import gaussforge, numpy
file, form, target = sys.argv[1:]
result = gaussforge.GaussForge().read(open(file, 'rb').read(), form)
assert 'error' not in result, result
columns = {name: data for name, data in result['data'].items() if isinstance(data, bytes)}
numpy.savez(target, **{name: numpy.frombuffer(data, '<f4') for name, data in columns.items()})
""",
    "gsply": """
import sys
import gsply, numpy
file, form, target = sys.argv[1:]
scene = gsply.read_spz(file) if form == 'spz' else gsply.plyread(file)
rest = numpy.zeros(0) if scene.shN is None else scene.shN
numpy.savez(target, positions=scene.means, scales=scene.scales, rotations=scene.quats, alphas=scene.opacities,
            colors=scene.sh0, sh=rest)
""",
}
# Each: PLY, format, version of SPZ, and target.
WRITE = {
    "gaussforge": """
import sys
import gaussforge
file, form, version, target = sys.argv[1:]
result = gaussforge.GaussForge().convert(open(file, 'rb').read(), 'ply', form, spz_version=int(version))
assert 'error' not in result, result
open(target, 'wb').write(result['data'])
""",
    "gsply": """
import sys
import gsply
file, form, version, target = sys.argv[1:]
scene = gsply.plyread(file)
if form == 'spz':
    gsply.write_spz(target, scene, version=int(version))
else:
    gsply.plywrite(target, scene, compressed=form == 'compressed.ply')
""",
}
# Format, version where there are several. These programs keep the axes of an .spz as they are.
SPZ = [("spz", 2), ("spz", 3), ("spz", 4)]
THEY_READ = {"gaussforge": [("ply", 0), ("compressed.ply", 0), ("sog", 0), *SPZ]}
THEY_READ["gsply"] = [("ply", 0), ("compressed.ply", 0), *SPZ]
THEY_WRITE = {"gaussforge": [*THEY_READ["gaussforge"], ("ksplat", 0)]}
THEY_WRITE["gsply"] = [("ply", 0), ("compressed.ply", 0), *SPZ[1:]]
# gaussforge reads no file without view-dependent colour.
DEGREES = {"gaussforge": (1, 3), "gsply": (0, 3)}
# How far two decoders of the same bytes may be apart: arithmetic.
DECODING = {"means": 1e-4, "scales": 1e-5, "sh0": 1e-5, "shN": 1e-5, "alpha": 1e-5, "degrees": 0.01}


def options(form: str, version: int) -> dict[str, Any]:
    return {"spz": {"axes": "ply", "version": version}, "sog": {"palette": 256}}.get(form, {})


def read_by_us(path: Path, form: str) -> Gaussians:
    return load(path, **({"axes": "ply"} if form == "spz" else {}))


def read_by_them(pypi: PyPI, program: str, path: Path, form: str) -> Gaussians:
    target = path.with_suffix(".npz")
    pypi.script(READ[program], path, form, target)
    with np.load(target) as columns:
        return scene_of(columns, "wxyz")


@pytest.mark.parametrize(
    ("program", "form", "version", "degree"),
    [
        (program, *form, degree)
        for program, forms in THEY_READ.items()
        for form in forms
        for degree in DEGREES[program]
    ],
)
def test_they_read_what_we_write(
    tmp_path: Path, pypi: PyPI, program: str, form: str, version: int, degree: int
) -> None:
    path = tmp_path / f"a.{form}"
    save(path, trained_scene(300, degree), **options(form, version))
    assert_within(read_by_us(path, form), read_by_them(pypi, program, path, form), DECODING)


@pytest.mark.parametrize(
    ("program", "form", "version"),
    [(program, *form) for program, forms in THEY_WRITE.items() for form in forms],
)
def test_we_read_what_they_write(tmp_path: Path, pypi: PyPI, program: str, form: str, version: int) -> None:
    degree = 1 if form == "ksplat" else 3  # beyond, gaussforge orders its coefficients as nobody else does
    original = trained_scene(300, degree)
    save(tmp_path / "original.ply", original)
    path = tmp_path / f"a.{form}"
    pypi.script(WRITE[program], tmp_path / "original.ply", form, version, path)
    ours = read_by_us(path, form)
    assert (ours.num, ours.sh_degree) == (300, degree)
    assert_within(ours, read_by_them(pypi, program, path, form), DECODING)


def test_we_read_their_splat(tmp_path: Path, pypi: PyPI) -> None:
    """gaussforge writes .splat but does not read it: our reading is compared with the scene."""
    original = trained_scene(300, 0)
    original.sh0.clamp_(-1.7, 1.7)  # beyond, colours are clipped
    save(tmp_path / "original.ply", original)
    pypi.script(WRITE["gaussforge"], tmp_path / "original.ply", "splat", 0, tmp_path / "a.splat")
    bounds = {"scales": 1e-5, "sh0": 1 / (255 * 0.282), "alpha": 1 / 255, "degrees": 2.0}
    assert_within(original, load(tmp_path / "a.splat"), bounds)
