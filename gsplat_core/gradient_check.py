"""Whether the derivatives of a renderer are those of its images, checked through its images alone.

First along random directions in which all parameters move at once (`along_directions`): that has no variance,
and a few directions see nearly any mistake, but they do not tell where it is. Then by stochastic estimates of
every single parameter (`estimate`), from which a wrong one stands out (`suspects`); `check` does one after
the other.

A renderer has real jumps: where alpha falls below 1/255 a splat ends, pixels are finished, two splats swap.
No derivative knows of those, and no setting of the kernels takes them away. So only pixels count which list
the same Gaussians in the same order wherever one looks (`frozen`): there, nothing has jumped. What is left
are kinks: the cap of alpha at 0.99, and colours that are cut off at 0. Scenes to check with stay away from
both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from gsplat_core.stochastic_gradients import Draw, Parameter, Pixels, draw, signs

Renderer: TypeAlias = Callable[[Mapping[str, Tensor]], Pixels]
"""Parameters by name in, the pixels out: `losses` that autograd can differentiate, and `lists` in the order
in which the pixel blends its Gaussians, complete."""

Z_LIMIT = 5.0
"""How many standard errors a correct derivative is never away from its estimate: once in two million."""


class Directions(NamedTuple):
    """What came of moving along random directions."""

    errors: Tensor
    """[D], relative to how much the loss changes along such a direction on average."""
    kept: float
    """The share of the listing pixels that counted."""
    gradients: dict[str, Tensor]
    """The derivatives that were checked, those of the loss of these pixels."""
    pixels: Tensor
    """[P] bool, which pixels counted."""


class Estimate(NamedTuple):
    """Stochastic estimates of gradients by name, and their standard errors."""

    mean: dict[str, Tensor]
    error: dict[str, Tensor]
    draws: int


class Suspect(NamedTuple):
    """A parameter whose derivative is not what renderings say."""

    field: str
    place: tuple[int, ...]
    """In the field; the first number is that of the Gaussian."""
    z: float
    """How many standard errors derivative and estimate are apart."""
    derivative: float
    estimate: float

    def __str__(self) -> str:
        place = ", ".join(map(str, self.place))
        values = f"{self.derivative:.4g}, by rendering {self.estimate:.4g}"
        return f"{self.field}[{place}]: {values} ({self.z:.0f} standard errors)"


class Checked(NamedTuple):
    """Directions, and if their errors were too large, the parameters that are to blame, the worst first."""

    passed: bool
    directions: Directions
    fields: dict[str, float]
    """Where it failed: the largest error along directions of each field alone."""
    suspects: list[Suspect]


def check(
    render: Renderer,
    parameters: Mapping[str, Tensor],
    *,
    tolerance: float,
    step: float,
    whole: AbstractSet[str] = frozenset(),
    directions: int = 20,
    draws: int = 256,
    seed: int = 0,
) -> Checked:
    """Along directions; where that fails, along those of each field alone, and by estimates of every
    parameter of the fields that fail.

    Args:
        render: see `Renderer`.
        parameters: of any float type, which is that of the renderings.
        tolerance: of the errors along directions: 1e-4 in float64, 1e-2 in float32.
        step: how far to move, see `step_sizes`: 1e-5 in float64, 2e-3 in float32, where a smaller one drowns
            in rounding.
        whole: names of the parameters on which all pixels depend, not those that list a row of it.
        directions, draws: how many.
        seed: of the random signs.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = step_sizes(render, parameters, step)
    found = along_directions(render, parameters, steps, directions, generator)
    if bool((found.errors < tolerance).all()):
        return Checked(True, found, {}, [])
    fields, named = {}, []
    for name, value in parameters.items():

        def moving(alone: Mapping[str, Tensor]) -> Pixels:
            return render({**parameters, **alone})

        of_field = along_directions(moving, {name: value}, steps, 4, generator)
        fields[name] = float(of_field.errors.max())
        # The same error counts for more where it is relative to the change of one field, not of all.
        if not fields[name] < tolerance * math.sqrt(len(parameters)):
            estimated = estimate(moving, {name: value}, steps, draws, whole, of_field.pixels, generator)
            named += suspects(of_field.gradients, estimated, tolerance)
    return Checked(False, found, fields, sorted(named, key=lambda suspect: -suspect.z))


def along_directions(
    render: Renderer,
    parameters: Mapping[str, Tensor],
    steps: Mapping[str, float],
    directions: int = 20,
    generator: torch.Generator | None = None,
) -> Directions:
    """Compares s . g with (L(x + e s) - L(x - e s)) / 2 for random signs s, where the loss L is that of the
    pixels that are frozen in all of these renderings.

    Args:
        steps: e, how far to move the parameters of each field.
    """
    ends: list[tuple[dict[str, Tensor], Tensor]] = []
    middle, gradients_of = _differentiable(render, parameters)
    lists = [middle.lists]
    for _ in range(directions):
        moves = {name: steps[name] * signs(value, generator) for name, value in parameters.items()}
        with torch.no_grad():
            forth, back = ({n: v + sign * moves[n] for n, v in parameters.items()} for sign in (1, -1))
            plus, minus = render(forth), render(back)
        lists += [plus.lists, minus.lists]
        # What was really moved: the sum was rounded.
        moved = {name: forth[name].double() - back[name].double() for name in parameters}
        ends.append((moved, plus.losses.double() - minus.losses.double()))
    pixels = frozen([some for some in lists if some is not None], len(middle.losses))
    gradients = gradients_of(pixels)
    differences, slopes, squares = [], [], []
    for moved, changes in ends:
        products = [gradients[name].double() * moved[name] for name in parameters]
        differences.append(changes[pixels].sum())
        slopes.append(torch.stack([product.sum() for product in products]).sum())
        squares.append(torch.stack([product.square().sum() for product in products]).sum())
    typical = torch.stack(squares).mean().sqrt().clamp(min=1e-300)
    errors = (torch.stack(slopes) - torch.stack(differences)).abs() / typical
    listed = torch.ones_like(pixels) if middle.lists is None else (middle.lists >= 0).any(1)
    kept = float((pixels & listed).sum() / listed.sum().clamp(min=1))
    return Directions(errors, kept, gradients, pixels)


