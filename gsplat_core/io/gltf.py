"""glTF 2.0 with KHR_gaussian_splatting: .glb is written, .glb and .gltf are read.

A splat is a primitive of mode POINTS with the extension's object (kernel "ellipse") and these attributes:

    POSITION                                      vec3
    KHR_gaussian_splatting:ROTATION               vec4, unit quaternion (x, y, z, w)
    KHR_gaussian_splatting:SCALE                  vec3, standard deviations (not logarithms)
    KHR_gaussian_splatting:OPACITY                scalar, 0 to 1
    KHR_gaussian_splatting:SH_DEGREE_l_COEF_n     vec3 (r, g, b); n = 0 .. 2l stands for m = -l .. l
    COLOR_0                                       vec4, for viewers that draw points

The SH basis is that of 3DGS, and the scene's colour is what it says, so `colorSpace` is
"srgb_rec709_display": photographs are display-referred. glTF's axes are y up and z towards the front, x left;
COLMAP's become those by turning 180 degrees about z.

The scene's metadata is in `extras.gsplat_core` of the primitive, in glTF's axes.

Reading follows the nodes of the scene (moved, turned and evenly scaled), takes several splat primitives as
one scene, every component type that the extension allows, and data in the file or beside it. Files of the
draft of 2025 hold logarithms as SCALE: a negative number tells. Compressed variants (SPZ, meshopt) are not
read.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.expansion import check_expansion, check_json
from gsplat_core.io.arrays import Arrays, arrays_of, empty_arrays, gaussians_of
from gsplat_core.io.atomic import atomic_file
from gsplat_core.io.axes import half_turn
from gsplat_core.io.format import ALL_METADATA, DataWarning, Format
from gsplat_core.io.quantize import ALPHA_MARGIN, alpha_bytes, bytes_of
from gsplat_core.io.source import Source, read_whole
from gsplat_core.io.usable import keep_usable
from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import MAX_DEGREE, num_coefficients, rgb_of
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.similarity import Similarity
from gsplat_core.strict_json import parse_json

EXTENSION = "KHR_gaussian_splatting"
OWN_EXTRAS = "gsplat_core"
MAX_JSON = 16 << 20
PRIMITIVE_BYTES = 4096  # about what the objects of one take, without its numbers

_GLB, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def load(path: Path, *, strict: bool, trusted: bool = False) -> Gaussians:
    """Reads all splats of a file as one scene.

    Args:
        trusted: read it however many splats share the same numbers.

    Raises:
        DataError: the file cannot be opened, is damaged, or has no splats that this program can read; or
            `strict` and there are splats that cannot be rendered.
    """
    content = read_whole(path)
    document, binary = _open_glb(content, path) if content[:4] == b"glTF" else (content, None)
    if len(document) > MAX_JSON:
        raise DataError(path, f"{len(document):,} bytes of JSON; at most {MAX_JSON:,} are accepted")
    check_json(path, document)
    try:
        tree = parse_json(document)
    except ValueError as error:
        raise DataError(path, f"not glTF: its JSON cannot be read ({error})") from error
    reader = _Reader(path, tree, binary, len(content), trusted)
    try:
        scenes, metadata = reader.scenes(), reader.metadata()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(path, f"not valid glTF: {type(error).__name__} {error}", reader.place) from error
    if not scenes:
        raise DataError(path, f"glTF without splats: no primitive with {EXTENSION}")
    gaussians = Gaussians.merge(scenes)
    gaussians.metadata = metadata
    return keep_usable(gaussians, path, strict)


def save(path: Path, gaussians: Gaussians) -> None:
    """Writes a scene as .glb.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: no Gaussians, or more than the 4 GiB that a .glb file holds.
    """
    if not gaussians.num:
        raise UnsuitableSceneError(
            path, "glTF needs at least one Gaussian, and the scene has none", remedy="Write a .ply."
        )
    arrays = half_turn(arrays_of(gaussians), "z")
    columns: dict[str, np.ndarray] = {"POSITION": np.ascontiguousarray(arrays["means"])}
    quats = arrays["quats"] / np.linalg.norm(arrays["quats"], axis=1, keepdims=True)
    columns[f"{EXTENSION}:ROTATION"] = quats[:, [1, 2, 3, 0]]
    columns[f"{EXTENSION}:SCALE"] = np.exp(arrays["scales"])
    with np.errstate(over="ignore"):
        columns[f"{EXTENSION}:OPACITY"] = 1 / (1 + np.exp(-arrays["opacities"]))
    coefficients = np.concatenate([arrays["sh0"], arrays["shN"]], axis=1)
    for k in range(coefficients.shape[1]):
        degree = math.isqrt(k)
        columns[_coefficient(degree, k - degree**2)] = np.ascontiguousarray(coefficients[:, k])
    color = np.empty((gaussians.num, 4), np.uint8)
    color[:, :3] = bytes_of(255 * rgb_of(arrays["sh0"][:, 0]))
    color[:, 3] = alpha_bytes(arrays["opacities"])
    columns["COLOR_0"] = color
    _write_glb(path, columns, gaussians.metadata)


FORMAT = Format(".glb", "glTF KHR_gaussian_splatting", load, save, metadata=ALL_METADATA)
TEXT_FORMAT = Format(".gltf", "glTF KHR_gaussian_splatting (text)", load, save=None)


def _coefficient(degree: int, n: int) -> str:
    return f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{n}"


# Writing


def _turned(metadata: Metadata) -> Metadata:
    """The metadata in glTF's axes from those in COLMAP's, or back: a half turn about z."""
    x, y, z = metadata.offset
    return replace(metadata, offset=(-x, -y, z))


def _write_glb(path: Path, columns: dict[str, np.ndarray], metadata: Metadata) -> None:
    accessors: list[dict[str, Any]] = []
    views: list[dict[str, Any]] = []
    offset = 0
    for name, column in columns.items():
        accessor = {
            "bufferView": len(views),
            "componentType": 5121 if column.dtype == np.uint8 else 5126,
            "count": len(column),
            "type": "SCALAR" if column.ndim == 1 else f"VEC{column.shape[1]}",
        }
        if column.dtype == np.uint8:
            accessor["normalized"] = True
        if name == "POSITION":  # glTF demands the bounds
            accessor |= {"min": column.min(axis=0).tolist(), "max": column.max(axis=0).tolist()}
        accessors.append(accessor)
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": column.nbytes, "target": 34962})
        offset += column.nbytes  # every element takes a multiple of 4 bytes
    primitive: dict[str, Any] = {
        "mode": 0,
        "attributes": {name: i for i, name in enumerate(columns)},
        "extensions": {
            EXTENSION: {
                "kernel": "ellipse",
                "colorSpace": "srgb_rec709_display",
                "projection": "perspective",
                "sortingMethod": "cameraDistance",
            }
        },
    }
    if known := _turned(metadata).known():
        primitive["extras"] = {OWN_EXTRAS: known}
    tree = {
        "asset": {"version": "2.0", "generator": "gsplat_core"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + offset
    if total >= 1 << 32:
        raise UnsuitableSceneError(
            path, f"{total:,} bytes are more than a .glb file can hold ({1 << 32:,})",
            remedy="Cut the scene into parts, lower its SH degree, or write another format.",
        )  # fmt: skip
    with atomic_file(path) as file:
        file.write(np.array([_GLB, 2, total, len(text), _JSON], "<u4").tobytes() + text)
        file.write(np.array([offset, _BIN], "<u4").tobytes())
        for column in columns.values():
            file.write(np.ascontiguousarray(column).data)


# Reading


def _open_glb(content: bytes, path: Path) -> tuple[bytes, memoryview | None]:
    """The JSON text and the binary chunk."""
    source = Source(content, path)
    _, version, length = source.unpack("III", "the header")
    if version != 2:
        raise DataError(path, f"glTF version {version}, not 2", "byte 4")
    if length > len(content):
        raise DataError(path, f"the file is cut off: {len(content):,} of {length:,} bytes", "byte 8")
    size, kind = source.unpack("II", "the first chunk")
    if kind != _JSON:
        raise DataError(path, "the first chunk is not JSON", "byte 16")
    text = bytes(source.take(size, "the JSON chunk"))
    while source.remaining >= 8:
        size, kind = source.unpack("II", "a chunk")
        chunk = source.take(size, "a chunk")
        if kind == _BIN:
            return text, chunk
    return text, None


class _Reader:
    """Reads what the JSON tree of a file refers to; `place` says where it is, for messages."""

    def __init__(self, path: Path, tree: Any, binary: memoryview | None, stored: int, trusted: bool) -> None:
        self.path = path
        self.tree = tree
        self.binary = binary
        self.buffers: dict[int, memoryview] = {}
        self.files: dict[str, memoryview] = {}
        self.stored = stored
        self.trusted = trusted
        self.claimed = 0
        self.place = "JSON"
        self.facts: list[Any] = []  # the extras of every primitive that was read

    def error(self, problem: str, remedy: str = "") -> DataError:
        return DataError(self.path, problem, self.place, remedy)

    def item(self, kind: str, index: Any) -> Any:
        """`kind[index]` of the tree; negative numbers are no indices."""
        items = self.tree.get(kind, [])
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(items):
            raise self.error(f"there is no {kind}[{str(index)[:20]}]")
        self.place = f"{kind}[{index}]"
        return items[index]

    def scenes(self) -> list[Gaussians]:
        """The splats of every primitive, in the scene's frame and then in COLMAP's axes."""
        tree = self.tree
        roots = (
            self.item("scenes", tree.get("scene", 0))["nodes"]
            if tree.get("scenes")
            else range(len(tree["nodes"]))
        )
        waiting = [(index, np.eye(4)) for index in roots]
        found: list[Gaussians] = []
        visited: set[int] = set()
        while waiting:
            index, parent = waiting.pop()
            node = self.item("nodes", index)
            if index in visited:
                raise self.error("a node has two parents, or contains itself")
            visited.add(index)
            matrix = parent @ _local_matrix(node)
            waiting += [(child, matrix) for child in node.get("children", [])]
            if "mesh" not in node:
                continue
            for primitive in self.item("meshes", node["mesh"])["primitives"]:
                if EXTENSION in primitive.get("extensions", {}):
                    arrays = self.primitive(primitive)
                    self.facts.append(primitive.get("extras"))
                    found.append(self.placed(arrays, matrix))
        return found

    def metadata(self) -> Metadata:
        """What the primitives that were read say in their extras, if they agree."""
        first = self.facts[0] if self.facts else None
        if any(facts != first for facts in self.facts):
            warnings.warn(
                f"{self.path}: its splats have different extras, so what these say is ignored",
                DataWarning, stacklevel=3,
            )  # fmt: skip
            return Metadata()
        own = first.get(OWN_EXTRAS, {}) if isinstance(first, dict) else {}
        return _turned(Metadata.from_known(own))

    def placed(self, arrays: Arrays, matrix: np.ndarray) -> Gaussians:
        """The splats of a node with this transform, in COLMAP's axes."""
        if not np.array_equal(matrix, np.eye(4)):
            try:
                similarity = Similarity.from_matrix(torch.from_numpy(matrix))
            except ValueError as error:
                raise self.error(f"a node's transform is no even scaling with a rotation: {error}") from error
            arrays = arrays_of(gaussians_of(arrays).transformed(similarity))
        return gaussians_of(half_turn(arrays, "z"))

    def primitive(self, primitive: Any) -> Arrays:
        """The parameters of one primitive, in glTF's axes."""
        extension = primitive["extensions"][EXTENSION]
        compressed = [name for name in extension.get("extensions", {}) if "compression" in name]
        if compressed:
            raise self.error(f"splats compressed with {compressed[0]!r} are not supported")
        attributes = primitive["attributes"]
        for name in ("POSITION", f"{EXTENSION}:ROTATION", _coefficient(0, 0)):
            if name not in attributes:
                raise self.error(f"the attribute {name} is missing")
        degree = max(d for d in range(MAX_DEGREE + 1) if _coefficient(d, 0) in attributes)
        means = self.accessor(attributes["POSITION"], 3)
        self.claim(4 * len(means) * (11 + 3 * num_coefficients(degree)))
        arrays = empty_arrays(len(means), degree)
        arrays["means"][:] = means

        def column(name: str, width: int) -> np.ndarray:
            values = self.accessor(attributes[f"{EXTENSION}:{name}"], width)
            if len(values) != len(means):
                raise self.error(f"{name} has {len(values):,} elements for {len(means):,} positions")
            return values

        arrays["quats"][:] = column("ROTATION", 4)[:, [3, 0, 1, 2]]
        scales = column("SCALE", 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithms = bool((scales < 0).any())
            arrays["scales"][:] = scales if logarithms else np.log(scales)
            opacity = np.clip(column("OPACITY", 1)[:, 0], ALPHA_MARGIN, 1 - ALPHA_MARGIN)
            arrays["opacities"][:] = np.log(opacity / (1 - opacity))
        for k in range(num_coefficients(degree)):
            band = math.isqrt(k)
            name = _coefficient(band, k - band**2).removeprefix(f"{EXTENSION}:")
            into = arrays["sh0"][:, 0] if k == 0 else arrays["shN"][:, k - 1]
            into[:] = column(name, 3)
        return arrays

    def claim(self, size: int) -> None:
        """Counts the bytes of a primitive that is about to be read: attributes and nodes may share numbers.

        Raises:
            ExpansionError: together they are too many for the file.
        """
        self.claimed += PRIMITIVE_BYTES + size
        if not self.trusted:
            check_expansion(self.path, self.stored, self.claimed, self.place)

    def accessor(self, index: Any, width: int) -> np.ndarray:
        """The numbers [count, width], integers divided by their largest where they are normalised."""
        accessor = self.item("accessors", index)
        if _WIDTHS.get(accessor["type"]) != width or accessor["componentType"] not in _COMPONENTS:
            raise self.error(f"{accessor['type']} of {accessor['componentType']}: expected {width} numbers")
        if "sparse" in accessor or "bufferView" not in accessor:
            raise self.error("accessors without a bufferView, or sparse ones, are not supported")
        count, offset = accessor["count"], accessor.get("byteOffset", 0)
        dtype = np.dtype(_COMPONENTS[accessor["componentType"]])
        normalized = accessor.get("normalized", False)
        view = self.item("bufferViews", accessor["bufferView"])
        start, length = view.get("byteOffset", 0), view["byteLength"]
        stride = view.get("byteStride", dtype.itemsize * width)
        data = self.buffer(view["buffer"])
        self.place = f"accessors[{index}]"
        for number in (count, offset, start, length, stride):
            if not isinstance(number, int) or number < 0:
                raise self.error("counts and offsets must be non-negative integers")
        end = offset + (stride * (count - 1) + dtype.itemsize * width if count else 0)
        if stride < dtype.itemsize * width or end > length or start + length > len(data):
            raise self.error(f"{count:,} elements do not fit into their buffer of {len(data):,} bytes")
        values = np.ndarray(
            (count, width), dtype, data[start : start + length], offset, (stride, dtype.itemsize)
        )
        if not normalized or dtype.kind == "f":
            return values
        largest = np.float32(np.iinfo(dtype).max)
        return np.maximum(values / largest, -1).astype(np.float32)

    def buffer(self, index: Any) -> memoryview:
        buffer = self.item("buffers", index)
        if index not in self.buffers:
            self.buffers[index] = self.open_buffer(index, buffer.get("uri"))
        return self.buffers[index]

    def open_buffer(self, index: int, uri: Any) -> memoryview:
        if uri is None:
            if index or self.binary is None:
                raise self.error("the binary chunk is missing")
            return self.binary
        if uri.startswith("data:"):
            try:
                return memoryview(base64.b64decode(uri.partition(",")[2], validate=True))
            except binascii.Error as error:
                raise self.error(f"a data URI that is not base64 ({error})") from error
        beside = self.path.parent / uri
        if "/" in uri or "\\" in uri or uri in ("", ".", "..") or ":" in uri:
            raise self.error(
                f"its data are in {uri[:60]!r}; only files in the same folder are read", "Put them beside it."
            )
        if uri not in self.files:
            self.files[uri] = memoryview(read_whole(beside))
            self.stored += len(self.files[uri])
        return self.files[uri]


def _local_matrix(node: Any) -> np.ndarray:
    """A node's transform [4, 4]: its matrix (column-major), or translation, rotation and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = np.array(node.get("rotation", [0, 0, 0, 1]), np.float64)
    matrix[:3, :3] = rotation_matrix([w, x, y, z]) * np.array(
        node.get("scale", [1, 1, 1]), np.float64
    ).reshape(3)
    matrix[:3, 3] = np.array(node.get("translation", [0, 0, 0]), np.float64).reshape(3)
    return matrix
