"""PlayCanvas' SOG: splats as lossless WebP images, in one .sog file or in a folder with a meta.json.

Texel i (row by row) of every image is Gaussian i; `meta.json` has the ranges and tables. Version 2:

    means_l, means_u   rgb: low and high byte of 16 bits on [mins, maxs] of sign(x) ln(1 + |x|), per axis
    quats              rgb: the smallest three of (w, x, y, z), 255 (sqrt(2)/2 q + 1/2);
                       alpha: 252 + which is largest
    scales             rgb: index into a table of 256 logarithms of standard deviations
    sh0                rgb: index into a table of 256 values of sh0; alpha: 255 sigmoid(logit)
    shN_labels         r + 256 g: row of the palette
    shN_centroids      64 rows of the palette per image row, texel k of each is coefficient k: rgb as sh0

`model` is "antialiased" for scenes that are to be drawn so; `asset.offset`, `asset.eps2d`,
`asset.pixel_order`, `asset.unscented` and `asset.ray_step` are ours, of the scene's metadata. The .sog file
is a ZIP archive of the same files, stored. Axes and SH basis are those of the PLY. Version 1, without tables
and with logits in alpha, is read. The specification is developer.playcanvas.com and splat-transform 3.7.

Bytes are rounded here where that program truncates, which halves the error. The palette comes from k-means;
its size decides about the file's, so it is in proportion to the scene (`palette`).
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gsplat_core
from gsplat_core.compress.kmeans import kmeans
from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.expansion import LARGEST_EXPANSION, check_density, check_expansion
from gsplat_core.io import webp
from gsplat_core.io.arrays import Arrays, arrays_of, empty_arrays, gaussians_of, in_blocks
from gsplat_core.io.atomic import atomic_folder, write_bytes
from gsplat_core.io.codebook import codebook, nearest
from gsplat_core.io.format import ALL_METADATA, Format
from gsplat_core.io.options import check_range
from gsplat_core.io.quantize import LOGITS, alpha_bytes, bytes_of
from gsplat_core.io.smallest_three import join, split
from gsplat_core.io.source import read_whole
from gsplat_core.io.usable import FLAT_SCALE, OPACITY_LIMIT, keep_usable
from gsplat_core.morton import morton_order
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.scene.metadata import Metadata
from gsplat_core.strict_json import parse_json

MAX_META = 1 << 20
MAX_PALETTE = 1 << 16
MAX_ITERATIONS = 1000
MAX_COEFFICIENTS = num_coefficients(3) - 1
PALETTE_COLUMNS = 64
FREE_TEXELS = 1 << 14  # of any image
SPLATS_PER_COLOR = 16  # splats that share a palette row, unless the caller says otherwise

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # which can be decompressed within a bound
_ROOT_2 = np.float32(2**0.5)
Files = Callable[[str], bytes]
"""Content of a file of the scene by name; raises DataError."""


def load(path: Path, *, strict: bool, trusted: bool = False) -> Gaussians:
    """Reads a .sog file.

    Args:
        trusted: read it whatever number of Gaussians it claims to hold.

    Raises:
        DataError: the file cannot be opened, is damaged, or claims more than `check_expansion` and
            `check_density` allow; or `strict` and there are splats that cannot be rendered.
    """
    return read(path, read_whole(path), strict, trusted)


def read(path: Path, data: bytes, strict: bool, trusted: bool = False) -> Gaussians:
    """The scene of a .sog file's content; `path` is for messages. See `load`."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = {entry.filename: entry for entry in archive.infolist()}
        if any(entry.compress_type not in _METHODS for entry in entries.values()):
            raise DataError(path, "not a .sog file: compressed by a method that these archives do not have")
        check_expansion(path, len(data), sum(entry.file_size for entry in entries.values()), "archive")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError) as error:
        raise DataError(path, f"not a .sog file: {error}") from error

    def file(name: str) -> bytes:
        if name not in entries:
            raise DataError(path, f"the archive has no file {name[:60]!r}")
        try:
            with archive.open(entries[name]) as member:
                return member.read(entries[name].file_size)  # no more, whatever else it decompresses to
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
            ValueError,
            zlib.error,
        ) as error:
            raise DataError(path, f"damaged archive ({error})", name) from error

    return _load(path, file, strict, trusted)


