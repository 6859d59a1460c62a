"""How far each pixel of a photograph is to be trusted, learnt with the scene (after Hu et al. 2024,
"Expressive Gaussian Human Avatars from Monocular RGB Video", EVA).

A network of two layers, the same for every pixel, says a confidence c from 0.1 to 10, and learns from

    mean(c |e| - alpha log c),    which is least where c = alpha / |e|,

with e the pixel's error and alpha what is usual: the geometric mean of |e| in the pixel's surroundings, at
least the running median of |e|. As far as a pixel deserves no trust w(c), the photograph P is compared with
itself there and not with the rendering I: with w I + (1 - w) P. That makes w |e| of |e| in L1, and takes what
is broken out of the windows of D-SSIM, too. A pixel that errs by no more than three standard deviations, were
errors normal and alpha their median, is trusted fully, one with the least confidence not at all, and what is
between in proportion. So what is not unusual trains as ever, and with c = 1, as at the start, everything
does. The network is trained by its own loss only, and nothing of that reaches the scene, which could make
itself trusted otherwise.

Unlike in EVA: there alpha is 0 in the published code, so that c falls to its least value everywhere. With the
median alone, edges and textures that the scene has not learnt yet are as unusual as what is broken, and it
never learns these; their surroundings err, too. And there the network sees the rendering and its depth alone,
in which nothing tells a broken pixel of a photograph; here it sees the pixel's error, too (`errors`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.losses import as_float
from gsplat_core.ranges import POSITIVE, Range, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Group, Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

MOST = 10.0
"""The largest confidence; the least is its reciprocal."""

TRUSTED = 1 / (3 * 1.4826)
"""The best confidence of an error of three standard deviations, of a normal distribution, in whose absolute
values the median is one in 1.4826."""

# Of the running median, per step: a hundred photographs count.
_DECAY = 0.99
_LEAST_ALPHA = 1e-4
# Pixels, as that of D-SSIM.
_WINDOW = 11


@dataclass(frozen=True)
class ConfidenceConfig:
    """Args:
        rate: Adam's learning rate for the network.
        width: of its hidden layer.
        errors: whether it is shown how a pixel of the photograph differs from the rendering.

    Raises:
        ValueError: a number outside its range.
    """

    rate: Annotated[float, POSITIVE] = 1e-3
    width: Annotated[int, Range(1, 1024)] = 16
    errors: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)


class Confidence(Part):
    """`--confidence`."""

    settings: ClassVar[type[Any] | None] = ConfidenceConfig
    first_order: ClassVar[str | None] = "trusts all pixels alike; leave out --confidence"
    neighbours: ClassVar[str | None] = "compares the errors of neighbouring pixels"

    def __init__(self, settings: ConfidenceConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        random = torch.Generator().manual_seed(config.seed)
        inputs = 5 if settings.errors else 4
        # The last layer is zero, so that confidence is 1 at the start.
        self._network = {
            "hidden": torch.randn(settings.width, inputs, generator=random) / math.sqrt(inputs),
            "hidden_bias": torch.randn(settings.width, generator=random),
            "output": torch.zeros(settings.width),
            "output_bias": torch.zeros(()),
        }
        self._alpha = math.nan
        self._names = [view.name for view in views]
        self._means = torch.ones(len(views), dtype=torch.float64)
        self._settled = False
        self._said: tuple[Tensor, Tensor] | None = None  # of this step: confidences, errors

    def initialize(self, num: int, device: torch.device) -> None:
        self._network = {
            name: tensor.to(device, copy=True).requires_grad_(not self._settled)
            for name, tensor in self._network.items()
        }

    def parameters(self) -> Sequence[Group]:
        if self._settled:
            return []
        return [
            Group(name, tensor, lambda step: self._settings.rate) for name, tensor in self._network.items()
        ]

    def wants(self, step: int) -> Wants:
        return Wants(depth=True)

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        """The rendering, and in its place the photograph as far as that is not to be trusted."""
        photograph = as_float(target.image)
        with torch.no_grad():
            errors = (target.compared(rendering.image) - photograph).abs().mean(dim=-1)
            counts = errors[0] if target.mask is None else errors[0][target.mask]
            if not self._settled and len(counts):
                self._learn_alpha(float(counts.median()))
            features = self._features(rendering, errors)
        confidence = self.confidence(features)
        self._said = confidence[0], errors[0]
        trust = trust_of(confidence.detach())[..., None]
        return trust * rendering.image + (1 - trust) * photograph

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        """The network's own: its gradients are for the network alone."""
        assert self._said is not None
        (confidence, errors), self._said = self._said, None
        usual = self._usual(errors[None])[0]
        if target.mask is not None:
            confidence, errors, usual = (part[target.mask] for part in (confidence, errors, usual))
        if self._settled or not errors.numel():
            return None
        if self._names:
            self._means[target.view] = float(confidence.detach().double().mean())
        return (confidence * errors - usual * confidence.log()).mean()

    def confidence(self, features: Tensor) -> Tensor:
        """[...] from 1 / MOST to MOST, of features [..., 4 or 5] in [-1, 1]: colour, depth and error."""
        n = self._network
        hidden = (features @ n["hidden"].T + n["hidden_bias"]).relu()
        return (math.log(MOST) * (hidden @ n["output"] + n["output_bias"]).tanh()).exp()

    def _features(self, rendering: Rendering, errors: Tensor) -> Tensor:
        if rendering.depths is None:
            raise ValueError("Confidence needs Rendering.depths")
        near = rendering.depths / (rendering.depths + rendering.scene.scene_extent)
        features = [rendering.image, near[..., None]]
        if self._settings.errors:
            # On the scale of what is to be found: MOST to the power of minus this is the best confidence.
            ratio = (errors / self._usual(errors)).clamp(min=1 / MOST, max=MOST)
            features.append(ratio.log()[..., None] / math.log(MOST))
        return torch.cat(features, dim=-1).detach()

    def _usual(self, errors: Tensor) -> Tensor:
        """[1, H, W] alpha of each pixel, of errors [1, H, W]."""
        logs = errors.clamp(min=_LEAST_ALPHA).log()
        around = torch.nn.functional.avg_pool2d(
            logs, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False
        )
        return around.exp().clamp(min=self._alpha)

    def _learn_alpha(self, now: float) -> None:
        before = self._alpha
        self._alpha = max(now if math.isnan(before) else _DECAY * before + (1 - _DECAY) * now, _LEAST_ALPHA)

    def state_dict(self) -> dict[str, Any]:
        return {"alpha": torch.tensor(self._alpha, dtype=torch.float64), "means": self._means.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._alpha, self._means = float(state["alpha"]), state["means"].clone()

    def result(self) -> dict[str, Any]:
        """The network, and the mean confidence of each photograph when it was seen last."""
        return {
            "alpha": self._alpha,
            "network": {name: tensor.tolist() for name, tensor in self._network.items()},
            "photographs": dict(zip(self._names, self._means.tolist(), strict=True)),
        }

    def settle(self, result: Mapping[str, Any]) -> None:
        try:
            network = {
                name: torch.tensor(result["network"][name], dtype=torch.float32) for name in self._network
            }
            alpha = float(result["alpha"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("confidence: there is no network of numbers") from None
        if any(network[name].shape != tensor.shape for name, tensor in self._network.items()):
            raise ValueError("confidence: the network has other sizes than the settings say")
        if not math.isfinite(alpha) or not all(bool(tensor.isfinite().all()) for tensor in network.values()):
            raise ValueError("confidence: a number of the network is not finite")
        self._network, self._alpha, self._settled = network, alpha, True


def trust_of(confidence: Tensor) -> Tensor:
    """What a pixel counts for, from 0 where its confidence is the least to 1 from `TRUSTED` on."""
    return ((confidence - 1 / MOST) / (TRUSTED - 1 / MOST)).clamp(min=0, max=1)
