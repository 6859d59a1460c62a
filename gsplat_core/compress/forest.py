"""Scenes of `gsplat_core/models/forest.py`, coded as the trees that they are.

Leaves are in Morton order, with cells of positions, opacities and what they have of their own in sizes and
colours, rounded to steps and predicted from three near leaves. Their nodes are told by those of near leaves
(`links`), and roots by those of near nodes. Features and weights are rounded, too; what leaves have of their
own is taken after that, so that sizes and constant colours are as exact as their own steps, however coarse
features are.

The file's header has, besides what every one has (`container`), `nodes` and `roots`, their numbers, `turn`,
the quaternion that all leaves have of their own, which is by how much the scene was turned, `lattice` and
`steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.fields import OPACITY_LIMIT
from gsplat_core.compress.latents import rows_before
from gsplat_core.compress.links import decode_links, encode_links, numbered
from gsplat_core.compress.positions import Lattice
from gsplat_core.compress.rounded import LARGEST_STEP, SMALLEST_STEP
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.models.forest import (
    FOREST,
    HIDDEN,
    HIDDEN_SIZE,
    INPUTS,
    NODE_FEATURES,
    NODE_PARENTS,
    NODE_SIZE,
    OUTPUTS,
    PARENT,
    ROOT_FEATURES,
    ROOT_SIZE,
    UNITS,
    added,
)
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.ops.context_coder import (
    decode_ascending,
    decode_table,
    earlier_neighbors,
    encode_ascending,
    encode_table,
)
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import degree_of, num_coefficients

_MOST_STEPS = 2**27
"""Beyond which no number is, so that those of damaged files stay finite when they are multiplied."""

_OUTPUT_ROWS = {"to_scales": 3, "to_quats": 4, "to_sh0": 3}


@dataclass(frozen=True)
class ForestSteps:
    """Distances between neighbouring values: of positions, in units of the lattice; of what leaves have of
    their own; of features; and of weights."""

    position: float = 2.0**-10
    opacity: float = 0.4
    scales: float = 0.2
    sh0: float = 0.08
    features: float = 0.08
    weights: float = 2.0**-13

    def times(self, factor: float) -> ForestSteps:
        """All steps coarser by a factor."""
        return ForestSteps(**{name: step * factor for name, step in asdict(self).items()})


class ForestCodec:
    """Args:
    coarseness: a factor on the usual steps.
    """

    name = FOREST

    def __init__(self, coarseness: float = 1.0) -> None:
        self.steps = ForestSteps().times(coarseness)

    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene; its leaves are in Morton order there, and nodes and roots in that of their leaves.

        Raises:
            UnsuitableSceneError: these are no leaves, there are some without a node, or with a rotation or
                harmonics of their own.
        """
        if gaussians.primitive != FOREST:
            raise UnsuitableSceneError(
                "(memory)", f"the codec {FOREST!r} codes scenes of that primitive, not of "
                f"{gaussians.primitive!r}",
            )  # fmt: skip
        return _encoded(gaussians.detached().to("cpu", torch.float32), self.steps)


@torch.no_grad()
def _encoded(scene: Gaussians, steps: ForestSteps) -> Container:
    _require_trees(scene)
    lattice = Lattice.around(scene.means, steps.position)
    codes, order = morton_codes(lattice.cells(scene.means)).sort(stable=True)
    scene = scene.subset(order)
    cells = morton_cells(codes).int()
    near = earlier_neighbors(cells)
    parents, nodes = numbered(scene.extras[PARENT].long())
    near_nodes = earlier_neighbors(cells[_firsts(parents, len(nodes))])
    roots, kept = numbered(scene.shared[NODE_PARENTS][nodes])
    own = scene.shared
    features = {NODE_FEATURES: own[NODE_FEATURES][nodes], ROOT_FEATURES: own[ROOT_FEATURES][kept]}
    weights = {HIDDEN: own[HIDDEN], "outputs": torch.cat([own[name].reshape(-1, UNITS) for name in OUTPUTS])}
    tables = {name: _numbers(value, steps.features) for name, value in features.items()}
    tables |= {name: _numbers(value, steps.weights) for name, value in weights.items()}

    rounded = _shared(tables, steps, roots)
    exact, coded = added(scene.fields), added({PARENT: parents, **rounded})
    tables |= {
        "opacity": _numbers(scene.opacities[:, None].clamp(-OPACITY_LIMIT, OPACITY_LIMIT), steps.opacity),
        "scales": _numbers(scene.scales + exact["scales"] - coded["scales"], steps.scales),
        "sh0": _numbers((scene.sh0 + exact["sh0"] - coded["sh0"])[:, 0], steps.sh0),
    }
    streams = {"positions": encode_ascending(codes)}
    streams["parents"], streams["older parents"] = encode_links(parents, near)
    streams["roots"], streams["older roots"] = encode_links(roots, near_nodes)
    for name, table in tables.items():
        streams[name] = encode_table(table, _neighbors(name, len(table), near, near_nodes))
    header = {
        "codec": FOREST,
        "count": scene.num,
        "sh_degree": degree_of(own["to_shN"].shape[0] + 1),
        "nodes": len(nodes),
        "roots": len(kept),
        "turn": scene.quats[0].tolist() if scene.num else [1.0, 0.0, 0.0, 0.0],
        "lattice": lattice.to_json(),
        "steps": asdict(steps),
    }
    return Container(header, streams, order=order)


