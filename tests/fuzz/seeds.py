"""Files to begin fuzzing with: small sound ones of every kind, and those that attackers make."""

from __future__ import annotations

import functools
import io
import json
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from damage import CASES, in_gsz, rezipped
from paths import ROOT
from PIL import Image
from residual_files import BEFORE, made_up, saved_after_another, write_after
from splat_files import typical_scene

from gsplat_core.io import gsz
from gsplat_core.scene.gaussians import Gaussians

sys.path.append(str(ROOT / "tests" / "scene"))
from tiny_scene import TinyScene
from transforms_files import document

COLMAP_FILES = [f"{name}.{ending}" for ending in ("bin", "txt") for name in ("cameras", "images", "points3D")]

DEEP_JSON = b"[" * 3000
LONG_NUMBER = b'{"count": ' + b"9" * 400 + b"}"


def splats(*cases: str) -> list[bytes]:
    """A file for each case and SH degree, and hostile ones of that ending."""
    scenes = [typical_scene(5, degree) for degree in (0, 1)]
    scenes.append(typical_scene(5, 0).with_metadata(antialiased=True, offset=(1.0, 2.0, 3.0)))
    files = [
        _written(case, scene) for case in cases for scene in scenes if scene.sh_degree <= CASES[case].degree
    ]
    return files + list(_HOSTILE.get(CASES[cases[0]].name, lambda: iter(()))())


def _written(case: str, scene: Gaussians) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CASES[case].name
        CASES[case].write(path, scene)
        return path.read_bytes()


@functools.cache
def frames() -> tuple[dict[str, bytes], list[bytes]]:
    """The files that frames follow, by name, and frames, one of which follows none of them."""
    with tempfile.TemporaryDirectory() as folder:
        before, path = Path(folder) / BEFORE, Path(folder) / "a.gsz"
        saved_after_another(path, typical_scene(40, 1))
        further = write_after(Path(folder) / "b.gsz", path, made_up(gsz.load(path), seed=1))
        beside = {name.name: name.read_bytes() for name in (before,)}
        return beside, [path.read_bytes(), further.read_bytes()]


def _plys() -> Iterator[bytes]:
    scene = typical_scene(3, 0)
    scene.extras = {"label": torch.arange(3), "pair": torch.ones(3, 2, dtype=torch.uint8)}
    binary = _written("ply", scene)
    yield binary
    yield binary.replace(b"extra pair uint8 2", b"extra pair uint8 99999 99999")
    head, _, body = _written("ply", typical_scene(2, 0)).partition(b"end_header\n")
    rows = np.frombuffer(body, "<f4").reshape(2, -1)
    lines = "\n".join(" ".join(map(str, row)) for row in rows)
    text = head.replace(b"binary_little_endian", b"ascii") + b"end_header\n" + lines.encode() + b"\n"
    yield text
    yield text.replace(b"\n", b"\r")
    yield text.replace(
        b"element vertex", b"element face 1\nproperty list uchar int i\nelement vertex"
    ).replace(b"end_header\n", b"end_header\n3 0 1 2\n")
    yield head.replace(b"little", b"big") + b"end_header\n" + rows.astype(">f4").tobytes()
    yield head.replace(b"property float x", b"property double x") + b"end_header\n" + body


def _bombs_in_zip() -> Iterator[bytes]:
    whole = _written("sog", typical_scene(5, 1))
    yield rezipped(whole, {"meta.json": DEEP_JSON})
    yield rezipped(whole, {"meta.json": LONG_NUMBER})
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", method) as archive:
            archive.writestr("meta.json", b" " * 100_000)
        yield target.getvalue()


def _lying_gsz() -> Iterator[bytes]:
    whole = _written("gsz scalar", typical_scene(5, 1))
    header, put_back = in_gsz(whole)[0]
    yield put_back(header.replace(b'"count":5', b'"count":900000000'))
    yield put_back(DEEP_JSON)


def _sharing_gltf() -> Iterator[bytes]:
    """Many nodes that show one mesh."""
    tree = json.loads(_written("gltf", typical_scene(5, 0)))
    tree["nodes"] *= 50
    tree["scenes"] = [{"nodes": list(range(50))}]
    yield json.dumps(tree).encode()
    yield DEEP_JSON


_HOSTILE = {"a.ply": _plys, "a.sog": _bombs_in_zip, "a.gsz": _lying_gsz, "a.gltf": _sharing_gltf}


def point_clouds() -> list[bytes]:
    head = b"ply\nformat %s 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    colors = b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    rows = np.zeros(2, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    return [
        head % b"binary_little_endian" + colors + rows.tobytes(),
        head % b"ascii" + colors + b"0 1 2 255 0 9\n1.5 -2e3 nan 1 2 3\n",
        head % b"ascii" + b"end_header\n0 1 2\n3 4 5\n",
    ]


@functools.cache
def colmap(file: str) -> dict[str, bytes]:
    """The model that a file belongs to, by name."""
    return TinyScene().files(file.rpartition(".")[2])


