"""Where a photograph was taken in a scene: its pose by rendering, as iComMa finds it (Sun et al., "iComMa:
Inverting 3D Gaussian Splatting for Camera Pose Estimation via Comparing and Matching", 2023).

From several starts, Adam moves the camera in its own frame until small, blurred renderings look like the
photograph. From the best, Levenberg-Marquardt finds the minimum to a fraction of a pixel, together with the
photograph's exposure and with how certain the pose is. `gsplat_core.apps.localize_starts` finds starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gsplat_core import primitive, se3
from gsplat_core.blur import gaussian_blur
from gsplat_core.errors import UsageError
from gsplat_core.losses import as_float
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, Range, check_ranges
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import COLORS, Outputs, Rendered
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.resizing import resized
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.poses import (
    AS_RENDERED,
    Exposure,
    PosePrior,
    normal_equations,
    pose_jacobian,
    robust,
)

_SHARP_FROM = 0.6  # of Adam's steps, images are not blurred any more
_LAST_RATE = 0.05  # of Adam's rate
_FOLLOWED = 2  # of the starts, the best; the second tells whether the first is the only one
_RIVAL = 1.15  # a pose whose cost is within this factor explains a photograph nearly as well
_SAME = 0.05  # radians, or shares of the distance, within which two poses are one
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING, _DAMPING_FACTOR = 1e-3, 1e-9, 1e6, 5.0
_ENOUGH_SMALL, _ENOUGH = 1e-3, 1e-4  # share of the cost by which a last step improves it, at most
_UNSETTLED = 1e-2  # a last step that improves it by more has not reached the minimum
_LEAST_NOISE = 1e-10  # variance of residuals: less is that of float32
_FEWEST_PIXELS = 100
_HARDLY_SEEN = "the scene covers too little of the photograph"
_BLOCKS = 20  # along the longer side, between which residuals are taken to be independent


@dataclass(frozen=True)
class Config:
    """How a photograph is localized.

    Raises:
        UsageError: a number is outside its range.
    """

    steps: Annotated[int, Range(1, 100_000)] = 150
    """Of Adam, from the best starts."""
    rate: Annotated[float, POSITIVE] = 0.05
    """Of Adam at first: radians, and shares of the distance at which the scene is seen, in a step."""
    blur: Annotated[float, NOT_NEGATIVE] = 3.0
    """Standard deviation of the blur at first, in pixels of the small images."""
    small: Annotated[int, Range(16, 4096)] = 96
    """Pixels along the longer side of the images that Adam compares."""
    large: Annotated[int, Range(16, 65536)] = 640
    """Pixels along the longer side at which Levenberg-Marquardt ends."""
    starts: Annotated[int, Range(1, 1000)] = 9
    """How many poses are tried where one is given: it, and others that look past it."""
    cone: Annotated[float, Range(0, 90)] = 10.0
    """By how many degrees these look past it."""
    start_steps: Annotated[int, Range(1, 100_000)] = 20
    """Of Adam, from every start."""
    lm_steps: Annotated[int, Range(2, 1000)] = 20
    """Of Levenberg-Marquardt, at most."""
    huber: Annotated[float, POSITIVE] = 0.1
    """Differences of colours beyond it, such as those of what has moved, weigh less."""
    least_alpha: Annotated[float, SHARE] = 0.5
    """Pixels that the scene covers less do not count; 0 where its background is the true one."""
    most_unexplained: Annotated[float, SHARE] = 0.4
    """A pose is not found if its rendering leaves more of the photograph's variance than this."""

    def __post_init__(self) -> None:
        try:
            check_ranges(self)
        except ValueError as error:
            raise UsageError(f"{error}.") from error


DEFAULT = Config()


