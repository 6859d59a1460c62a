"""Pictures of a scene that the rasterizer makes for a page: of what the browser cannot draw, and for browsers
that cannot draw at all."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import NEAR_PER_DISTANCE, Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of
from trainers.camera_paths import look_at
from trainers.evaluation import photograph
from trainers.media import to_uint8
from trainers.parts.part import Picture
from trainers.report import error_image
from trainers.viewer.subject import Subject, label_field

Output = Literal["color", "depth", "normals", "alpha", "labels", "photograph", "difference"]
MOST_PIXELS = 2**23
MOST_SIDE = 4096
DEPTH_QUANTILES = (0.02, 0.98)


class BadRequest(ValueError):
    """A request that no page of ours makes; the message says what is wrong with it."""


@dataclass(frozen=True, eq=False)
class Still:
    """What a picture is to show.

    Args:
        camera: from where; of the size that the picture is to have.
        view: whose photograph this is, as a number of the subject's views; None for none.
        output: what of the scene.
        degree: of the spherical harmonics; None for all.
        size: by which factor Gaussians are larger.
        crop: [2, 3] corners of a box; only Gaussians whose centres are in it are drawn. None for all.
        background: [3] in [0, 1].
    """

    camera: Camera
    view: int | None
    output: Output
    degree: int | None
    size: float
    crop: Tensor | None
    background: Tensor

    @classmethod
    def of(cls, query: Mapping[str, str], subject: Subject) -> Still:
        """Reads what follows the question mark of an address.

        Raises:
            BadRequest: something is missing or impossible.
        """
        asked = Asked(query)
        output = asked.one_of("output", get_args(Output), "color")
        view = asked.whole("view", 0, len(subject.views) - 1)
        if view is None and output in ("photograph", "difference"):
            raise BadRequest(f"{output} needs a view")
        width, height = asked.whole("width", 1, MOST_SIDE), asked.whole("height", 1, MOST_SIDE)
        camera = _free(asked, width, height) if view is None else _at(subject, view, width, height)
        corners = asked.numbers("crop", 6)
        crop = None if corners is None else torch.tensor(corners).reshape(2, 3)
        size = asked.numbers("size", 1) or [1.0]
        if not 0.01 <= size[0] <= 100:
            raise BadRequest("size must be from 0.01 to 100")
        return cls(
            camera, view, output, asked.whole("degree", 0, 4), size[0], crop,
            asked.colour("background", subject.background),
        )  # fmt: skip


class Asked:
    """The words of a query as what they are to be."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query

    def whole(self, name: str, least: int, most: int) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,7}", text) or not least <= int(text) <= most:
            raise BadRequest(f"{name} must be a whole number from {least} to {most}")
        return int(text)

    def numbers(self, name: str, count: int) -> list[float] | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            values = [float(word) for word in text[:1000].split(",")]
        except ValueError:
            values = []
        if len(values) != count or not all(abs(value) < 1e30 for value in values):
            raise BadRequest(f"{name} must be {count} finite numbers with commas between them")
        return values

    def needed(self, name: str, count: int) -> list[float]:
        values = self.numbers(name, count)
        if values is None:
            raise BadRequest(f"{name} is missing")
        return values

    def one_of(self, name: str, known: tuple[Any, ...], usual: str) -> Any:
        word = self._query.get(name, usual)
        if word not in known:
            raise BadRequest(f"{name} must be one of {', '.join(known)}")
        return word

    def colour(self, name: str, usual: str) -> Tensor:
        text = self._query.get(name, "ffffff" if usual == "white" else "000000")
        if not re.fullmatch(r"[0-9a-fA-F]{6}", text):
            raise BadRequest(f"{name} must be six hexadecimal digits")
        return torch.tensor([int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)])


def _free(asked: Asked, width: int | None, height: int | None) -> Camera:
    """A camera anywhere, as the page's own one."""
    width, height = width or 800, height or 600
    if width * height > MOST_PIXELS:
        raise BadRequest(f"a picture must have at most {MOST_PIXELS:,} pixels")
    position, target, up = (np.array(asked.needed(name, 3)) for name in ("position", "target", "up"))
    (fov,) = asked.needed("fov", 1)
    if not 0.1 <= fov <= 175:
        raise BadRequest("fov must be from 0.1 to 175 degrees")
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    near = NEAR_PER_DISTANCE * float(np.linalg.norm(target - position))
    try:
        with np.errstate(all="ignore"):
            return Camera(look_at(position, target, up), K, width, height, "page", near)
    except ValueError as error:
        raise BadRequest(f"there is no such camera: {error}") from None


def _at(subject: Subject, view: int, width: int | None, height: int | None) -> Camera:
    """The camera of a photograph, in its proportions, at most as large as it is and as asked for."""
    camera = subject.compared.camera(subject.views[view])
    scale = min((width or camera.width) / camera.width, (height or camera.height) / camera.height, 1.0)
    scale = min(scale, math.sqrt(MOST_PIXELS / (camera.width * camera.height)))
    return camera.resized(max(round(camera.width * scale), 1), max(round(camera.height * scale), 1))