def transforms() -> list[bytes]:
    full = document(3, ply_file_path="points3D.ply", test_filenames=["images/0.png"], k1=0.1, k2=0.01)
    synthetic = {"camera_angle_x": 0.7, "frames": document()["frames"]}
    return [json.dumps(tree).encode() for tree in (document(), full, synthetic)] + [DEEP_JSON, LONG_NUMBER]


def metashape() -> list[bytes]:
    pose = "1 0 0 1 0 1 0 2 0 0 1 3 0 0 0 1"
    cameras = "".join(
        f'<camera id="{number}" sensor_id="0" component_id="0" label="{label}"><transform>{pose}</transform>'
        "</camera>"
        for number, label in enumerate(("a", "grey"))
    )
    move = "<transform><rotation>1 0 0 0 1 0 0 0 1</rotation><scale>2</scale></transform>"
    return [
        f"<document><chunk><sensors><sensor id='0' type='{kind}'><resolution width='8' height='6'/>"
        f"<calibration><f>9</f><cx>1</cx><k1>0.1</k1><p1>{p1}</p1></calibration></sensor></sensors>"
        f"<components><component id='0'>{move}</component></components><cameras>{cameras}</cameras></chunk>"
        "</document>".encode()
        for kind, p1 in (("frame", 0.01), ("fisheye", 0), ("spherical", 0))
    ]


def realitycapture() -> list[bytes]:
    header = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\n"
    return [(header + "a.png,1,2,3,10,80,0,36,0,0,0.1,0,0,0,0,0\na.tif,1,2,3,10,80,0,36,0,0\n").encode()]


def realitycapture_xmp() -> list[bytes]:
    return [
        b"<x xmlns:xcr='http://www.capturingreality.com/ns/xcr/1.1#' xcr:Rotation='1 0 0 0 1 0 0 0 1' "
        b"xcr:DistortionModel='brown3' xcr:DistortionCoeficients='0.1 0 0 0 0 0' xcr:FocalLength35mm='36'>"
        b"<xcr:Position>1 2 3</xcr:Position></x>"
    ]


@functools.cache
def photographs() -> dict[str, bytes]:
    """An image of each kind by name, 8 x 6."""
    rgb = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
    rgba = np.dstack([rgb, rgb[..., :1]])
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "a.jpg": (rgb, {"exif": exif}), "a.png": (rgba, {}), "grey.png": (rgb[..., 0].astype(np.uint16), {}),
        "a.webp": (rgba, {"lossless": True}), "a.tif": (rgb, {"compression": "tiff_lzw"}),
        "a.gif": (rgb[..., 0], {}), "a.bmp": (rgb, {}), "a.ppm": (rgb, {}), "a.tga": (rgba, {}),
    }  # fmt: skip
    files = {}
    for name, (pixels, options) in kinds.items():
        target = io.BytesIO()
        Image.fromarray(pixels).save(target, Image.registered_extensions()[Path(name).suffix], **options)
        files[name] = target.getvalue()
    return files


def checkpoints() -> list[bytes]:
    """Whole ones, and those whose hashes fit and whose content does not."""
    import safetensors.torch

    tensors = safetensors.torch.save({"a/b": torch.arange(3.0), "c": torch.zeros(2, dtype=torch.long)})
    state = {"trainer": {"gaussians": {"$tensor": "a/b"}, "list": [{"$tensor": "c"}, 1, None]}, "totals": {}}
    whole = json.dumps(state).encode()
    return [
        whole + b"\0" + tensors,
        b"{}\0" + struct.pack("<Q", 2) + b"{}",
        DEEP_JSON + b"\0" + tensors,
        whole.replace(b"a/b", b"a/c") + b"\0" + tensors,
        whole + b"\0" + tensors.replace(b"I64", b"I6_"),
    ]


def configs() -> list[bytes]:
    """Of runs with few and with many parts, and what is none."""
    from trainers.config import TrainConfig
    from trainers.parts.exposure import ExposureConfig

    every = TrainConfig(strategy="mcmc+lpm+seeding+taming", parts={"exposure": ExposureConfig()})
    return [
        *(json.dumps(config.to_json()).encode() for config in (TrainConfig(), every)),
        b"{}",
        DEEP_JSON,
        b'{"steps": ' + b"9" * 400 + b"}",
    ]


def metrics() -> list[bytes]:
    whole = b'{"psnr": 20.5, "train_seconds": 3.0, "peak_memory_bytes": 5, "per_image": []}'
    return [whole, DEEP_JSON, LONG_NUMBER]


def histories() -> list[bytes]:
    return [
        b'{"step": 1, "loss": 0.5}\n{"step": 2, "psnr": 20.0, "ssim": 0.5}\n{"step": 3, "lo',
        b'{"step": 1, "loss": NaN}\n\xff\n{"step": ' + b"9" * 400 + b"}\n" + DEEP_JSON + b"\n",
    ]
