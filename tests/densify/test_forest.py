"""Growth of trees: nothing looks different when nodes divide, and leaves are edited as what they are."""

from __future__ import annotations

import pytest
import torch
from models.test_forest import grown
from torch import Tensor

from gsplat_core.densify import ADC, ADCConfig, ParameterStore, RenderStats, SceneView
from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split
from gsplat_core.densify.forest import Forest, ForestConfig
from gsplat_core.densify.strategy import Strategy
from gsplat_core.models.forest import FOREST, NODE_FEATURES, NODE_PARENTS, PARENT, ROOT_FEATURES
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians

STEP = 600


class Says(Strategy):
    """Asks for these edits, made of what it sees, at each step."""

    def __init__(self, edits: object = lambda view: []) -> None:
        super().__init__()
        self.edits = edits

    def grows_at(self, step: int) -> bool:
        return step % 100 == 0

    @property
    def ends(self) -> int:
        return 1000

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        return self.edits(view)  # type: ignore[operator,no-any-return]


class Trees:
    """A forest in training, whose moments are 1."""

    def __init__(self, base: Strategy, num: int = 60, **settings: float) -> None:
        self.scene = grown(num, dtype=torch.float32)
        params = {name: tensor.requires_grad_() for name, tensor in self.scene.params.items()}
        shared = {
            name: tensor.requires_grad_() if tensor.is_floating_point() else tensor
            for name, tensor in self.scene.shared.items()
        }
        self.adam = Adam(
            [{"params": [t]} for t in (*params.values(), *shared.values()) if t.requires_grad], lr=0.0
        )
        for group in self.adam.param_groups:
            group["params"][0].grad = torch.ones_like(group["params"][0])
        self.adam.step()
        self.store = ParameterStore(params, self.adam, self.scene.extras, shared=shared)
        self.strategy = Forest(base, ForestConfig(**settings))
        self.strategy.initialize(num, "cpu")
        self.strategy.adopted(self.store)

    def now(self) -> Gaussians:
        store = self.store
        return Gaussians.of(store.params, FOREST, store.extras, shared=store.shared).detached().cloned()

    def pull(self, nodes: list[float]) -> None:
        """One step, in which the images pull so much at the first nodes and at nothing else."""
        for name in (NODE_FEATURES, ROOT_FEATURES):
            self.store.shared[name].grad = torch.zeros_like(self.store.shared[name])
        gradient = self.store.shared[NODE_FEATURES].grad
        assert gradient is not None
        gradient[: len(nodes), 0] = torch.tensor(nodes)
        none = torch.zeros(1, self.store.num, 2)
        self.strategy.on_backward(STEP - 1, RenderStats(none, none.int(), 10, 10, 1))

    def step(self, step: int = STEP) -> None:
        edits = self.strategy.on_step(step, SceneView(self.store.params, 1.0))
        self.strategy.follow(self.store.apply(edits))


def members(scene: Gaussians) -> Tensor:
    """[M] how many leaves each node has."""
    return torch.bincount(scene.extras[PARENT].long(), minlength=len(scene.shared[NODE_FEATURES]))


def test_nothing_divides_before_edits_are_carried_out() -> None:
    """Until then, others may look at the scene."""
    trees = Trees(Says(), leaves_per_node=1.5)
    before = trees.now().state_dict()
    trees.strategy.on_step(STEP, SceneView(trees.store.params, 1.0))
    assert all(torch.equal(value, before[name]) for name, value in trees.now().state_dict().items())