@torch.no_grad()
def draw(still: Still, subject: Subject) -> Tensor:
    """[H, W, 3] in [0, 1]"""
    if still.output == "photograph":
        return _photograph(still, subject)[0]
    gaussians, degree = changed(subject.snapshot.gaussians, still), still.degree
    if still.view is not None:
        gaussians = subject.compared.scene(gaussians, subject.views[still.view])
    if still.output == "labels":
        gaussians, degree = _in_colours_of_labels(gaussians), None
    if degree is not None:
        degree = min(degree, gaussians.sh_degree)
    device = gaussians.device
    background = still.background[None].to(device)
    outputs = {
        "depth": Outputs(depth="expected"),
        "normals": Outputs(further=("normals",)),
    }.get(still.output, Outputs())
    rendered = render(gaussians, still.camera, outputs=outputs, background=background, sh_degree=degree)
    alphas = rendered.alphas[0]
    if still.output == "alpha":
        return alphas.expand(-1, -1, 3).clamp(0, 1)
    if still.output == "depth":
        return _depth_colours(rendered.depths[0], alphas[..., 0]) * alphas + background * (1 - alphas)
    if still.output == "normals":
        to_camera = torch.from_numpy(still.camera.viewmat[:3, :3]).to(rendered.alphas)
        # Right is red, up green, and towards the camera blue.
        seen = rendered.meta["normals"][0] @ (to_camera.T * to_camera.new_tensor([1.0, -1.0, -1.0]))
        return ((seen + alphas) / 2 + background * (1 - alphas)).clamp(0, 1)
    image = rendered.colors
    if still.view is not None:
        picture = Picture(image, rendered.alphas, background)
        image = subject.compared.image(picture, subject.views[still.view])
    image = image[0].clamp(0, 1)
    if still.output == "difference":
        truth, mask = _photograph(still, subject)
        return error_image(truth, image.cpu(), mask)
    return image


def encoded(image: Tensor) -> bytes:
    """[H, W, 3] in [0, 1] as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _photograph(still: Still, subject: Subject) -> tuple[Tensor, Tensor | None]:
    """[H, W, 3] the photograph at the size of the picture, and the mask [H, W] of what counts."""
    assert still.view is not None
    white = bool((still.background > 0.5).all())
    image, mask = photograph(subject.views[still.view], "white" if white else "black", torch.device("cpu"))
    size = (still.camera.height, still.camera.width)
    if image.shape[:2] == size:
        return image, mask
    small = _resized(image.permute(2, 0, 1), size).permute(1, 2, 0).clamp(0, 1)
    return small, None if mask is None else _resized(mask[None].float(), size)[0] > 0.999


def _resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(planes[None], size, mode="bilinear", antialias=True)[0]


def changed(gaussians: Gaussians, still: Still) -> Gaussians:
    """Those in the box, as large as they are to be."""
    if still.crop is not None:
        low, high = still.crop.to(gaussians.means)
        inside = ((gaussians.means >= low) & (gaussians.means <= high)).all(1)
        gaussians = gaussians.subset(inside)
    if still.size != 1:
        gaussians = replace(gaussians, scales=gaussians.scales + math.log(still.size))
    return gaussians


def _in_colours_of_labels(gaussians: Gaussians) -> Gaussians:
    """The same with one colour per label; grey for -1 and where there are no labels."""
    labels = label_field(gaussians)
    colours = gaussians.means.new_full((gaussians.num, 3), 0.35)
    if labels is not None:
        table = torch.tensor([matplotlib.colormaps["tab20"](i)[:3] for i in range(20)]).to(colours)
        known = labels >= 0
        colours[known] = table[labels[known].long() % 20]
    gray = rgb_of(colours.new_zeros(3)), rgb_of(colours.new_ones(3))
    sh0 = (colours - gray[0]) / (gray[1] - gray[0])
    return replace(gaussians, sh0=sh0[:, None], shN=gaussians.shN[:, :0])


def _depth_colours(depths: Tensor, alphas: Tensor) -> Tensor:
    """[H, W, 3]: red is near and blue far, by the inverse of the depth, between quantiles of the picture."""
    inverse = 1 / depths.clamp(min=1e-12)
    seen = inverse[alphas > 0.5]
    if seen.numel() == 0:
        return depths.new_zeros(*depths.shape, 3)
    low, high = np.quantile(seen.cpu().numpy(), DEPTH_QUANTILES)
    place = ((inverse - float(low)) / max(float(high - low), 1e-12)).clamp(0, 1)
    colours = matplotlib.colormaps["turbo"](place.cpu().numpy())[..., :3]
    return torch.from_numpy(colours).to(depths)
