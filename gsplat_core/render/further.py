"""What a rendering is asked for besides colours and depth, put together and taken apart again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from gsplat_core.arguments import check_choice
from gsplat_core.checks import checks_enabled, require_finite
from gsplat_core.render.flow import Flow, flow_layer
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.layers import LAYERS, Layer, check_features, feature, hits
from gsplat_core.render.outputs import FURTHER, Outputs
from gsplat_core.render.planes import plane_layer
from gsplat_core.render.rays import Rays
from gsplat_core.render.seam import TURN
from gsplat_core.render.seen import Labels, check_labels, look
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, TileLists, composite
from gsplat_core.render.variants import EVERY_RESPONSE

NO_FEATURES: Mapping[str, Tensor] = MappingProxyType({})


class Further(NamedTuple):
    """The layers that are blended behind colours and depth, by names of their own, and what is not."""

    layers: dict[str, Layer]
    apart: dict[str, Layer]  # blended in a pass of its own, with weights that count as constants
    outputs: Outputs
    labels: Labels | None

    @staticmethod
    def of(
        inputs: Inputs,
        splats: Splats,
        outputs: Outputs,
        features: Mapping[str, Tensor],
        flow: Flow | None,
        labels: Labels | None,
        width: int,
        height: int,
        settings: RenderSettings,
    ) -> Further:
        """Checks what was asked for.

        Raises:
            gsplat_core.errors.NumericalError: with :func:`gsplat_core.set_checks`, if a number is not finite.
            NotImplementedError: the flow of cameras with a seam, or behind a windshield.
            ValueError: there is no such output, it cannot be had of these Gaussians, nothing was asked for at
                all, or an argument has a wrong shape, type or value; the message names it.
        """
        for name in outputs.further:
            check_choice("outputs", name, FURTHER)
        layers = {name: LAYERS[name](inputs, splats) for name in outputs.further if name in LAYERS}
        flat = EVERY_RESPONSE[inputs.response].flat
        if inputs.planes and (outputs.hits or outputs.depth != "none"):
            layers["hits"] = plane_layer(inputs, splats, squares=outputs.hits)
        elif outputs.hits and not flat:
            layers["hits"] = hits(splats)
        check_features(features, inputs, splats.depths.shape[1])
        if checks_enabled():
            require_finite(**{f"features[{name!r}]": tensor for name, tensor in features.items()})
        for name, tensor in features.items():
            layers[f"features {name}"] = feature(tensor, inputs, splats)
        apart: dict[str, Layer] = {}
        if flow is not None:
            if inputs.windshield is not None:
                raise NotImplementedError("there is no flow through 'external_distortion_coeffs'")
            if inputs.camera in TURN:
                raise NotImplementedError(f"there is no flow over the seam of {inputs.camera!r} cameras")
            # Only beside nothing that moves the weights are those of the first rendering constants.
            moves = any(tensor.requires_grad for tensor in splats)
            beside = apart if flow.detached and moves else layers
            beside["flow"] = flow_layer(flow, inputs, width, height, settings)
        if labels is not None:
            labels = check_labels(labels, inputs, width, height)
        apart_from_channels = flat and outputs.depth != "none"
        if not layers and not outputs.colors and (apart_from_channels or outputs.depth == "none"):
            asked = outputs.further or outputs.top or outputs.hits or apart_from_channels
            if not asked and flow is None and labels is None:
                raise ValueError("a rendering without colours, depth and anything else would be empty")
            layers["nothing"] = Layer(splats.depths.detach()[..., None])  # alphas are blended with something
        return Further(layers, apart, outputs, labels)

    def channels(self) -> list[Tensor]:
        """What is to be blended behind the others, [B, C, N, K] each."""
        return [layer.values for layer in self.layers.values()]

    def finish(
        self,
        blended: Tensor,
        splats: Splats,
        tiles: TileLists,
        width: int,
        height: int,
        settings: RenderSettings,
        response: str,
        extras: Tensor | None,
        rays: Rays | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Takes the blended channels [B, C, H, W, K] apart: those in front of the layers, and by their names
        all further outputs, with the batch dimension of the stages."""
        sizes = [layer.values.shape[-1] for layer in self.layers.values()]
        main, *others = blended.split([blended.shape[-1] - sum(sizes), *sizes], dim=-1)
        parts = zip(self.layers.items(), others, strict=True)
        found = {name: layer.finished(part) for (name, layer), part in parts if name != "nothing"}
        for name, layer in self.apart.items():
            constant = Splats(*[tensor.detach() for tensor in splats])
            alone = composite(
                constant, layer.values, None, tiles, width, height, settings,
                response=response, extras=None if extras is None else extras.detach(),
                rays=None if rays is None else rays.detached(),
            )  # fmt: skip
            found[name] = layer.finished(alone.colors)
        found |= look(
            self.outputs.further, self.outputs.top, self.labels, splats, tiles, width, height, settings,
            response=response, extras=extras, rays=rays,
        )  # fmt: skip
        return main, found


def in_meta(found: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Any]:
    """The same as the meta has it: features by their own names in a dictionary."""
    entries: dict[str, Any] = {name: found[name] for name in found if not name.startswith("features ")}
    if features:
        entries["features"] = {name: found[f"features {name}"] for name in features}
    return entries