def decode(container: Container) -> Gaussians:
    """The scene that `ForestCodec` coded.

    Raises:
        DataError: a stream or an entry of the header is missing or out of range.
    """
    count = container.count
    nodes = container.integer("nodes", min(count, 1), count)
    roots = container.integer("roots", min(nodes, 1), nodes)
    lattice = Lattice.from_header(container.inner("lattice"))
    given = container.inner("steps")
    steps = ForestSteps(
        **{name: given.number(name, SMALLEST_STEP, LARGEST_STEP) for name in asdict(ForestSteps())}
    )
    cells = morton_cells(decode_ascending(container.stream("positions"), count))
    near = earlier_neighbors(cells.int())
    parents = decode_links(container.stream("parents"), container.stream("older parents"), near, nodes)
    near_nodes = earlier_neighbors(cells.int()[_firsts(parents, nodes)])
    whose = decode_links(container.stream("roots"), container.stream("older roots"), near_nodes, roots)
    harmonics = 3 * (num_coefficients(container.sh_degree) - 1)
    sizes = {
        NODE_FEATURES: (nodes, NODE_SIZE),
        ROOT_FEATURES: (roots, ROOT_SIZE),
        HIDDEN: (HIDDEN_SIZE, INPUTS),
        "outputs": (sum(_OUTPUT_ROWS.values()) + harmonics, UNITS),
        "opacity": (count, 1),
        "scales": (count, 3),
        "sh0": (count, 3),
    }
    tables = {}
    for name, (rows, columns) in sizes.items():
        table = decode_table(container.stream(name), _neighbors(name, rows, near, near_nodes), columns)
        tables[name] = table.clamp(-_MOST_STEPS, _MOST_STEPS)
    turn = torch.tensor(container.numbers("turn", 4, -1e3, 1e3))
    params = {
        "means": lattice.positions(cells),
        "quats": turn.expand(count, 4).clone(),
        "scales": tables["scales"] * steps.scales,
        "opacities": tables["opacity"][:, 0] * steps.opacity,
        "sh0": tables["sh0"][:, None] * steps.sh0,
        "shN": torch.zeros(count, 0, 3),
    }
    return Gaussians.of(params, FOREST, {PARENT: parents.float()}, shared=_shared(tables, steps, whose))


def _require_trees(scene: Gaussians) -> None:
    parents, nodes = scene.extras[PARENT], len(scene.shared[NODE_FEATURES])
    outside = bool(((parents < 0) | (parents >= nodes)).any())
    if outside or bool((scene.quats != scene.quats[:1]).any()) or bool(scene.shN.any()):
        raise UnsuitableSceneError(
            "(memory)",
            "some leaves have no node, or rotations or harmonics of their own, for which a coded forest has "
            "no place",
            remedy="Code what they look like: Gaussians.baked().",
        )


def _firsts(groups: Tensor, count: int) -> Tensor:
    """[count] the first row of each group, and the last row there is for one of none."""
    rows = torch.arange(len(groups))
    firsts = torch.full((count,), max(len(groups) - 1, 0))
    return firsts.scatter_reduce(0, groups, rows, "amin")


def _numbers(values: Tensor, step: float) -> Tensor:
    """[P, D] int32, in steps."""
    return (values / step).round().clamp(-_MOST_STEPS, _MOST_STEPS).int()


def _neighbors(name: str, rows: int, near: Tensor, near_nodes: Tensor) -> Tensor:
    """What the rows of a table are predicted from."""
    if name in ("opacity", "scales", "sh0"):
        return near
    return near_nodes if name == NODE_FEATURES else rows_before(rows)


def _shared(tables: Mapping[str, Tensor], steps: ForestSteps, roots: Tensor) -> dict[str, Tensor]:
    """What leaves share, decoded; `roots` [M] are those of nodes."""
    outputs = tables["outputs"] * steps.weights
    harmonics = len(outputs) - sum(_OUTPUT_ROWS.values())
    parts = dict(zip(OUTPUTS, outputs.split([*_OUTPUT_ROWS.values(), harmonics]), strict=True))
    parts["to_shN"] = parts["to_shN"].reshape(-1, 3, UNITS)
    return {
        NODE_FEATURES: tables[NODE_FEATURES] * steps.features,
        NODE_PARENTS: roots,
        ROOT_FEATURES: tables[ROOT_FEATURES] * steps.features,
        HIDDEN: tables[HIDDEN] * steps.weights,
        **parts,
    }