def test_dividing_changes_no_look() -> None:
    trees = Trees(Says(), leaves_per_node=1.5, nodes_per_root=5)
    before = trees.now()
    trees.step()
    after = trees.now()
    assert len(after.shared[NODE_FEATURES]) == 40 > len(before.shared[NODE_FEATURES])
    assert len(after.shared[ROOT_FEATURES]) == 8 > len(before.shared[ROOT_FEATURES])
    for ours, theirs in zip(after.baked().params.values(), before.baked().params.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_nodes_divide_where_images_pull_and_share_their_leaves_out() -> None:
    trees = Trees(Says())
    before = trees.now()
    num = len(before.shared[NODE_FEATURES])
    most = int(members(before).argmax())
    trees.strategy.config = ForestConfig(leaves_per_node=60 / (num + 1))
    trees.pull([0.0] * most + [1.0])
    trees.step()
    after = trees.now()
    assert len(after.shared[NODE_FEATURES]) == num + 1
    changed = before.extras[PARENT] != after.extras[PARENT]
    assert before.extras[PARENT][changed].unique().tolist() == [most]
    assert after.extras[PARENT][changed].unique().tolist() == [num]
    old, new = after.means[after.extras[PARENT] == most], after.means[changed]
    assert 0 < len(new) < int(members(before)[most])
    axis = int(torch.cat([old, new]).var(dim=0).argmax())
    assert old[:, axis].amax() < new[:, axis].amin()
    assert torch.equal(after.shared[NODE_FEATURES][num], before.shared[NODE_FEATURES][most])
    assert after.shared[NODE_PARENTS][num] == before.shared[NODE_PARENTS][most]


def test_moments_follow_and_those_of_new_nodes_are_zero() -> None:
    trees = Trees(Says(), leaves_per_node=2, nodes_per_root=4)
    nodes, roots = (len(trees.now().shared[name]) for name in (NODE_FEATURES, ROOT_FEATURES))
    trees.step()
    for name, num in ((NODE_FEATURES, nodes), (ROOT_FEATURES, roots)):
        moments = trees.adam.state[trees.store.shared[name]]["exp_avg"]
        assert moments.shape == trees.store.shared[name].shape
        assert bool((moments[:num] != 0).all())
        assert not moments[num:].any()


def test_what_has_no_members_goes_and_looks_stay() -> None:
    scene = grown(dtype=torch.float32)
    first_root = scene.shared[NODE_PARENTS][scene.extras[PARENT].long()] == 0
    gone = Prune(first_root.nonzero()[:, 0])
    trees = Trees(Says(lambda view: [gone] if view.num == scene.num else []))
    before = trees.now().subset(~first_root)
    trees.step()
    assert int(members(trees.now()).min()) == 0  # until the next time
    trees.step(STEP + 100)
    after = trees.now()
    assert int(members(after).min()) == 1
    assert len(after.shared[ROOT_FEATURES]) == len(before.shared[ROOT_FEATURES]) - 1
    for ours, theirs in zip(after.baked().params.values(), before.baked().params.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def some_edits(view: SceneView) -> list[Edit]:
    """Of every kind, with values made of what it sees."""
    rows, drawn = torch.tensor([3, 7, 20]), view.params
    return [
        Clone(rows, {"scales": drawn["scales"][rows] - 1}),
        Split(rows + 1, {"scales": (drawn["scales"][rows + 1] - 2)[:, None].expand(-1, 2, -1)}),
        Move(rows + 2, rows, {"scales": drawn["scales"][rows] - 3}),
        Reset(rows + 30, {"scales": drawn["scales"][rows + 30] - 4}),
        Clone(rows),
        Prune(torch.tensor([50])),
    ]


@pytest.mark.parametrize("leaves_per_node", [100.0, 1.2])
def test_edits_say_what_leaves_look_like(leaves_per_node: float) -> None:
    trees = Trees(Says(some_edits), leaves_per_node=leaves_per_node)
    before = trees.now().baked()
    trees.store.extras["row"] = torch.arange(60)
    trees.step()
    after, row = trees.now().baked(), trees.store.extras["row"]
    # First those that stay, in their order: all but 4, 8 and 21, which split, and 50, which goes. Of them
    # 5, 9 and 22 became copies; then come the copies and the children.
    stay = [number for number in range(60) if number not in (4, 8, 21, 50)]
    changes = torch.zeros(after.num)
    for number in (33, 37):
        changes[stay.index(number)] = 4
    for number in (5, 9, 22):
        changes[stay.index(number)] = 3
    changes[56:59], changes[59:65] = 1, 2
    assert row.tolist()[56:] == [3, 7, 20, 4, 4, 8, 8, 21, 21, 3, 7, 20]
    expected = before.subset(row)
    torch.testing.assert_close(after.scales, expected.scales - changes[:, None], rtol=0, atol=1e-5)
    for name in ("quats", "sh0", "shN", "opacities"):
        torch.testing.assert_close(after.params[name], expected.params[name], rtol=0, atol=1e-5)


def test_behind_it_adc_splits_what_looks_large_into_what_looks_smaller() -> None:
    config = ADCConfig(gradient_threshold=1e-9, refine_start=100, prune_opacity=1e-9, prune_scale_start=9000)
    trees = Trees(ADC(config))
    before = trees.now().baked()
    trees.store.extras["row"] = torch.arange(60)
    gradient = torch.ones(1, 60, 2)
    trees.pull([])
    trees.strategy.on_backward(STEP - 1, RenderStats(gradient, gradient.int(), 10, 10, 1))
    trees.step()
    after, row = trees.now().baked(), trees.store.extras["row"]
    large = before.scales.amax(dim=1).exp() > 0.01
    assert bool(large[row[:-2]].any())
    children = large[row]
    torch.testing.assert_close(
        after.scales, before.scales[row] - children[:, None] * torch.tensor(1.6).log(), rtol=0, atol=1e-5
    )


def test_a_state_goes_on_and_one_of_other_trees_is_refused() -> None:
    trees, again = (Trees(Says(), leaves_per_node=1.5) for _ in range(2))
    trees.pull([3.0, 2.0, 1.0])
    state = trees.strategy.state_dict()
    again.strategy.load_state_dict(state)
    for run in (trees, again):
        run.step()
    for key, value in trees.now().state_dict().items():
        assert torch.equal(value, again.now().state_dict()[key]), key
    with pytest.raises(ValueError, match="of the levels of the trees"):
        trees.strategy.load_state_dict(state)


def test_of_other_scenes_it_leaves_all_to_the_strategy_behind() -> None:
    scene = grown(dtype=torch.float32).baked()
    store = ParameterStore({name: t.clone() for name, t in scene.params.items()})
    strategy = Forest(Says(some_edits))
    strategy.adopted(store)
    view = SceneView(store.params, 1.0)
    ours, theirs = strategy.on_step(STEP, view), some_edits(view)
    assert [type(edit) for edit in ours] == [type(edit) for edit in theirs]