def load_folder(path: Path, *, strict: bool, trusted: bool = False) -> Gaussians:
    """Reads a meta.json and the images beside it; see `load`."""

    def read(name: str) -> bytes:
        return read_whole(path if name == "meta.json" else path.parent / name)

    return _load(path, read, strict, trusted)


def save(
    path: Path,
    gaussians: Gaussians,
    *,
    palette: int | None = None,
    iterations: int = 10,
    effort: int = 50,
    antialiased: bool | None = None,
) -> None:
    """Writes a .sog file in Morton order.

    Args:
        palette: rows of the palette of SH coefficients, 1 to 65536, of which no more are used than there are
            Gaussians; the more, the better and larger. By default a sixteenth of the Gaussians.
        iterations: of k-means, 1 to 1000.
        effort: of the image coder, 0 (fast) to 100 (small).
        antialiased: what the file says about it, where that is not what the scene's metadata says.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: no Gaussians, or more than fit into the largest WebP image.
        UsageError: options out of range.
    """
    write_bytes(path, written(path, gaussians, palette, iterations, effort, antialiased))


def written(
    path: Path,
    gaussians: Gaussians,
    palette: int | None = None,
    iterations: int = 10,
    effort: int = 50,
    antialiased: bool | None = None,
) -> bytes:
    """What `save` writes; `path` is for messages."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in _files(path, gaussians, palette, iterations, effort, antialiased).items():
            archive.writestr(zipfile.ZipInfo(name), content)  # dated 1980: same scene, same bytes
    return target.getvalue()


def save_folder(
    path: Path,
    gaussians: Gaussians,
    *,
    palette: int | None = None,
    iterations: int = 10,
    effort: int = 50,
    antialiased: bool | None = None,
) -> None:
    """Writes a meta.json and its images into the same folder, which is made if need be; see `save`."""
    files = _files(path, gaussians, palette, iterations, effort, antialiased)
    with atomic_folder(path.parent, last="meta.json") as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)


FORMAT = Format(".sog", "PlayCanvas SOG", load, save, max_sh_degree=3, metadata=ALL_METADATA)
FOLDER_FORMAT = Format(
    "meta.json", "PlayCanvas SOG (folder)", load_folder, save_folder,
    max_sh_degree=3, metadata=ALL_METADATA, folder=True,
)  # fmt: skip


# Writing


def _files(
    path: Path,
    gaussians: Gaussians,
    palette: int | None,
    iterations: int,
    effort: int,
    antialiased: bool | None,
) -> dict[str, bytes]:
    """The files of a scene by name, the images first."""
    check_range("palette", 1 if palette is None else palette, 1, MAX_PALETTE)
    check_range("iterations", iterations, 1, MAX_ITERATIONS)
    check_range("effort", effort, 0, 100)
    count = gaussians.num
    if not count:
        raise UnsuitableSceneError(
            path, "SOG needs at least one Gaussian, and the scene has none", remedy="Write a .ply."
        )
    width, height = texture_size(count)
    if max(width, height) > webp.MAX_SIDE:
        raise UnsuitableSceneError(
            path, f"{count:,} Gaussians do not fit into images of {webp.MAX_SIDE:,} texels a side",
            remedy="Cut the scene into parts, prune it, or write another format.",
        )  # fmt: skip
    order = morton_order(gaussians.means)
    arrays = arrays_of(gaussians.subset(order))
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": f"gsplat_core {gsplat_core.__version__}"}}
    meta["count"] = count
    if any(gaussians.metadata.offset):
        meta["asset"]["offset"] = list(gaussians.metadata.offset)
    for number in ("eps2d", "ray_step"):
        if (value := getattr(gaussians.metadata, number)) != getattr(Metadata(), number):
            meta["asset"][number] = value
    for flag in ("pixel_order", "unscented"):
        if getattr(gaussians.metadata, flag):
            meta["asset"][flag] = True
    if gaussians.metadata.antialiased if antialiased is None else antialiased:
        meta["model"] = "antialiased"
    images: dict[str, np.ndarray] = {}

    def put(section: str, entries: dict[str, Any], textures: dict[str, np.ndarray]) -> None:
        meta[section] = entries | {"files": [f"{name}.webp" for name in textures]}
        for name, texels in textures.items():
            padded = np.zeros((height * width, texels.shape[1]), np.uint8)
            padded[:count] = texels
            images[name] = padded.reshape(height, width, -1)

    put("means", *_encode_means(arrays["means"]))
    scales = np.where(np.isneginf(arrays["scales"]), np.float32(FLAT_SCALE), arrays["scales"])
    table = codebook(scales)
    put("scales", {"codebook": _short(table)}, {"scales": nearest(scales, table)})
    put("quats", {}, {"quats": _encode_quats(arrays["quats"])})
    table = codebook(arrays["sh0"])
    colors = nearest(arrays["sh0"][:, 0], table)
    alphas = alpha_bytes(arrays["opacities"])[:, None]
    put("sh0", {"codebook": _short(table)}, {"sh0": np.concatenate([colors, alphas], axis=1)})
    if gaussians.sh_degree:
        rows = min(count, MAX_PALETTE, palette or _palette_size(count))
        entries, centroids, labels = _encode_rest(arrays["shN"], rows, iterations)
        put("shN", entries | {"bands": gaussians.sh_degree}, {"shN_labels": labels})
        meta["shN"]["files"].insert(0, "shN_centroids.webp")
        images["shN_centroids"] = centroids
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        encoded = list(pool.map(lambda image: webp.encode(image, effort), images.values()))
    files = {f"{name}.webp": data for name, data in zip(images, encoded, strict=True)}
    return files | {"meta.json": json.dumps(meta, separators=(",", ":")).encode()}


def texture_size(count: int) -> tuple[int, int]:
    """Width and height of the images for so many Gaussians, multiples of 4."""
    width = 4 * math.ceil(math.sqrt(count) / 4)
    return width, 4 * math.ceil(count / (4 * width))


def _palette_size(count: int) -> int:
    """A power of two, because labels take whole bits."""
    return 1 << max(0, round(math.log2(count / SPLATS_PER_COLOR))) if count > SPLATS_PER_COLOR else 1


def _short(table: np.ndarray) -> list[float]:
    """The numbers with as few digits as tell float32 apart."""
    return [float(str(value)) for value in table]


def _encode_means(means: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    warped = np.sign(means) * np.log1p(np.abs(means, dtype=np.float64))
    low, high = warped.min(axis=0), warped.max(axis=0)
    codes = np.rint((warped - low) * (65535 / np.where(high > low, high - low, 1))).astype(np.uint16)
    textures = {"means_l": (codes & 255).astype(np.uint8), "means_u": (codes >> 8).astype(np.uint8)}
    return {"mins": low.tolist(), "maxs": high.tolist()}, textures


def _encode_quats(quats: np.ndarray) -> np.ndarray:
    largest, three = split(quats)
    texels = np.empty((len(quats), 4), np.uint8)
    texels[:, :3] = bytes_of(255 * (three.T * (_ROOT_2 / 2) + np.float32(0.5)))
    texels[:, 3] = 252 + largest
    return texels


def _encode_rest(
    rest: np.ndarray, rows: int, iterations: int
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Entries of meta.json, the image of the palette, and the label texels [N, 3]."""
    count, coefficients, _ = rest.shape
    vectors = torch.from_numpy(np.ascontiguousarray(rest)).reshape(count, -1)
    centroids, labels = (tensor.numpy() for tensor in kmeans(vectors, rows, iterations=iterations, seed=0))
    members = np.bincount(labels, minlength=rows)
    table = codebook(centroids, np.broadcast_to(np.maximum(members, 1)[:, None], centroids.shape))
    texels = np.zeros((-(-rows // PALETTE_COLUMNS) * PALETTE_COLUMNS, coefficients, 3), np.uint8)
    texels[:rows] = nearest(centroids, table).reshape(rows, coefficients, 3)
    image = texels.reshape(-1, PALETTE_COLUMNS * coefficients, 3)
    codes = np.zeros((count, 3), np.uint8)
    codes[:, 0], codes[:, 1] = labels & 255, labels >> 8
    return {"count": rows, "codebook": _short(table)}, image, codes


# Reading


def _load(path: Path, read: Files, strict: bool, trusted: bool) -> Gaussians:
    meta = _Meta(path, read, trusted)
    arrays = meta.arrays()
    gaussians = gaussians_of(arrays)
    gaussians.metadata = meta.metadata()
    return keep_usable(gaussians, path, strict)


class _Meta:
    """The parsed meta.json, with checked access to what it says and to the images it names."""

    def __init__(self, path: Path, read: Files, trusted: bool) -> None:
        self.path = path
        self.read = read
        self.trusted = trusted
        text = read("meta.json")
        if len(text) > MAX_META:
            raise self.error(f"{len(text):,} bytes; at most {MAX_META:,} are accepted")
        try:
            tree = parse_json(text)
        except ValueError as error:
            raise self.error(f"not JSON ({error})") from error
        if not isinstance(tree, dict):
            raise self.error("expected an object")
        self.tree: dict[str, Any] = tree
        self.version = tree.get("version", 1)
        if self.version not in (1, 2):
            raise self.error(f"version {str(self.version)[:20]}; this program knows 1 and 2")

    def error(self, problem: str) -> DataError:
        return DataError(self.path, problem, "meta.json")

    def metadata(self) -> Metadata:
        """`model` says whether the scene is antialiased; the offset and the screen filter are our own
        entries."""
        asset = self.tree.get("asset")
        known = asset if isinstance(asset, dict) else {}
        names = ("offset", "eps2d", "pixel_order", "unscented", "ray_step")
        own = {name: known[name] for name in names if name in known}
        try:
            return Metadata(self.tree.get("model") == "antialiased", **own)
        except ValueError as error:
            raise self.error(f"asset.{error}") from None

    def section(self, name: str) -> Mapping[str, Any]:
        section = self.tree.get(name)
        if not isinstance(section, dict):
            raise self.error(f"the object {name!r} is missing")
        return section

    def numbers(self, section: str, name: str, count: int) -> np.ndarray:
        """A list of finite numbers, float64; a single number is a list of one."""
        given = self.section(section).get(name)
        values = given if isinstance(given, list) else [given]
        good = all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
        if len(values) != count or not good:
            raise self.error(f"{section}.{name}: expected {count} finite numbers")
        return np.array(values, np.float64)

    def integer(self, value: Any, what: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(f"{what}: expected an integer from {low} to {high:,}, found {str(value)[:20]}")
        return value

    def images(self, count: int) -> dict[str, np.ndarray]:
        """All images [H, W, 4] of so many Gaussians by the name that this version gives them, checked in size
        before any is decoded.
        """
        roles = {
            "means": ["means_l", "means_u"],
            "scales": ["scales"],
            "quats": ["quats"],
            "sh0": ["sh0"],
            "shN": ["shN_centroids", "shN_labels"],
        }
        contents: dict[str, tuple[str, bytes]] = {}
        for section, names in roles.items():
            if section == "shN" and section not in self.tree:
                continue
            files = self.section(section).get("files")
            if not isinstance(files, list) or len(files) != len(names):
                raise self.error(f"{section}.files: expected {len(names)} names")
            for role, file in zip(names, files, strict=True):
                if not isinstance(file, str) or not file or any(c in file for c in "/\\:\0") or file == "..":
                    raise self.error(
                        f"{section}.files: {str(file)[:60]!r} is not the name of a file beside it"
                    )
                contents[role] = (file, self.read(file))
        stored = sum(len(data) for _, data in contents.values())
        check_density(self.path, stored, count, "images", self.trusted)
        for role, (file, data) in contents.items():
            height, width = webp.size(data, self.path, file)
            needed = MAX_PALETTE * MAX_COEFFICIENTS if role == "shN_centroids" else count
            if height * width > (most := FREE_TEXELS + LARGEST_EXPANSION * needed):
                raise self.error(
                    f"{file} is {width:,} x {height:,} texels; for {count:,} Gaussians at most {most:,} are "
                    "accepted"
                )
        with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
            pixels = pool.map(lambda item: webp.decode(item[1], self.path, item[0]), contents.values())
            return dict(zip(contents, pixels, strict=True))

    def arrays(self) -> Arrays:
        """The decoded parameters."""
        given: Any = self.tree.get("count")
        if self.version == 1:
            shape = self.section("means").get("shape")
            given = shape[0] if isinstance(shape, list) and shape else None
        count = self.integer(given, "the number of Gaussians", 0, webp.MAX_SIDE**2)
        images = self.images(count)
        flat = {role: image.reshape(-1, 4) for role, image in images.items()}
        for role, texels in flat.items():
            if role != "shN_centroids" and len(texels) < count:
                raise self.error(f"{role} has {len(texels):,} texels for {count:,} Gaussians")
        degree = self.degree(images)
        palette = self.palette(images["shN_centroids"], degree) if degree else np.zeros((0, 0, 3), np.float32)
        means = [self.numbers("means", name, 3) for name in ("mins", "maxs")]
        scales, colors = self.table("scales", 3), self.table("sh0", 4)
        arrays = empty_arrays(count, degree)

        def decode(rows: slice) -> None:
            codes = flat["means_u"][rows, :3].astype(np.float64) * 256 + flat["means_l"][rows, :3]
            warped = codes * ((means[1] - means[0]) / 65535) + means[0]
            with np.errstate(over="ignore", invalid="ignore"):  # absurd ranges: found by keep_usable
                arrays["means"][rows] = np.sign(warped) * np.expm1(np.abs(warped))
            texels = flat["quats"][rows]
            three = (texels[:, :3].T * np.float32(1 / 255) - np.float32(0.5)) * _ROOT_2
            arrays["quats"][rows] = join(texels[:, 3] - np.uint8(252), three)
            arrays["quats"][rows][texels[:, 3] < 252] = [1, 0, 0, 0]
            for i in range(3):
                arrays["scales"][rows, i] = scales[i][flat["scales"][rows, i]]
                arrays["sh0"][rows, 0, i] = colors[i][flat["sh0"][rows, i]]
            alphas = LOGITS if self.version == 2 else np.clip(colors[3], -OPACITY_LIMIT, OPACITY_LIMIT)
            arrays["opacities"][rows] = alphas[flat["sh0"][rows, 3]]
            if degree:
                texels = flat["shN_labels"][rows]
                labels = texels[:, 0].astype(np.int64) + texels[:, 1].astype(np.int64) * 256
                arrays["shN"][rows] = palette[np.where(labels < len(palette) - 1, labels, len(palette) - 1)]

        in_blocks(count, decode)
        return arrays

    def table(self, section: str, channels: int) -> list[np.ndarray]:
        """For every channel the value of each byte [256] float32: a table of the file, or (version 1) a
        range.
        """
        if self.version == 2:
            return [self.numbers(section, "codebook", 256).astype(np.float32)] * channels
        low, high = (self.numbers(section, name, channels) for name in ("mins", "maxs"))
        steps = np.arange(256)[:, None] / 255
        return list((low + steps * (high - low)).astype(np.float32).T)

    def degree(self, images: Mapping[str, np.ndarray]) -> int:
        """SH degree: stated, or in version 1 what the width of the palette's image implies."""
        if "shN" not in self.tree:
            return 0
        if self.version == 2:
            return self.integer(self.section("shN").get("bands"), "shN.bands", 1, 3)
        widths = {PALETTE_COLUMNS * (num_coefficients(degree) - 1): degree for degree in (1, 2, 3)}
        return self.integer(widths.get(images["shN_centroids"].shape[1]), "bands of shN_centroids", 1, 3)

    def palette(self, image: np.ndarray, degree: int) -> np.ndarray:
        """[rows + 1, K-1, 3]; the last row is for labels that are too large, which decode to 0."""
        coefficients = num_coefficients(degree) - 1
        if image.shape[1] != PALETTE_COLUMNS * coefficients:
            raise self.error(
                f"shN_centroids is {image.shape[1]} texels wide, not {PALETTE_COLUMNS * coefficients}"
            )
        codes = image[:, :, :3].reshape(-1, coefficients, 3)
        rows = len(codes)
        if self.version == 2:
            rows = self.integer(self.section("shN").get("count"), "shN.count", 1, len(codes))
            table = self.numbers("shN", "codebook", 256).astype(np.float32)
        else:
            low, high = (float(self.numbers("shN", name, 1)[0]) for name in ("mins", "maxs"))
            table = (low + np.arange(256) / 255 * (high - low)).astype(np.float32)
        palette = np.zeros((rows + 1, coefficients, 3), np.float32)
        palette[:rows] = table[codes[:rows]]
        return palette