@dataclass(frozen=True, eq=False)
class Located:
    """A pose that was found, or was not.

    Attributes:
        viewmat: [4, 4] float64 world to camera.
        covariance: [6, 6] float64, of the twist (w, v) in the camera's frame, radians and scene units, by
            which the pose may be off (`gsplat_core.second_order.poses`). Exposure is not taken as known, and
            residuals of one block of pixels may be correlated as they like (Liang and Zeger 1986): as
            s^2 (J^T J)^-1, which takes them to be independent, it would be far too small. What it does not
            know are errors of the scene that all of a photograph shares.
        exposure: of the photograph, relative to the scene.
        unexplained: the share of the photograph's variance that the rendering leaves, in small images.
        costs: per step: of a pixel while Adam goes on from the best start, then the mean square of residuals
            while Levenberg-Marquardt does, in small images and in large ones.
        lm_steps: how many steps of Levenberg-Marquardt it took.
        problem: why it is not to be trusted; empty if it is.
    """

    viewmat: Tensor
    covariance: Tensor
    exposure: Exposure
    unexplained: float
    costs: tuple[float, ...]
    lm_steps: int
    problem: str = ""

    @property
    def converged(self) -> bool:
        return not self.problem

    @property
    def rotation_sd(self) -> float:
        """Root mean square of the angle by which it may be turned, degrees."""
        return math.degrees(math.sqrt(float(self.covariance[:3, :3].trace())))

    @property
    def position_sd(self) -> float:
        """Root mean square of the distance by which it may be away, scene units."""
        return math.sqrt(float(self.covariance[3:, 3:].trace()))


@dataclass(frozen=True, eq=False)
class Query:
    """A photograph and its camera, whose pose is not used.

    Attributes:
        image: [H, W, 3] float32 in [0, 1].
        camera: of its size.
        mask: [H, W] bool, the pixels that count; None where all do.
    """

    image: Tensor
    camera: Camera
    mask: Tensor | None = None

    def camera_at(self, pose: Matrix) -> Camera:
        """Its camera there: world to camera [4, 4]."""
        return replace(self.camera, viewmat=pose)

    def shrunk(self, longest: int) -> Query:
        """With at most so many pixels along the longer side."""
        factor = longest / max(self.camera.width, self.camera.height)
        if factor >= 1:
            return self
        camera = self.camera.resized(
            *(max(1, round(n * factor)) for n in (self.camera.width, self.camera.height))
        )

        size = (camera.height, camera.width)
        mask = None if self.mask is None else resized(self.mask[..., None].float(), size)[..., 0] > 0.99
        return Query(resized(self.image, size), camera, mask)


