"""Edits and the store: every tensor with one row per Gaussian is changed in the same way."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.densify import Clone, Edit, Move, ParameterStore, Prune, Reset, Split, compile_edits
from gsplat_core.scene.gaussians import Gaussians

NUM = 10


class Scene:
    """Ten rows. Row i holds the number i in every field, and its moments are 100 + i and 200 + i."""

    def __init__(self, per_name: bool = False) -> None:
        row = torch.arange(NUM, dtype=torch.float32)
        self.params = {
            "means": torch.nn.Parameter(row[:, None].repeat(1, 3)),
            "opacities": torch.nn.Parameter(row.clone()),
        }
        self.extras = {"label": torch.arange(NUM), "feature": row[:, None, None].repeat(1, 2, 2)}
        groups = [{"params": [p], "name": name, "lr": 1e-12} for name, p in self.params.items()]
        self.optimizers = (
            {str(group["name"]): torch.optim.Adam([group]) for group in groups}
            if per_name
            else torch.optim.Adam(groups)
        )
        sum(p.sum() for p in self.params.values()).backward()
        for optimizer in self._list():
            optimizer.step()
            for state in optimizer.state.values():
                shape = (NUM,) + (1,) * (state["exp_avg"].ndim - 1)
                state["exp_avg"][:] = 100 + row.view(shape)
                state["exp_avg_sq"][:] = 200 + row.view(shape)
        self.store = ParameterStore(self.params, self.optimizers, self.extras)

    def _list(self) -> list[torch.optim.Optimizer]:
        return list(self.optimizers.values()) if isinstance(self.optimizers, dict) else [self.optimizers]

    def state(self, name: str) -> dict[str, Tensor]:
        return next(o.state[self.params[name]] for o in self._list() if self.params[name] in o.state)

    def moments(self, name: str) -> list[float]:
        """The first moment per row, after checking that both moments tell the same rows."""
        first, second = self.state(name)["exp_avg"], self.state(name)["exp_avg_sq"]
        first, second = (m.reshape(len(m), m[:1].numel() or 1) for m in (first, second))
        assert (first == first[:, :1]).all()
        assert torch.equal(second, torch.where(first == 0, 0, first + 100))
        return first[:, 0].tolist()

    def labels(self) -> list[int]:
        return self.extras["label"].tolist()

    def apply(self, *edits: Edit) -> None:
        self.store.apply(edits)


def rows(*indices: int) -> Tensor:
    return torch.tensor(indices, dtype=torch.int64)


@pytest.mark.parametrize("per_name", [False, True], ids=["one optimizer", "one optimizer per name"])
def test_pruning_keeps_rows_together(per_name: bool) -> None:
    scene = Scene(per_name)
    scene.apply(Prune(rows(0, 3, 9)))
    left = [1, 2, 4, 5, 6, 7, 8]
    assert scene.labels() == left
    assert scene.params["opacities"].round().tolist() == left
    assert scene.params["means"].round().tolist() == [[i] * 3 for i in left]
    assert scene.extras["feature"][:, 1, 0].tolist() == left
    assert scene.moments("means") == [100 + i for i in left]
    assert scene.moments("opacities") == [100 + i for i in left]


def test_clones_inherit_everything_but_moments() -> None:
    scene = Scene()
    scene.apply(Clone(rows(4, 4, 1), {"opacities": torch.tensor([-1.0, -2.0, -3.0])}))
    assert scene.labels() == [*range(10), 4, 4, 1]
    assert scene.extras["feature"][10:, 0, 0].tolist() == [4, 4, 1]
    assert torch.equal(scene.params["means"][10:], scene.params["means"][[4, 4, 1]])
    assert scene.params["opacities"][10:].tolist() == [-1, -2, -3]
    assert scene.moments("means") == [*(100 + i for i in range(10)), 0, 0, 0]


def test_split_replaces_a_row_by_its_children() -> None:
    scene = Scene()
    means = torch.arange(12.0).reshape(2, 2, 3)
    scene.apply(Split(rows(2, 7), {"means": means}))
    assert scene.labels() == [0, 1, 3, 4, 5, 6, 8, 9, 2, 2, 7, 7]
    assert torch.equal(scene.params["means"][8:], means.reshape(4, 3))
    assert scene.moments("opacities")[8:] == [0, 0, 0, 0]


def test_moved_rows_become_copies_and_forget() -> None:
    scene = Scene()
    scene.apply(Move(rows(0, 1), rows(8, 8), {"opacities": torch.tensor([-1.0, -2.0])}))
    assert scene.labels() == [8, 8, *range(2, 10)]
    assert scene.params["means"][:2].round().tolist() == [[8] * 3] * 2
    assert scene.params["opacities"][:2].tolist() == [-1, -2]
    assert scene.moments("means") == [0, 0, *(100 + i for i in range(2, 10))]


@pytest.mark.parametrize(
    ("forget", "means_kept", "opacities_kept"),
    [("fields", True, False), ("all", False, False), ("none", True, True)],
)
def test_reset_forgets_what_it_says(forget: str, means_kept: bool, opacities_kept: bool) -> None:
    scene = Scene()
    data = scene.params["opacities"].data_ptr()
    scene.apply(Reset(rows(5), {"opacities": torch.tensor([-7.0])}, forget=forget))
    assert scene.params["opacities"][5] == -7
    assert scene.params["opacities"].data_ptr() == data
    kept = [float(100 + i) for i in range(10)]
    forgotten = [*kept[:5], 0.0, *kept[6:]]
    assert scene.moments("means") == (kept if means_kept else forgotten)
    assert scene.moments("opacities") == (kept if opacities_kept else forgotten)


def test_reset_of_all_rows_sets_extra_fields_too() -> None:
    scene = Scene()
    scene.apply(Reset(None, {"label": torch.full((NUM,), 5)}))
    assert scene.labels() == [5] * NUM


def test_all_edits_of_a_list_speak_of_the_scene_as_it_was() -> None:
    """The growth step of MCMC: copies and originals share the new values; then a removal shifts all rows."""
    scene = Scene()
    scene.apply(
        Prune(rows(0)),
        Clone(rows(0, 3)),
        Reset(rows(3), {"opacities": torch.tensor([-3.0])}),
        Move(rows(1), rows(0)),
        Split(rows(9), {}, children=3),
        Reset(rows(0), {"opacities": torch.tensor([-9.0])}),
    )
    assert scene.labels() == [0, 2, 3, 4, 5, 6, 7, 8, 0, 3, 9, 9, 9]
    assert scene.params["opacities"].round().tolist() == [0, 2, -3, 4, 5, 6, 7, 8, 0, 3, 9, 9, 9]
    assert scene.moments("opacities") == [0, 102, 0, 104, 105, 106, 107, 108, 0, 0, 0, 0, 0]
    assert scene.moments("means") == [0, 102, 103, 104, 105, 106, 107, 108, 0, 0, 0, 0, 0]


def test_later_values_win() -> None:
    scene = Scene()
    scene.apply(
        Reset(None, {"opacities": torch.full((NUM,), -1.0)}),
        Reset(rows(2), {"opacities": torch.tensor([-2.0])}),
    )
    assert scene.params["opacities"].tolist() == [-1, -1, -2, -1, -1, -1, -1, -1, -1, -1]


edit_lists = st.lists(
    st.one_of(
        st.lists(st.integers(0, NUM - 1)).map(lambda r: Clone(rows(*r))),
        st.lists(st.integers(0, NUM - 1)).map(lambda r: Prune(rows(*r))),
        st.lists(st.integers(0, NUM - 1), unique=True).map(lambda r: Split(rows(*r), {})),
        st.permutations(range(NUM)).map(lambda p: Move(rows(*range(NUM)), rows(*p))),
        st.permutations(range(NUM)).map(lambda p: Move(rows(*p[:4]), rows(*p[2:6]))),
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(edit_lists)
def test_every_field_tells_the_same_rows_after_any_edits(edits: list[Edit]) -> None:
    scene = Scene()
    plan = scene.store.apply(edits)
    label = scene.extras["label"].float()
    assert len(label) == plan.num_after == scene.store.num
    assert torch.equal(scene.params["opacities"].round(), label)
    assert torch.equal(scene.params["means"].round(), label[:, None].expand(-1, 3))
    assert torch.equal(plan.follow(torch.arange(NUM)).float(), label)
    moments = torch.tensor(scene.moments("opacities"))
    assert torch.equal(moments, torch.where(moments == 0, 0, 100 + label))
    assert scene.moments("opacities") == scene.moments("means")


def test_moments_follow_a_permutation() -> None:
    order = torch.randperm(NUM, generator=torch.Generator().manual_seed(0))
    scene, all_rows = Scene(), torch.arange(NUM)
    scene.apply(Prune(all_rows), Clone(order))
    assert scene.labels() == order.tolist()
    assert scene.moments("means") == [0] * NUM  # copies are new, even if they stand where they stood


def test_objects_that_the_caller_holds_stay_valid() -> None:
    scene = Scene()
    means, step = scene.params["means"], scene.state("means")["step"].clone()
    scene.apply(Clone(rows(1)), Prune(rows(2, 3)))
    assert scene.params["means"] is means
    assert scene.store.extras is scene.extras
    assert means.grad is None
    assert torch.equal(scene.state("means")["step"], step)
    (means.sum() * 2).backward()
    assert means.grad.shape == (9, 3)
    scene.optimizers.step()
    assert scene.state("means")["step"] == step + 1


def test_training_goes_on_as_if_the_remaining_rows_had_been_alone() -> None:
    """Adam is elementwise, so a pruned scene must go on as one that never had the other rows."""
    target = torch.randn(NUM, 3, generator=torch.Generator().manual_seed(1))
    keep = torch.tensor([1, 4, 5])

    def train(pruned_at: int | None, start: Tensor, goal: Tensor) -> Tensor:
        means = torch.nn.Parameter(start.clone())
        optimizer = torch.optim.Adam([means], lr=0.1)
        store = ParameterStore({"means": means}, optimizer)
        for step in range(20):
            if step == pruned_at:
                gone = torch.ones(NUM, dtype=torch.bool)
                gone[keep] = False
                store.apply([Prune(gone.nonzero().squeeze(1))])
                goal = goal[keep]
            optimizer.zero_grad()
            ((means - goal) ** 2).sum().backward()
            optimizer.step()
        return means.detach()

    start = torch.zeros(NUM, 3)
    assert torch.equal(train(7, start, target), train(None, start[keep], target[keep]))


def test_store_works_before_the_first_step_without_optimizer_and_down_to_nothing() -> None:
    params = {"means": torch.nn.Parameter(torch.zeros(3, 3))}
    store = ParameterStore(params, torch.optim.Adam(params.values()))
    store.apply([Clone(rows(0))])
    assert store.num == 4
    frozen = ParameterStore({"means": torch.zeros(3, 3)})
    frozen.apply([Prune(rows(0, 1, 2))])
    assert frozen.num == 0
    frozen.apply([Prune(rows()), Clone(rows()), Reset(None, {})])
    assert frozen.num == 0


def test_amsgrad_state_follows_too() -> None:
    param = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.Adam([param], amsgrad=True)
    (param * torch.arange(1.0, 5.0)).sum().backward()
    optimizer.step()
    before = optimizer.state[param]["max_exp_avg_sq"].clone()
    ParameterStore({"opacities": param}, optimizer).apply([Prune(rows(0, 2))])
    assert torch.equal(optimizer.state[param]["max_exp_avg_sq"], before[[1, 3]])


def test_growth_is_amortised() -> None:
    """A scene that grows a hundredfold in many steps is reallocated as often as it doubles."""
    params = {
        "means": torch.nn.Parameter(torch.zeros(10, 3)),
        "opacities": torch.nn.Parameter(torch.zeros(10)),
    }
    optimizer = torch.optim.Adam(params.values())
    extras = {"label": torch.arange(10)}
    store = ParameterStore(params, optimizer, extras)
    for _ in range(180):
        (params["means"].sum() + params["opacities"].sum()).backward()
        optimizer.step()
        grown = torch.arange(max(1, store.num // 20))
        store.apply([Clone(grown), Prune(grown[: len(grown) // 4])])
    assert store.num > 2000
    assert store.reallocations <= math.log2(store.num / 10) + 1
    assert store.num == len(extras["label"])


def test_changes_that_fit_into_the_memory_at_hand_stay_in_it() -> None:
    scene = Scene()
    scene.apply(Clone(rows(0)))
    data = [p.data_ptr() for p in scene.params.values()] + [scene.state("means")["exp_avg"].data_ptr()]
    scene.apply(Prune(rows(3, 5)))
    scene.apply(Move(rows(0), rows(1)), Clone(rows(2, 2)))
    assert data == [p.data_ptr() for p in scene.params.values()] + [
        scene.state("means")["exp_avg"].data_ptr()
    ]
    assert scene.store.reallocations == 1


def test_memory_is_given_back_and_no_more_is_taken_than_will_be_needed() -> None:
    params = {"means": torch.nn.Parameter(torch.zeros(1000, 3))}
    store = ParameterStore(params, most=1100)
    store.apply([Clone(torch.arange(10))])
    assert params["means"].untyped_storage().nbytes() == 1100 * 12
    store.apply([Prune(torch.arange(900))])
    assert params["means"].untyped_storage().nbytes() <= 2 * 110 * 12
    assert store.reallocations == 2


def test_memory_that_the_caller_brought_is_not_written_to() -> None:
    means = torch.arange(30.0).reshape(10, 3)
    store = ParameterStore({"means": torch.nn.Parameter(means)})
    store.apply([Prune(rows(0, 1))])
    store.apply([Prune(rows(0, 1))])
    assert torch.equal(means, torch.arange(30.0).reshape(10, 3))


def test_learning_rates_are_those_of_the_groups_now() -> None:
    params = {name: torch.nn.Parameter(torch.zeros(3, 3)) for name in ("means", "scales", "frozen")}
    first = torch.optim.Adam([{"params": [params["means"]], "lr": 0.5}])
    second = torch.optim.SGD([params["scales"]], lr=0.25)
    store = ParameterStore(params, [first, second])
    first.param_groups[0]["lr"] = 0.125
    assert store.learning_rates() == {"means": 0.125, "scales": 0.25}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Prune(rows(10)), r"Prune: rows 10 \.\. 10, but the scene has 10"),
        (Clone(rows(-1)), "Clone: rows -1"),
        (Split(rows(1, 1), {}), "Split: a row is named twice"),
        (Move(rows(1, 1), rows(2, 3)), "Move: a row is named twice"),
        (Prune(torch.ones(NUM, dtype=torch.bool)), "Prune: expected integer row indices"),
        (Clone(rows(1), {"means": torch.zeros(2, 3)}), r"Clone: values\['means'\] has shape \[2, 3\]"),
        (Split(rows(1), {"means": torch.zeros(1, 3)}), r"Split: values\['means'\]"),
        (Reset(rows(1), {"means": torch.zeros(1, 4)}), r"'means' to rows of shape \[4\], expected \[3\]"),
        (Reset(rows(1), {"colour": torch.zeros(1)}), "sets 'colour', but the scene has only means"),
        (Move(rows(1, 2), rows(2)), "Move: 2 rows but 1 sources"),
    ],
)
def test_a_wrong_edit_is_refused_and_nothing_changes(edit: Edit, message: str) -> None:
    scene = Scene()
    with pytest.raises(ValueError, match=message):
        scene.apply(Prune(rows(0)), edit)
    assert scene.labels() == list(range(NUM))
    assert scene.moments("means") == [100 + i for i in range(NUM)]


def test_tensors_that_do_not_belong_together_are_refused() -> None:
    means = torch.nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(ValueError, match="label"):
        ParameterStore({"means": means}, extras={"label": torch.zeros(4)})
    with pytest.raises(ValueError, match="leaf"):
        ParameterStore({"means": means * 2})
    with pytest.raises(ValueError, match="both"):
        ParameterStore({"means": means}, extras={"means": torch.zeros(3)})
    with pytest.raises(ValueError, match="at least one"):
        ParameterStore({})


def test_tensors_that_no_longer_belong_together_are_refused() -> None:
    """The caller's dictionaries are those of the store, and may have been changed since."""
    scene = Scene()
    scene.extras["label"] = torch.zeros(NUM + 1)
    with pytest.raises(ValueError, match="label"):
        scene.apply(Prune(rows(0)))
    assert len(scene.params["means"]) == NUM