def estimate(
    render: Renderer,
    parameters: Mapping[str, Tensor],
    steps: Mapping[str, float],
    draws: int,
    whole: AbstractSet[str] = frozenset(),
    pixels: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """The gradients of the sum of the losses, from `draws` pairs of renderings without any derivative.

    Args:
        pixels: [P] bool, those that count; None for all. Of them, those of a pair count that it freezes.
    """
    names = list(parameters)
    asked = [Parameter(parameters[name], steps[name], name in whole) for name in names]

    def measure(values: list[Tensor]) -> Pixels:
        return render(dict(zip(names, values, strict=True)))

    def trusted(plus: Pixels, minus: Pixels) -> Tensor:
        lists = [some.lists for some in (plus, minus) if some.lists is not None]
        same = frozen(lists, len(plus.losses))
        return same if pixels is None else same & pixels

    one: list[Draw] = [draw(measure, asked, generator, trusted) for _ in range(draws)]
    mean, error = {}, {}
    for name, *gradients in zip(names, *[drawn.gradients for drawn in one], strict=True):
        stacked = torch.stack(gradients).double()
        mean[name] = stacked.mean(0)
        error[name] = stacked.std(0) / math.sqrt(draws)
    return Estimate(mean, error, draws)


def suspects(
    gradients: Mapping[str, Tensor], estimated: Estimate, precision: float = 1e-2, limit: float = Z_LIMIT
) -> list[Suspect]:
    """The parameters whose derivatives are more than `limit` standard errors from their estimates, the
    farthest first.

    Args:
        precision: that of the renderings, relative: standard errors are not taken for less, as where a
            Gaussian has its pixels for itself.
    """
    found = []
    for name, mean in estimated.mean.items():
        derivative = gradients[name].double()
        least = precision * (mean.abs() + mean.square().mean().sqrt())
        error = torch.maximum(estimated.error[name], least).clamp(min=1e-300)
        z = (derivative - mean).abs() / error
        for index in (z > limit).nonzero().tolist():
            place = tuple(index)
            found.append(Suspect(name, place, float(z[place]), float(derivative[place]), float(mean[place])))
    return sorted(found, key=lambda suspect: -suspect.z)


def frozen(lists: Sequence[Tensor], num_pixels: int) -> Tensor:
    """[P] bool: which pixels have the same Gaussians in the same order in all lists [P, K], -1 for none."""
    same = torch.ones(num_pixels, dtype=torch.bool)
    if not lists:
        return same
    longest = max(some.shape[1] for some in lists)
    padded = [torch.nn.functional.pad(some.long(), (0, longest - some.shape[1]), value=-1) for some in lists]
    for other in padded[1:]:
        same = same & (other == padded[0]).all(1).cpu()
    return same.to(lists[0].device)


def step_sizes(render: Renderer, parameters: Mapping[str, Tensor], step: float) -> dict[str, float]:
    """How far the values of each field are moved: such that all fields change the loss alike, so that the
    loud ones do not drown a mistake in a quiet one, and by about `step` of their typical size.

    How much a field changes the loss is up to its derivative. If that is wrong, it is one that stands out.
    """
    middle, gradients_of = _differentiable(render, parameters)
    gradients = gradients_of(torch.ones_like(middle.losses, dtype=torch.bool))
    sizes, changes = {}, {}
    for name, value in parameters.items():
        sizes[name] = float(value.detach().double().square().mean().sqrt()) or 1.0
        changes[name] = sizes[name] * float(gradients[name].double().norm())
    audible = [math.log(change) for change in changes.values() if change > 0]
    usual = math.exp(sum(audible) / max(len(audible), 1))
    return {
        name: step * size * (min(max(usual / changes[name], 1 / _MOST), _MOST) if changes[name] else 1.0)
        for name, size in sizes.items()
    }


_MOST = 300.0  # times as far, or as little, as all fields on average


def _differentiable(
    render: Renderer, parameters: Mapping[str, Tensor]
) -> tuple[Pixels, Callable[[Tensor], dict[str, Tensor]]]:
    """A rendering, and the gradients of the sum of its losses over the pixels [P] that count."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
    rendered = render(leaves)

    def gradients(pixels: Tensor) -> dict[str, Tensor]:
        loss = rendered.losses[pixels].sum()
        found = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, materialize_grads=True)
        return dict(zip(leaves, found, strict=True))

    return rendered, gradients