@dataclass(frozen=True, eq=False)
class _Search:
    """What stays the same while a photograph is localized."""

    scene: Gaussians
    query: Query
    config: Config
    settings: RenderSettings
    background: Tensor | None

    def seen(self, query: Query, viewmats: Tensor, outputs: Outputs = COLORS) -> list[Rendered]:
        """Renderings from poses [C, 4, 4]: all in one, or one by one of a scene that consists of other
        Gaussians for each camera."""
        one = Cameras.of(query.camera, self.scene.means.device)
        one_by_one = primitive.get(self.scene.primitive).per_camera
        rendered = []
        for some in viewmats.split(1 if one_by_one else len(viewmats)):
            lens = None if one.lens is None else one.lens.expand(len(some), -1)
            cameras = replace(one, viewmats=some, Ks=one.Ks.expand(len(some), 3, 3), lens=lens)
            rendered.append(
                render(self.scene, cameras, self.settings, outputs=outputs, background=self.background)
            )
        return rendered

    def counts(self, query: Query, alphas: Tensor) -> Tensor:
        """[..., H, W] bool, the pixels that count."""
        seen = alphas >= self.config.least_alpha
        return seen if query.mask is None else seen & query.mask

    def distance(self, query: Query, viewmats: Tensor) -> float | None:
        """The median one at which poses [C, 4, 4] see the scene; None where they do not."""
        with torch.no_grad():
            rendered = self.seen(query, viewmats, Outputs(depth="expected"))
        least = max(self.config.least_alpha, 0.01)
        depths = torch.cat([images.depths[images.alphas[..., 0] >= least] for images in rendered])
        return float(depths.median()) if len(depths) else None

    def descended(
        self, query: Query, viewmats: Tensor, distance: float, steps: int, blurs: tuple[float, float]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Poses [C, 4, 4] after so many steps of Adam, their costs [C], and those of all steps.

        Args:
            blurs: at first, and from `_SHARP_FROM` of the steps on.
        """
        device = self.scene.means.device
        anchors = viewmats.to(device, torch.float32)
        twists = torch.zeros(len(anchors), 6, device=device, requires_grad=True)
        units = torch.tensor([1.0] * 3 + [distance] * 3, device=device)
        adam = torch.optim.Adam([twists], lr=self.config.rate)
        costs = []
        for step in range(steps + 1):
            done = step / steps
            sigma = blurs[0] + (blurs[1] - blurs[0]) * min(done / _SHARP_FROM, 1.0)
            each = self.costs(query, se3.exp(twists * units) @ anchors, sigma)
            costs.append(each.detach().cpu())
            if step == steps:
                break
            adam.zero_grad()
            each.sum().backward()
            adam.param_groups[0]["lr"] = self.config.rate * _LAST_RATE**done
            adam.step()
            with torch.no_grad():
                anchors = _rigid(se3.exp(twists * units) @ anchors)
                twists.zero_()
        return anchors, costs[-1], costs

    def costs(self, query: Query, viewmats: Tensor, sigma: float) -> Tensor:
        """[C] the mean cost of a pixel that poses [C, 4, 4] have in images that are blurred. What the scene
        does not cover costs as much as if nothing of it were explained."""
        rendered = self.seen(query, viewmats)
        colors = torch.cat([images.colors for images in rendered])
        counts = self.counts(query, torch.cat([images.alphas.detach() for images in rendered])[..., 0])
        truth = gaussian_blur(query.image, sigma)
        each = robust(gaussian_blur(colors, sigma) - truth, self.config.huber)[1].mean(dim=-1)
        nothing = robust(truth - truth.mean(dim=(0, 1)), self.config.huber)[1].mean()
        return torch.where(counts, each, nothing).mean(dim=(1, 2))

    def rough(self, viewmat: Tensor, prior: PosePrior | None) -> _Refined | None:
        """The minimum next to a pose [4, 4] float64, in small images."""
        small = self.query.shrunk(self.config.small)
        return self.refined(
            small, _Place(_rigid(viewmat)), -(-self.config.lm_steps // 2), prior, _ENOUGH_SMALL
        )

    def finished(self, rough: _Refined | None, prior: PosePrior | None) -> Located:
        """The minimum in large images, and what is known of it."""
        small, large = self.query.shrunk(self.config.small), self.query.shrunk(self.config.large)
        fine = None
        if rough is not None:
            steps = max(self.config.lm_steps - len(rough.costs), 1)
            fine = self.refined(large, rough.place, steps, prior, _ENOUGH)
        if rough is None or fine is None:
            return _lost(torch.from_numpy(self.query.camera.viewmat), _HARDLY_SEEN)
        inverse, failed = torch.linalg.inv_ex(fine.system.H)
        covariance = inverse @ fine.system.scatter @ inverse
        unexplained = self.unexplained(large, small, fine.place.viewmat)
        problem = ""
        if not unexplained <= self.config.most_unexplained:  # which is so of no number, too
            problem = (
                f"the rendering leaves {unexplained:.0%} of the photograph's variance, more than "
                f"{self.config.most_unexplained:.0%}"
            )
        elif bool(failed) or not bool((covariance.diagonal() > 0).all()):
            problem = "the photograph does not determine its pose"
        elif not fine.settled:
            problem = f"{self.config.lm_steps} steps did not reach the minimum"
        return Located(
            fine.place.viewmat,
            covariance[:6, :6],
            fine.place.exposure,
            unexplained,
            (*rough.costs, *fine.costs),
            len(rough.costs) + len(fine.costs),
            problem,
        )

    def unexplained(self, large: Query, small: Query, viewmat: Tensor) -> float:
        """The share of a small photograph's variance that a rendering leaves, each colour with the gain and
        the offset that suit it best; where the scene does not cover a pixel, at most all of it.

        The rendering is shrunk as the photograph was: in small ones Gaussians are too wide.
        """
        with torch.no_grad():
            (rendered,) = self.seen(large, viewmat.to(self.scene.means)[None])
        size = small.image.shape[:2]
        image, alphas = resized(rendered.colors[0], size), resized(rendered.alphas[0], size)[..., 0]
        covered = alphas >= self.config.least_alpha
        known = torch.ones_like(covered) if small.mask is None else small.mask
        left = all_of_it = 0.0
        for shown, truth in zip(image.unbind(-1), small.image.unbind(-1), strict=True):
            x, y = shown[covered & known], truth[covered & known]
            slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum().clamp(min=1e-12)
            differences = (y.mean() + slope * (shown - x.mean()) - truth).square()
            whole = (truth - truth[known].mean()).square()
            at_most = torch.where(covered, differences, torch.minimum(differences, whole))
            left += float(at_most[known].sum())
            all_of_it += float(whole[known].sum())
        return left / max(all_of_it, 1e-12)

    def refined(
        self, query: Query, start: _Place, steps: int, prior: PosePrior | None, enough: float
    ) -> _Refined | None:
        """The nearest minimum, by Levenberg-Marquardt with so many steps at most; None where nothing of the
        scene is seen."""
        place, damping, costs = start, _FIRST_DAMPING, []
        for _ in range(steps):
            system = self.linearized(query, place, prior)
            if int(system.counts.sum()) < _FEWEST_PIXELS:
                return None
            costs.append(system.noise)
            place, damping, gained = self._improved(query, place, system, damping, prior)
            if gained < enough:
                break
        return _Refined(place, system, tuple(costs), gained < _UNSETTLED)

    def _improved(
        self, query: Query, place: _Place, system: _System, damping: float, prior: PosePrior | None
    ) -> tuple[_Place, float, float]:
        """A better place, the damping for the next, and by which share of the cost it is better; the same
        place where there is none."""
        diagonal = torch.diag(system.H.diagonal())
        while damping < _MOST_DAMPING:
            step = -torch.linalg.solve(system.H + damping * diagonal, system.g)
            there = place.moved(step)
            gained = 1 - self.cost(query, there, system, prior) / max(system.cost, 1e-12)
            if gained > 0:
                return there, max(damping / _DAMPING_FACTOR, _LEAST_DAMPING), gained
            damping *= _DAMPING_FACTOR
        return place, damping, 0.0

    def linearized(self, query: Query, place: _Place, prior: PosePrior | None) -> _System:
        """The cost around a place: the negative logarithm of a density, for residuals with the variance that
        they have there."""
        here = place.viewmat.to(self.scene.means.device, torch.float32)[None]
        one = replace(Cameras.of(query.camera, self.scene.means.device), viewmats=here)
        seen = pose_jacobian(self.scene, one, self.settings, self.background)
        counts = self.counts(query, seen.alphas)
        image = seen.image[counts].reshape(-1)
        jacobian = torch.column_stack(
            [place.exposure.gain * seen.jacobian[counts].reshape(-1, 6), image, torch.ones_like(image)]
        )
        residuals = place.exposure.gain * image + place.exposure.offset - query.image[counts].reshape(-1)
        JtJ, Jtr, cost = normal_equations(jacobian, residuals, self.config.huber)
        noise = max(2 * cost / max(len(residuals) - len(Jtr), 1), _LEAST_NOISE)
        pulls = jacobian * (robust(residuals, self.config.huber)[0] * residuals)[:, None]
        by_block = _sums_by_block(pulls.reshape(-1, 3, 8).sum(dim=1), counts).double().cpu() / noise
        H, g, scatter, cost = JtJ / noise, Jtr / noise, by_block.T @ by_block, cost / noise
        if prior is not None:
            known = prior.equations(place.viewmat)
            H[:6, :6] += known.JtJ
            g[:6] += known.Jtr
            scatter[:6, :6] += known.JtJ
            cost += known.cost
        return _System(H, g, scatter, cost, noise, counts)

    def cost(self, query: Query, place: _Place, system: _System, prior: PosePrior | None) -> float:
        """That of another place, of the pixels that count in the system, with its noise."""
        with torch.no_grad():
            here = place.viewmat.to(self.scene.means.device, torch.float32)[None]
            image = self.seen(query, here)[0].colors[0]
        exposed = place.exposure.gain * image + place.exposure.offset
        residuals = (exposed - query.image)[system.counts]
        cost = float(robust(residuals.double(), self.config.huber)[1].sum()) / system.noise
        return cost if prior is None else cost + prior.equations(place.viewmat).cost


class _Place(NamedTuple):
    """What Levenberg-Marquardt looks for: a pose [4, 4] float64, and the photograph's exposure."""

    viewmat: Tensor
    exposure: Exposure = AS_RENDERED

    def moved(self, step: Tensor) -> _Place:
        gain, offset = self.exposure
        exposure = Exposure(gain + float(step[6]), offset + float(step[7]))
        return _Place(_rigid(se3.exp(step[:6]) @ self.viewmat), exposure)


class _System(NamedTuple):
    """Around a place, of the cost that is the negative logarithm of a density.

    Attributes:
        H, g, cost: normal equations [8, 8] and [8], and the cost there.
        scatter: [8, 8] the covariance of g; H, if residuals of neighbouring pixels were independent.
        noise: the variance of residuals.
        counts: [H, W] bool, the pixels that count.
    """

    H: Tensor
    g: Tensor
    scatter: Tensor
    cost: float
    noise: float
    counts: Tensor


class _Refined(NamedTuple):
    place: _Place
    system: _System
    costs: tuple[float, ...]
    settled: bool


def localize(
    scene: Gaussians,
    image: Tensor,
    camera: Camera,
    starts: Sequence[Matrix] = (),
    config: Config = DEFAULT,
    *,
    prior: PosePrior | None = None,
    mask: Tensor | None = None,
    settings: RenderSettings = USUAL,
    background: Tensor | None = None,
) -> Located:
    """Finds the pose of a photograph, or says that it was not found.

    Args:
        scene, settings, background: as for :func:`gsplat_core.render.scene.render`.
        image: [H, W, 3] the photograph, float32 in [0, 1] or uint8.
        camera: its lens, of its size. Its pose is where the search starts, with others that look past it,
            unless there are `starts`.
        starts: [4, 4] world to camera, each.
        prior: what was known of the pose before.
        mask: [H, W] bool, the pixels that count; None where all do.

    Raises:
        ValueError: the image or mask is not of the camera's size.
    """
    search = _Search(scene, _query(image, camera, mask, scene.means.device), config, settings, background)
    small = search.query.shrunk(config.small)
    tried = torch.from_numpy(np.stack(starts)) if len(starts) else _cone(camera.viewmat, config)
    distance = search.distance(small, tried.to(scene.means))
    if distance is None:
        return _lost(tried[0], "the scene is not seen from where the search starts")
    blur = config.blur
    poses, costs, _ = search.descended(small, tried, distance, config.start_steps, (blur, blur))
    followed = costs.argsort(stable=True)[:_FOLLOWED]
    poses, costs, steps = search.descended(small, poses[followed], distance, config.steps, (blur, 0.0))
    candidates = []
    for number, pose in enumerate(poses.double().cpu()):
        rough = search.rough(pose, prior)
        if rough is not None:
            with torch.no_grad():
                at = rough.place.viewmat.to(scene.means)[None]
                candidates.append((float(search.costs(small, at, 0.0)), number, rough))
    if not candidates:
        return _lost(tried[0], _HARDLY_SEEN)
    (cost, number, best), *others = sorted(candidates, key=lambda each: each[:2])
    found = search.finished(best, prior)
    found = replace(found, costs=(*(float(each[number]) for each in steps), *found.costs))
    rivals = [other.place.viewmat for each, _, other in others if each < _RIVAL * cost]
    if found.converged and any(_apart(best.place.viewmat, rival, distance) for rival in rivals):
        return replace(found, problem="another pose explains the photograph nearly as well")
    return found


def refine(
    scene: Gaussians,
    image: Tensor,
    camera: Camera,
    config: Config = DEFAULT,
    *,
    prior: PosePrior | None = None,
    mask: Tensor | None = None,
    settings: RenderSettings = USUAL,
    background: Tensor | None = None,
) -> Located:
    """:func:`localize` without the search: Levenberg-Marquardt from the camera's pose, which has to be right
    to some pixels of an image whose longer side has `config.small`."""
    search = _Search(scene, _query(image, camera, mask, scene.means.device), config, settings, background)
    return search.finished(search.rough(torch.from_numpy(camera.viewmat), prior), prior)


def _query(image: Tensor, camera: Camera, mask: Tensor | None, device: torch.device) -> Query:
    size = (camera.height, camera.width)
    for what, shape in (("image", image.shape), ("mask", (*size, 3) if mask is None else (*mask.shape, 3))):
        if tuple(shape) != (*size, 3):
            raise ValueError(f"{what} has the size {list(shape)[:2]}, the camera's images {list(size)}")
    return Query(as_float(image.to(device)), camera, None if mask is None else mask.to(device))


def _cone(viewmat: Matrix, config: Config) -> Tensor:
    """[starts, 4, 4] a pose, and others that look past it to all sides."""
    around = torch.arange(config.starts - 1, dtype=torch.float64) * (2 * math.pi / max(config.starts - 1, 1))
    turns = torch.zeros(config.starts, 6, dtype=torch.float64)
    turns[1:, 0] = math.radians(config.cone) * around.cos()
    turns[1:, 1] = math.radians(config.cone) * around.sin()
    return se3.exp(turns) @ torch.from_numpy(np.asarray(viewmat, np.float64))


def _rigid(viewmats: Tensor) -> Tensor:
    """Poses [..., 4, 4] without what rounding has added up to."""
    left, _, right = torch.linalg.svd(viewmats[..., :3, :3])
    result = viewmats.clone()
    result[..., :3, :3] = left @ right
    return result


def _sums_by_block(values: Tensor, counts: Tensor) -> Tensor:
    """[B, P] sums over square blocks of values [M, P] of the pixels [H, W] that count."""
    side = -(-max(counts.shape) // _BLOCKS)
    rows, columns = counts.nonzero(as_tuple=True)
    across = -(-counts.shape[1] // side)
    block = (rows // side) * across + columns // side
    sums = values.new_zeros(int(block.max()) + 1 if len(block) else 0, values.shape[1])
    return sums.index_add_(0, block, values)


def _apart(first: Tensor, second: Tensor, distance: float) -> bool:
    """Whether two poses [4, 4] are two."""
    twist = se3.log(second @ torch.linalg.inv(first))
    return float(twist[:3].norm()) > _SAME or float(twist[3:].norm()) > _SAME * distance


def _lost(viewmat: Tensor, problem: str) -> Located:
    endless = torch.full((6, 6), math.inf, dtype=torch.float64)
    return Located(viewmat.double().cpu(), endless, AS_RENDERED, 1.0, (), 0, problem)
