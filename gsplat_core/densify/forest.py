"""Growth and pruning of GaussianForest (Zhang et al. 2024; `gsplat_core/models/forest.py`), level by level.

Leaves are Gaussians, and whatever strategy stands behind edits them as it edits those that they look like: by
ADC they grow where the images pull at them, and go when they are transparent. A new leaf belongs to the node
of the leaf that it came from.

Whenever leaves are refined, nodes whose leaves have all gone go, and nodes divide as long as there are fewer
than one for so many leaves: first those at whose features the images pulled most, by the mean length of
gradients since the last time. A node that divides becomes two with the same feature, and its leaves on the
two sides of their middle, across the axis along which they lie farthest apart, are one's and the other's. So
nothing looks different at that moment. Roots divide among their nodes likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split
from gsplat_core.densify.plan import RowPlan, compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import foremost, indices
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView, Strategy
from gsplat_core.models.forest import NODE_FEATURES, NODE_PARENTS, PARENT, ROOT_FEATURES, added, decoded
from gsplat_core.octree import group_means
from gsplat_core.ranges import Range, check_ranges

_PULL = "pull"


@dataclass(frozen=True)
class ForestConfig:
    """Args:
        leaves_per_node: nodes divide while there are fewer than one for so many leaves ...
        nodes_per_root: ... and roots while there are fewer than one for so many nodes.

    Raises:
        ValueError: a value outside its range.
    """

    leaves_per_node: Annotated[float, Range(1, 1e6)] = 4.0
    nodes_per_root: Annotated[float, Range(1, 1e6)] = 16.0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> ForestConfig:
        """The same: it refines when the strategy behind does."""
        return self


class Forest(Plugin):
    """The plug-in; see the module. Of a scene of another primitive it leaves everything to the strategy
    behind."""

    def __init__(self, base: Strategy, config: ForestConfig | None = None) -> None:
        self.config = ForestConfig() if config is None else config
        super().__init__(base)
        self._levels: dict[str, ParameterStore] = {}
        self._shared: dict[str, Tensor] = {}
        self._extras: MutableMapping[str, Tensor] = {}
        self._divisions: dict[str, list[Edit]] = {}
        self._whose = torch.zeros(0, dtype=torch.int64)

    def adopted(self, store: ParameterStore) -> None:
        super().adopted(store)
        self._shared, self._extras, self._levels = store.shared, store.extras, {}
        for features in (NODE_FEATURES, ROOT_FEATURES):
            if (tensor := store.shared.get(features)) is not None:
                extras = {_PULL: tensor.new_zeros(len(tensor))}
                if features == NODE_FEATURES:
                    extras[NODE_PARENTS] = store.shared[NODE_PARENTS]
                self._levels[features] = ParameterStore({features: tensor}, store.optimizers, extras)

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        super().on_backward(step, stats)
        if step >= self.ends:
            return
        for name, level in self._levels.items():
            if (gradient := level.params[name].grad) is not None:
                level.extras[_PULL] += gradient.norm(dim=1).nan_to_num(0, 0, 0)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if not self._levels:
            return super().on_step(step, view)
        grows = self.grows_at(step)
        edits = super().on_step(step, self._as_drawn(view))
        edits = self._own(view, edits)
        return self._with_nodes(view, edits) if grows else edits

    def follow(self, plan: RowPlan) -> None:
        """Nodes and roots divide together with the edits of leaves: until then, all look as they did."""
        super().follow(plan)
        for name, edits in self._divisions.items():
            self._levels[name].apply(edits)
            self._levels[name].extras[_PULL].zero_()
        if self._divisions:
            self._levels[NODE_FEATURES].extras[NODE_PARENTS] = self._shared[NODE_PARENTS] = self._whose
            self._divisions = {}

    def need(self, view: SceneView) -> Tensor | None:
        return super().need(self._as_drawn(view))

    def divides(self, view: SceneView) -> Tensor | None:
        return super().divides(self._as_drawn(view))

    def state_dict(self) -> dict[str, Tensor]:
        pulls = {f"{_PULL}.{name}": level.extras[_PULL].clone() for name, level in self._levels.items()}
        return {**super().state_dict(), **pulls}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from `state_dict`, after `adopted`."""
        pulls = {name: state[name] for name in state if name.startswith(f"{_PULL}.")}
        super().load_state_dict({name: state[name] for name in state if name not in pulls})
        lengths = {f"{_PULL}.{name}": level.num for name, level in self._levels.items()}
        if {name: len(pull) for name, pull in pulls.items()} != lengths:
            raise ValueError(f"Forest state: expected {lengths or 'nothing'} of the levels of the trees")
        for name, level in self._levels.items():
            level.set_extras({_PULL: pulls[f"{_PULL}.{name}"]})

    def _fields(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**params, **self._extras, **self._shared}

    def _as_drawn(self, view: SceneView) -> SceneView:
        """The scene as the strategy behind sees it: the plain Gaussians that leaves look like."""
        if not self._levels:
            return view
        return replace(view, params=_Drawn(self._fields(view.params)))

    def _own(self, view: SceneView, edits: list[Edit]) -> list[Edit]:
        """The same edits, with values of what leaves have themselves in place of what they look like."""
        if not any(_SHARED_FIELDS & edit.values.keys() for edit in edits if not isinstance(edit, Prune)):
            return edits
        parts = added(self._fields(view.params))
        return [
            edit if isinstance(edit, Prune) else replace(edit, values=_less(edit, parts)) for edit in edits
        ]

    def _with_nodes(self, view: SceneView, edits: list[Edit]) -> list[Edit]:
        """Has nodes and roots divide as soon as the edits are carried out, to which it adds whose leaves are
        then."""
        nodes, roots = self._levels[NODE_FEATURES], self._levels[ROOT_FEATURES]
        means, parent = view.params["means"].detach(), self._extras[PARENT]
        inside = indices((parent >= 0) & (parent < nodes.num))
        places = means[inside]
        of_nodes, members = _divided(
            nodes, parent[inside].long(), places, int(view.num / self.config.leaves_per_node)
        )
        after = compile_edits(of_nodes, nodes.num, means.device)
        centres = group_means(places, members, after.num_after).nan_to_num(0, 0, 0)
        most = int(after.num_after / self.config.nodes_per_root)
        of_roots, whose = _divided(roots, after.follow(nodes.extras[NODE_PARENTS]), centres, most)
        self._divisions = {NODE_FEATURES: of_nodes, ROOT_FEATURES: of_roots}
        self._whose = whose
        parent = parent.index_copy(0, inside, members.to(parent))
        return [Reset(None, {PARENT: parent}, forget="none"), *(_inheriting(edit, parent) for edit in edits)]


