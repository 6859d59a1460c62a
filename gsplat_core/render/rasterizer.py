"""The function that other projects call, compatible with ``gsplat.rasterization`` (gsplat 1.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from gsplat_core.arguments import check_choice, check_unsupported
from gsplat_core.optim import Adam
from gsplat_core.pinhole import check_cameras
from gsplat_core.render.camera_types import (
    BivariateWindshieldModelParameters,
    FThetaCameraDistortionParameters,
    RollingShutterType,
    UnscentedTransformParameters,
)
from gsplat_core.render.distortion import ftheta_lens
from gsplat_core.render.drawing import NO_FEATURES, Outputs, draw
from gsplat_core.render.flow import Flow
from gsplat_core.render.inputs import prepare
from gsplat_core.render.meta import Meta
from gsplat_core.render.outputs import Depth
from gsplat_core.render.seen import Labels
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.shutter import exposed
from gsplat_core.render.sparse_gradients import SeenRows, sparse_gradients
from gsplat_core.render.variants import PAYLOADS, RESPONSES
from gsplat_core.render.windshield import windshield_of

_DEPTHS: dict[str, Depth] = {
    "RGB": "none",
    "D": "sum",
    "ED": "expected",
    "RGB+D": "sum",
    "RGB+ED": "expected",
    "d": "distance",
    "Ed": "expected_distance",
    "RGB-d": "distance",
    "RGB-Ed": "expected_distance",
}
RENDER_MODES = tuple(_DEPTHS)
RASTERIZE_MODES = ("classic", "antialiased")


def rasterization(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor] | None,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = False,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: str = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: str = "pinhole",
    segmented: bool = False,
    covars: Tensor | None = None,
    with_ut: bool = False,
    with_eval3d: bool = False,
    radial_coeffs: Tensor | None = None,
    tangential_coeffs: Tensor | None = None,
    thin_prism_coeffs: Tensor | None = None,
    ftheta_coeffs: FThetaCameraDistortionParameters | None = None,
    rolling_shutter: RollingShutterType | None = None,
    viewmats_rs: Tensor | None = None,
    *,
    external_distortion_coeffs: BivariateWindshieldModelParameters | None = None,
    lens: Tensor | None = None,
    ut_params: UnscentedTransformParameters | None = None,
    max_alpha: float = 0.99,
    order: str = "global",
    statistics: bool = False,
    sh_optimizer: Adam | None = None,
    sh_means: Tensor | None = None,
    response: str = "gaussian",
    extras: Tensor | None = None,
    payloads: Sequence[str] = (),
    outputs: Sequence[str] = (),
    top: int = 0,
    features: Mapping[str, Tensor] = NO_FEATURES,
    flow: Flow | None = None,
    labels: Labels | None = None,
    rays: Tensor | None = None,
    planes: bool = False,
) -> tuple[Tensor, Tensor, Meta]:
    """Renders 3D Gaussians into images (Kerbl et al. 2023), differentiably.

    Any number of batch dimensions may lead all tensors: scenes that are rendered independently. All tensors
    are float32, and gradients reach every one of them. There are no second derivatives: asking for them is a
    NotImplementedError.

    Args:
        means: [..., N, 3] centres in world space.
        quats: [..., N, 4] rotations (w, x, y, z) of any length but zero. None if `covars` is given.
        scales: [..., N, 3] standard deviations along the rotated axes (not their logarithms). None if
            `covars` is given.
        opacities: [..., N] in [0, 1] (not logits).
        colors: features [..., N, D] or [..., C, N, D] with any D; or, when `sh_degree` is given,
            coefficients of spherical harmonics [..., N, K, 3] or [..., C, N, K, 3], also as the pair of
            the first one and the rest, ([..., N, 1, 3], [..., N, K - 1, 3]). None if only depth is rendered.
        viewmats: [..., C, 4, 4] world to camera; x right, y down, z forward. Rigid if `sh_degree` is given.
        Ks: [..., C, 3, 3] intrinsics in pixels; the centre of the first pixel is (0.5, 0.5). Skew is refused.
        width, height: of the images, in pixels.
        near_plane, far_plane: Gaussians whose centre is not between them are culled.
        radius_clip: Gaussians of at most this many pixels are culled.
        eps2d: added to the diagonal of the projected covariance, in square pixels.
        sh_degree: the degree of spherical harmonics to evaluate (0 to 4), (sh_degree + 1)^2 <= K. A colour is
            max(0, 0.5 + sum). None when `colors` are features.
        packed: whether the entries per Gaussian of the meta are gsplat's packed ones: one row per visible
            pair of camera and Gaussian. The images are the same.
        tile_size: side of the tiles in pixels.
        backgrounds: [..., C, D] colours behind the Gaussians (depth has none). None for black.
        render_mode: "RGB" the colours; "D" the depth summed with the blending weights; "ED" that divided by
            alpha; "RGB+D", "RGB+ED" both, the depth in the last channel. "d", "Ed", "RGB-d" and "RGB-Ed" are
            the same with distances along the rays of the pixels in place of depths: to where the ray comes
            nearest to a Gaussian, for responses along rays; or to the surface of the splat's depth, which is
            the depth times how much longer the ray is (docs/outputs.md).
        sparse_grad: whether the gradients of means, quats, scales and covars are sparse tensors (COO) with a
            row for each Gaussian that a camera sees, as ``torch.optim.SparseAdam`` wants them. Needs
            `packed`, and tensors without batch dimensions.
        absgrad: whether ``meta["means2d"].absgrad`` is there after backward: the sum over pixels of the
            absolute gradient (AbsGS).
        rasterize_mode: "antialiased" lowers the opacity as `eps2d` makes a Gaussian larger (Mip-Splatting).
        channel_chunk: accepted for compatibility; how many channels are blended in one pass is our choice.
        camera_model: "pinhole"; "ortho", parallel rays, for which fx and fy are pixels per unit of length
            (view-dependent colours are those for directions from the camera's centre, as in gsplat);
            "fisheye", OpenCV's fisheye lens, equidistant but for its coefficients, which sees up to 170
            degrees from its axis: `depths`, the order and the near plane go by the distance from the camera;
            "opencv", a perspective lens with OpenCV's radial, tangential and thin prism distortion;
            "equirectangular", a panorama with fx and fy pixels per radian of longitude and latitude, whose
            splats are drawn on both sides of its seam (fx = `width` / (2 pi), cx = `width` / 2 if it goes
            all around); "ftheta", a lens of a polynomial between angles and distances, for which `depths`
            and the near plane go by the distance from the camera, too; or another one of
            :data:`gsplat_core.render.variants.CAMERAS`. A lens does not see rays at larger angles than one at
            which its coefficients bend rays back.
        radial_coeffs: [..., C, 4] k1 to k4 of "fisheye"; of "pinhole" or "opencv" [..., C, 6] k1 to k6, the
            last three in the denominator, or the first four of them. Splats are those of the camera's
            linearization (EWA) unless `with_ut`, which gsplat asks for here.
        tangential_coeffs: [..., C, 2] p1, p2 of "pinhole" or "opencv".
        thin_prism_coeffs: [..., C, 4] s1 to s4 of "pinhole" or "opencv".
        lens: [..., C, P] all coefficients of the camera model beyond `Ks` in one tensor instead: k1, k2, k3,
            k4 of "fisheye"; k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 of "opencv"; of "ftheta" 1 where
            its polynomial gives distances of angles and 0 where it gives angles of distances, then k0, k2,
            k3, k4, k5, the largest angle (0 for none), c, d, e: in focal lengths the polynomial is x + k0 +
            k2 x^2 + ..., and a linear map [[1 + c, d], [e, 1]] of the image comes last. None for zeros, with
            which every lens is the ideal one.
        ftheta_coeffs: the same of "ftheta" cameras by gsplat's names and in pixels,
            :class:`gsplat_core.compat.gsplat.FThetaCameraDistortionParameters`. As in gsplat, `Ks` then has
            the principal point, measured from the centre of the first pixel, and its focal lengths have no
            meaning.
        with_ut: whether Gaussians are projected by the unscented transform (3DGUT, Wu et al. 2025) instead of
            a linearization: the splat has the mean and the covariance of the pixels of seven points, which is
            better the wider lenses and Gaussians are. As differentiable as the other way.
        ut_params: its numbers, :class:`gsplat_core.compat.gsplat.UnscentedTransformParameters`. None for
            alpha = 1, beta = 2, kappa = 0, and Gaussians of which any of the points appears in the image or
            within a tenth of its size beside it.
        rolling_shutter, viewmats_rs: a :class:`gsplat_core.compat.gsplat.RollingShutterType` and poses
            [..., C, 4, 4]: lines of the image are exposed one after the other, while the camera goes from
            `viewmats` to `viewmats_rs`. Needs `with_ut` and a response along rays. View-dependent colours
            and the order of Gaussians are those of the pose in the middle.
        external_distortion_coeffs: a pane before the cameras that bends light before their lenses do, such as
            a windshield: :class:`gsplat_core.compat.gsplat.BivariateWindshieldModelParameters`, whose
            tensors get gradients. Those of its polynomials count that `reference_poly` names; their inverse
            is found, not read.
        segmented: accepted for compatibility: another way to sort, with the same result.
        covars: [..., N, 3, 3] or, as (xx, xy, xz, yy, yz, zz), [..., N, 6] world covariances that replace
            `quats` and `scales`.
        max_alpha: cap of a Gaussian's alpha. 0.99 as in the paper, the Inria code and gsplat 1.6; gsplat
            1.5 has 0.999.
        order: in which order a pixel blends its Gaussians: "global", that of the depths of their centres; or
            "pixel", each pixel's own, that of the depths at which its ray sees most of them (StopThePop),
            so that they do not swap when the camera turns (docs/orders.md). No gradient passes through it.
        statistics: whether the meta tells, after backward, how much the images show of each Gaussian:
            ``meta["statistics"]`` [..., C, N, 3] (``packed``: [nnz, 3]) is a leaf of the graph, and its
            ``.grad`` becomes (sum_p w_p e_p, sum_p w_p, number of pixels with w_p > 0) with the Gaussian's
            blending weights w_p at the pixels p. The weights e_p are the gradient of ``meta["probe"]``
            [..., C, H, W], which is zero: add `(probe * e).sum()` to the loss, for example with an error map
            e, and the loss stays what it is. See also :func:`gsplat_core.contributions.contributions`.
        sh_optimizer: makes its step of the SH coefficients, which must be a pair of leaf tensors without
            batch dimensions, during backward. No gradient of theirs is stored then, which saves 192 bytes per
            Gaussian at degree 3 and a pass over memory; their ``.grad`` stays None, so that the optimizer's
            ``step()`` leaves them alone. Without effect on CUDA, where that ``step()`` does it.
        sh_means: [..., N, 3] places to which the directions of spherical harmonics lead, differentiable.
            None: the `means`.
        response: how the opacity falls off around a centre: "gaussian"; "generalized" (GES) for
            exp(-(q/2)^(beta/2)) with the squared Mahalanobis distance q, which at beta = 2 is the Gaussian;
            "analytic", the Gaussian's integral over the pixel, for which `eps2d` is not used; "ray", the
            Gaussian in the world where the ray of the pixel comes nearest to its centre, of which the splat
            only bounds where it is looked for (docs/rays.md); "ray_generalized", exp(-9/2 (d/3)^n) of the
            Mahalanobis distance d there, which at n = 2 is the Gaussian.
            `radii` are then those of the response, before anti-aliasing lowers the opacity.
        extras: [..., N, E] the response's own numbers of each Gaussian, differentiable. For "generalized"
            that is beta, E = 1, which acts between 0.5 and 8, for "ray_generalized" the degree n, E = 1,
            between 1 and 8. None if the response has none.
        payloads: some of :data:`gsplat_core.render.variants.PAYLOADS`: ``meta["payloads"][NAME]`` [..., C, N,
            sums] (``packed``: [nnz, sums]) is a leaf of the graph like ``meta["statistics"]``, whose
            ``.grad`` becomes what the payload sums up per Gaussian.
        outputs: names of further images that the meta is to have, all of one pass with the colours:
            "normals" [..., C, H, W, 3], the unit normals of the Gaussians in world space, which are their
            shortest axes turned to the camera, summed with the blending weights, and "inverse_depth"
            [..., C, H, W], 1 over the depth, summed like it, both differentiable. "median_depth"
            [..., C, H, W], the depth of the Gaussian behind which half of the light is gone, or else of the
            last one, 0 where there is none; differentiable with respect to that Gaussian's depth. And which
            Gaussians a pixel sees, int32 [..., C, H, W] without a derivative: "first_ids" the nearest one,
            "median_ids" that of the median depth, "strongest_ids" that of the largest blending weight, each
            -1 where there is none, and "counts", how many.
        top: how many of the Gaussians with the largest weights at a pixel the meta is to have, front to back:
            ``meta["top_ids"]`` int32 and ``meta["top_weights"]`` [..., C, H, W, top], then -1 and 0. Without
            a derivative.
        flow: where the Gaussians are at another time, or for another camera: ``meta["flow"]``
            [..., C, H, W, 2] is how many pixels what a pixel shows moves, summed with the blending weights
            (GaussianFlow, Gao et al. 2024); divided by alpha it is a mean. See
            :class:`gsplat_core.render.flow.Flow`.
        labels: integers [..., C, H, W], and how many labels L there are: ``meta["label_weights"]``
            [..., L, N] has, for each label and Gaussian, the sum of the Gaussian's blending weights over the
            pixels of that label in all C images (FlashSplat, Shen et al. 2024). What is not in [0, L) counts
            nowhere. Without a derivative. See also :mod:`gsplat_core.labels`.
        features: further tensors [..., N, F] or [..., C, N, F] by any names, each with any F: blended like
            colours over zeros, in the same pass, into ``meta["features"][NAME]`` [..., C, H, W, F].
        with_eval3d: whether Gaussians are looked at in the world: True for the response "ray".
        rays: [..., C, H, W, 6] origins and directions (of any length, zero for none) of the pixels' rays in
            the world, for responses along them, in place of those of the cameras; differentiable. Where
            splats are looked for is still up to the cameras.
        planes: whether Gaussians are flat (AT-GS): their third scales count as zero and their third axes are
            normals; they are seen from the front only, at the depths at which the rays of pixels meet their
            planes, of which the mean is the harmonic one (:mod:`gsplat_core.render.planes`).
        distributed: only the default is supported.

    Returns:
        colors [..., C, H, W, X] with X = D, 1 or D + 1, alphas [..., C, H, W, 1], and meta, a dictionary
        with gsplat's keys; those that take time to compute are computed when read.

        - per Gaussian: ``radii`` [..., C, N, 2] int32, half extents in pixels, 0 where culled; ``means2d``
          [..., C, N, 2] in pixels, whose ``.grad`` is there after backward if ``retain_grad()`` was called;
          ``depths``, ``opacities``, ``tiles_per_gauss`` [..., C, N]; ``conics`` [..., C, N, 3]. With
          `packed` their leading dimensions are [nnz] instead, and ``batch_ids``, ``camera_ids``,
          ``gaussian_ids`` [nnz] int64 (otherwise None) tell whose rows these are.
        - per intersection with a tile: ``flatten_ids`` [M] int32 and ``isect_ids`` [M] int64.
        - ``isect_offsets`` [..., C, tile_height, tile_width], ``width, height, tile_size, tile_width,
          tile_height, n_cameras, n_batches``.

    Raises:
        ValueError: an argument has a wrong shape, type or value; says which and what was expected.
        NotImplementedError: an argument asks for a feature that is not there.
        gsplat_core.errors.NumericalError: with :func:`gsplat_core.set_checks`, if a parameter is not finite.
            Otherwise Gaussians with such parameters are culled.
    """
    check_unsupported(
        {
            "distributed": (distributed, False),
        }
    )
    check_choice("render_mode", render_mode, RENDER_MODES)
    check_choice("rasterize_mode", rasterize_mode, RASTERIZE_MODES)
    for payload in payloads:
        check_choice("payloads", payload, tuple(PAYLOADS))
    for name, size in (("width", width), ("height", height), ("channel_chunk", channel_chunk)):
        if size < 1:
            raise ValueError(f"argument '{name}' must be positive, got {size}")
    check_choice("response", response, tuple(RESPONSES))
    if with_eval3d and response == "gaussian":
        response = "ray"
    if with_eval3d and not RESPONSES[response].along_rays:
        raise ValueError(
            f"argument 'with_eval3d' must be False with the response {response!r}, which is one on the screen"
        )
    settings = RenderSettings(
        eps2d, near_plane, far_plane, radius_clip, rasterize_mode == "antialiased", max_alpha, tile_size,
        order=order,
    ).with_unscented(with_ut, ut_params)  # fmt: skip
    with_colors = render_mode.startswith("RGB")
    if with_colors and colors is None:
        raise ValueError(f"argument 'colors' must be given for render_mode {render_mode!r}, got None")
    if ftheta_coeffs is not None:
        lens, Ks = ftheta_lens(ftheta_coeffs, camera_model, lens, Ks)
    seen = SeenRows()
    if sparse_grad:
        means, quats, scales, covars = sparse_gradients(packed, seen, means, quats, scales, covars)
    inputs = prepare(
        means, quats, scales, covars, opacities, colors if with_colors else None, sh_degree, viewmats, Ks,
        backgrounds if with_colors else None, lens, camera_model, extras, response,
        (radial_coeffs, tangential_coeffs, thin_prism_coeffs), sh_means, rays, (width, height), planes,
    )  # fmt: skip
    if external_distortion_coeffs is not None:
        check_cameras(viewmats, Ks, rigid=True)
        inputs = inputs._replace(windshield=windshield_of(external_distortion_coeffs, means))
    inputs = exposed(inputs, rolling_shutter, viewmats_rs, width, height, settings)
    rendered = draw(
        inputs, sh_degree, width, height, settings,
        Outputs(with_colors, _DEPTHS[render_mode], absgrad, statistics, tuple(payloads), tuple(outputs), top),
        features=features, flow=flow, labels=labels, packed=packed,
        sh_optimizer=sh_optimizer, sh_leaves=colors,
    )  # fmt: skip
    if sparse_grad:
        seen.set(rendered.meta["gaussian_ids"])
    return rendered.channels, rendered.alphas, rendered.meta
