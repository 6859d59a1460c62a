"""GaussianForest: Gaussians that are the leaves of trees and share what they look like with their siblings
(Zhang et al. 2024, "GaussianForest: Hierarchical-Hybrid 3D Gaussian Splatting for Compressed Scene
Modeling"; written from its published description, docs/forest.md says what that leaves open).

A tree has three levels. Leaves, the rows of the scene, are explicit: each has its place, its opacity and the
number of its node. Nodes and the roots above them are implicit: each has a feature f, r, and one small
network for all of them decodes what a node's leaves share, their log-scales, quaternion and colours in raw
numbers,

    x = (f, r, 1),    y = A (x, max(0, B x)).

The decoder does not know the camera, so that a scene looks exactly like one of plain Gaussians (`baked`), and
it is evaluated once for each node. A leaf's own fields are what is added to y: `scales` and `sh0`, which are
trained, tell it from its siblings; quaternions and further harmonics are of the node alone. A leaf without a
node has nothing added, and so is a plain Gaussian.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.octree import group_means, octree_cells
from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import GAUSSIAN, SIMILARITIES, Field, Shared
from gsplat_core.scene.similarity import Similarity

FOREST = "forest"
PARENT = "parent"
"""The carried field: the number of a leaf's node, a whole number; -1 where it has none."""
NODE_FEATURES, NODE_PARENTS, ROOT_FEATURES = "node_features", "node_parents", "root_features"
HIDDEN = "to_hidden"
OUTPUTS = ("to_scales", "to_quats", "to_sh0", "to_shN")
"""The rows of A, by what they decode."""

NODE_SIZE, ROOT_SIZE, HIDDEN_SIZE = 16, 16, 32
INPUTS = NODE_SIZE + ROOT_SIZE + 1
UNITS = INPUTS + HIDDEN_SIZE

LEAVES, NODES = 8, 16
"""At most so many leaves are in a node, and nodes in a root, when a training starts."""

# The first features are colours, sizes and turns, in units in which all features can learn at one rate.
_COLOURS, _SIZES, _TURNS = slice(0, 3), slice(3, 6), slice(6, 9)
_PER_FEATURE = {"to_sh0": 0.5, "to_scales": 1.0, "to_quats": 0.3}
_SPREAD, _SPREAD_OF_HARMONICS = 0.05, 0.02


def _turned_outputs(weights: Tensor, similarity: Similarity) -> Tensor:
    """[4, UNITS] of quaternions, whose every column is one."""
    return SIMILARITIES["rotation"](weights.T, similarity).T.contiguous()


def _turned_harmonics(weights: Tensor, similarity: Similarity) -> Tensor:
    """[K-1, 3, UNITS], every last index of which is a row of harmonics."""
    rows = weights.permute(2, 0, 1).contiguous()
    return SIMILARITIES["harmonics"](rows, similarity).permute(1, 2, 0).contiguous()


SCHEMA = (
    GAUSSIAN.changed("quats", learning_rate=None)
    .changed("shN", learning_rate=None)
    .plus(Field(PARENT, role="carried", blank=-1.0))
    .sharing(
        Shared(NODE_FEATURES, (-1, NODE_SIZE), learning_rate=5e-3, decay=0.3),
        Shared(NODE_PARENTS, (-1,), integer=True),
        Shared(ROOT_FEATURES, (-1, ROOT_SIZE), learning_rate=2.5e-3, decay=0.3),
        Shared(HIDDEN, (HIDDEN_SIZE, INPUTS), learning_rate=2e-4, decay=0.1),
        Shared("to_scales", (3, UNITS), learning_rate=1e-4, decay=0.1),
        Shared("to_quats", (4, UNITS), learning_rate=5e-5, decay=0.1, similarity=_turned_outputs),
        Shared("to_sh0", (3, UNITS), learning_rate=1e-4, decay=0.1),
        Shared("to_shN", (-1, 3, UNITS), learning_rate=2e-5, decay=0.1, similarity=_turned_harmonics),
    )
)