_SHARED_FIELDS = frozenset({"scales", "quats", "sh0", "shN"})


class _Drawn(Mapping[str, Tensor]):
    """Raw parameters of what leaves look like, decoded when something other than places and opacities is
    asked for, which strategies do in few steps."""

    def __init__(self, fields: Mapping[str, Tensor]) -> None:
        self._fields = fields
        self._decoded: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name in _SHARED_FIELDS:
            self._decoded = self._decoded or decoded(self._fields)
            return self._decoded[name]
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("means", "quats", "scales", "opacities", "sh0", "shN"))

    def __len__(self) -> int:
        return 6


def _sources(edit: Clone | Split | Move | Reset) -> Tensor | slice:
    """The rows that the rows of an edit are, or become copies of."""
    rows = edit.sources if isinstance(edit, Move) else edit.rows
    return slice(None) if rows is None else rows


def _less(edit: Clone | Split | Move | Reset, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    values = dict(edit.values)
    for name in _SHARED_FIELDS & values.keys():
        part = parts[name][_sources(edit)]
        values[name] = values[name] - (part[:, None] if isinstance(edit, Split) else part)
    return values


def _inheriting(edit: Edit, parent: Tensor) -> Edit:
    """With the nodes of new rows: an edit copies what was there before nodes divided."""
    if isinstance(edit, Prune | Reset):
        return edit
    own = parent[_sources(edit)]
    own = own[:, None].expand(-1, edit.children) if isinstance(edit, Split) else own
    return replace(edit, values={**edit.values, PARENT: own})


def _divided(level: ParameterStore, members: Tensor, places: Tensor, most: int) -> tuple[list[Edit], Tensor]:
    """What removes those without members and divides those that are pulled at most, up to so many.

    Args:
        level: nodes or roots.
        members: [P] int64, whose each leaf or node is.
        places: [P, 3] of these.

    Returns:
        The edits of the level, and [P] whose they are then.
    """
    num = torch.bincount(members, minlength=level.num)
    kept = num > 0
    offsets = places - group_means(places, members, level.num)[members]
    spread = group_means(offsets.square(), members, level.num)
    along = offsets.gather(1, spread.argmax(dim=1)[members][:, None])[:, 0]
    left = int(kept.sum())
    divided = foremost(indices(num > 1), level.extras[_PULL], max(most - left, 0))
    first, second = kept.cumsum(0) - 1, torch.full_like(num, -1)
    second[divided] = left + torch.arange(len(divided), device=second.device)
    other = (along > 0) & (second[members] >= 0)
    edits: list[Edit] = [Prune(indices(~kept)), Clone(divided)]
    return edits, torch.where(other, second[members], first[members])