@given(st.permutations(range(NUM)), st.booleans())
@settings(deadline=None, max_examples=30)
def test_reordering_takes_every_field_and_moment_along(order: list[int], after_an_edit: bool) -> None:
    scene = Scene()
    if after_an_edit:  # so that the store keeps the rows in memory of its own
        scene.apply(Prune(rows(0)), Clone(rows(3)))
        scene.apply(Prune(rows(NUM - 1)), Clone(rows(4)))
    before, moments = scene.labels(), scene.moments("means")
    statistics = torch.arange(NUM)
    plan = scene.store.reorder(torch.tensor(order))
    assert scene.labels() == [before[i] for i in order]
    assert scene.moments("means") == [moments[i] for i in order]
    assert plan.follow(statistics).tolist() == order
    assert scene.params["means"].grad is None


@pytest.mark.parametrize("order", [[0] * NUM, list(range(NUM - 1)), list(range(1, NUM + 1))])
def test_an_order_that_loses_a_row_is_refused(order: list[int]) -> None:
    scene = Scene()
    with pytest.raises(ValueError, match=r"permutation|an order of 9 rows"):
        scene.store.reorder(torch.tensor(order))
    assert scene.labels() == list(range(NUM))


def test_plan_of_nothing_moves_nothing() -> None:
    assert compile_edits([], 5).source is None
    assert (
        compile_edits([Prune(rows()), Clone(rows()), Split(rows(), {}), Reset(rows(1), {})], 5).source is None
    )


def test_a_scene_in_training_stays_a_valid_scene() -> None:
    """`Gaussians` needs no rewiring: its tensors and its extras are the ones the store edits."""
    g = Gaussians(
        torch.randn(5, 3),
        torch.randn(5, 4),
        torch.randn(5, 3),
        torch.randn(5),
        torch.randn(5, 1, 3),
        torch.randn(5, 3, 3),
        extras={"label": torch.arange(5)},
    ).requires_grad_()
    optimizer = torch.optim.Adam(list(g.params.values()), lr=0.1)
    store = ParameterStore(g.params, optimizer, g.extras)
    for _ in range(2):
        sum(p.square().sum() for p in g.params.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        store.apply([Prune(rows(0)), Clone(rows(1, 2))])
    assert g.num == 7
    assert g.extras["label"].tolist() == [2, 3, 4, 1, 2, 2, 3]
    assert g.subset(slice(None)).num == 7
    assert all(p.requires_grad for p in g.params.values())