def added(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each leaf has of its node, by field: scales [N, 3], quats [N, 4], sh0 [N, 1, 3] and
    shN [N, K-1, 3], all raw and 0 for leaves without one."""
    units = _units(fields)
    parents, nodes = fields[PARENT].long(), len(units) - 1
    parents = torch.where((parents < 0) | (parents > nodes), nodes, parents)
    # Harmonics apart, which are most of all numbers: rows of a part of a table are slow to collect.
    few = torch.cat([fields[name] for name in OUTPUTS[:3]])
    own = _rows_of(units @ few.T, parents)
    harmonics = _rows_of(units @ fields["to_shN"].reshape(-1, UNITS).T, parents)
    return {
        "scales": own[:, :3],
        "quats": own[:, 3:7],
        "sh0": own[:, 7:].unflatten(1, (1, 3)),
        "shN": harmonics.unflatten(1, (-1, 3)),
    }


def _units(fields: Mapping[str, Tensor]) -> Tensor:
    """[M + 1, UNITS], what is decoded linearly for each node, and zeros for leaves without one."""
    features = fields[NODE_FEATURES]
    roots = _rows_of(fields[ROOT_FEATURES], fields[NODE_PARENTS])
    inputs = torch.cat([features, roots, features.new_ones(len(features), 1)], dim=1)
    inputs = torch.nn.functional.pad(inputs, (0, 0, 0, 1))
    return torch.cat([inputs, torch.relu(inputs @ fields[HIDDEN].T)], dim=1)


def decoded(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The raw parameters of the plain Gaussians that leaves look like."""
    parts = added(fields)
    shN, own = parts["shN"], fields["shN"]
    # Leaves in trees have no harmonics of their own, and there is nothing to add then.
    if own.shape[1]:
        degree = max(shN.shape[1], own.shape[1])
        shN, own = (torch.nn.functional.pad(t, (0, 0, 0, degree - t.shape[1])) for t in (shN, own))
        shN = own + shN
    rest = {name: fields[name] + parts[name] for name in ("quats", "scales", "sh0")}
    return {"means": fields["means"], "opacities": fields["opacities"], **rest, "shN": shN}


def baked(scene: Gaussians) -> Gaussians:
    """The scene of plain Gaussians that it looks exactly like."""
    return scene.with_primitive(PLAIN).with_fields(decoded(scene.fields))


def started(scene: Gaussians, seed: int) -> Gaussians:
    """Plants trees: nodes are cells of an octree of at most `LEAVES` Gaussians, and roots such of at most
    `NODES` nodes. Nodes have the mean size and colour of their leaves, which have what is missing to their
    own, so that all look as before, where they have neither a rotation nor harmonics. Those are given up, as
    trees have to learn them; what was turned becomes round and as large."""
    turned = (scene.quats[:, 1:] != 0).any(dim=1, keepdim=True)
    sizes = torch.where(turned, scene.scales.mean(dim=1, keepdim=True), scene.scales)
    parents = octree_cells(scene.means, LEAVES)
    count = int(parents.max()) + 1 if scene.num else 0
    roots = octree_cells(group_means(scene.means, parents, count), NODES)
    scales = group_means(sizes, parents, count)
    colours = group_means(scene.sh0[:, 0], parents, count)
    shared = _untrained(scene, seed)
    middle = scales.mean(dim=0) if count else scene.means.new_zeros(3)
    shared["to_scales"][:, INPUTS - 1] = middle
    features = scene.means.new_zeros(count, NODE_SIZE)
    features[:, _COLOURS] = colours / _PER_FEATURE["to_sh0"]
    features[:, _SIZES] = (scales - middle) / _PER_FEATURE["to_scales"]
    shared |= {
        NODE_FEATURES: features,
        NODE_PARENTS: roots,
        ROOT_FEATURES: scene.means.new_zeros(int(roots.max()) + 1 if count else 0, ROOT_SIZE),
    }
    return dataclasses.replace(
        scene,
        quats=SCHEMA["quats"].blanks(scene.num, scene.means),
        scales=sizes - scales[parents],
        sh0=scene.sh0 - colours[parents][:, None],
        shN=scene.shN[:, :0],
        extras=scene.extras | {PARENT: parents.to(scene.means)},
        shared=shared,
    )


def _untrained(scene: Gaussians, seed: int) -> dict[str, Tensor]:
    """Weights with which the first features are what they are meant for and the other ones do a little of
    everything; hidden units do nothing yet."""
    random = torch.Generator().manual_seed(seed)
    shapes = {"to_scales": (3,), "to_quats": (4,), "to_sh0": (3,), "to_shN": (scene.shN.shape[1], 3)}
    weights = {}
    for name, shape in shapes.items():
        spread = _SPREAD_OF_HARMONICS if name == "to_shN" else _SPREAD
        rows = torch.zeros(*shape, UNITS)
        others = slice(_TURNS.stop, INPUTS - 1)
        rows[..., others] = spread * torch.randn(*shape, INPUTS - 1 - _TURNS.stop, generator=random)
        weights[name] = rows
    for name, meant in (("to_sh0", _COLOURS), ("to_scales", _SIZES), ("to_quats", _TURNS)):
        weights[name][-3:, meant] = _PER_FEATURE[name] * torch.eye(3)
    bound = 1 / math.sqrt(INPUTS)
    weights[HIDDEN] = bound * (2 * torch.rand(HIDDEN_SIZE, INPUTS, generator=random) - 1)
    return {name: tensor.to(scene.means) for name, tensor in weights.items()}


def _rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Rows [P, D] of a table [M, D]. Its derivative is summed up in the order of the rows, whatever the
    number of threads, and much faster than that of an index."""
    return table.gather(0, rows[:, None].expand(-1, table.shape[1]))


@register(FOREST, SCHEMA, baked=baked, started=started, kept=True)
def forest(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(decoded(params), context)
