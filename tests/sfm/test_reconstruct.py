"""The stages of a reconstruction: what is done is not done again, and what has changed is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sfm.conftest import FAKE, Journal, write_photograph

from gsplat_core.errors import DataError, UsageError
from gsplat_core.sfm.outcome import Outcome
from gsplat_core.sfm.reconstruct import FILES, GLOBAL_FROM, Reconstruction, mappers_for
from gsplat_core.sfm.settings import Settings

ALL = ["features", "matches", "poses", "examine"]


class Case:
    def __init__(self, source: Path, output: Path) -> None:
        self.source, self.output = source, output
        self.told: list[str] = []

    def run(self, overwrite: bool = False, **settings: object) -> Outcome:
        work = Reconstruction(self.source, self.output, Settings(**settings), overwrite, FAKE)  # type: ignore[arg-type]
        return work.run(lambda what, done, total: self.told.append(what))


@pytest.fixture
def case(photographs: Path, tmp_path: Path) -> Case:
    return Case(photographs, tmp_path / "out")


def test_all_stages_once_and_none_the_second_time(case: Case, journal: Journal) -> None:
    first = case.run()
    requests = journal.requests()
    assert [request["stage"] for request in requests] == ALL
    assert requests[0]["cameras"] == [[f"{i}.jpg" for i in range(5)]]
    assert (requests[0]["image_size"], requests[0]["features"]) == (1600, 4096)
    assert requests[0]["masks"] is None
    assert len(requests[1]["pairs"]) == 10
    assert requests[2]["mappers"] == ["incremental", "global"]
    assert first.placed == first.photographs == 5
    assert (case.output / "sparse" / "0").is_dir()
    assert sorted(path.name for path in (case.output / "images").iterdir()) == [f"{i}.jpg" for i in range(5)]
    assert {path.name for path in case.output.iterdir()} <= set(FILES)
    assert case.told[0] == "finding features"
    assert case.run() == first
    assert journal.requests() == []


def test_other_settings_concern_the_stages_from_theirs_on(
    case: Case, journal: Journal, tmp_path: Path
) -> None:
    case.run()
    journal.requests()
    for number, (settings, again) in enumerate(
        [
            ({"mapper": "global"}, ALL[2:]),
            ({"matcher": "sequential"}, ALL[1:]),
            ({"seed": 1}, ALL[1:]),
            ({"quality": "low"}, ALL),
            ({"max_image_size": 800}, ALL),
            ({"camera_model": "RADIAL"}, ALL),
            ({"single_camera": "no"}, ALL),
            ({"matcher": "exhaustive"}, []),  # what was chosen by itself
        ]
    ):
        other = Case(case.source, tmp_path / str(number))
        shutil.copytree(case.output, other.output)
        other.run(**settings)
        assert journal.stages() == again, settings


@pytest.mark.parametrize("stage", ALL)
def test_an_interrupted_one_goes_on_with_its_stage(case: Case, journal: Journal, stage: str) -> None:
    journal.tell(FAILURE=f"{stage}:abort")
    with pytest.raises(DataError, match=r"reconstruction\.log"):
        case.run()
    assert journal.stages() == ALL[: ALL.index(stage) + 1]
    assert not (case.output / "sparse").exists()
    journal.forget("FAILURE")
    assert case.run().placed == 5
    assert journal.stages() == ALL[min(ALL.index(stage), 2) :]


def test_a_model_stays_until_there_is_another(case: Case, journal: Journal) -> None:
    case.run()
    (case.output / "sparse" / "0" / "mark").touch()
    journal.tell(FAILURE="poses:abort")
    with pytest.raises(DataError):
        case.run(mapper="global")
    assert (case.output / "sparse" / "0" / "mark").exists()
    journal.forget("FAILURE")
    case.run(mapper="global")
    assert not (case.output / "sparse" / "0" / "mark").exists()


def test_more_photographs_join_those_that_are_there(case: Case, journal: Journal) -> None:
    case.run()
    database = case.output / "database.db"
    database.write_text(json.dumps([*json.loads(database.read_text()), "kept"]))
    journal.requests()
    write_photograph(case.source / "5.jpg", 5)
    case.run()
    assert journal.stages() == ALL
    assert "kept" in json.loads(database.read_text())
    assert (case.output / "images" / "5.jpg").exists()


def test_changed_photographs_begin_anew(case: Case, journal: Journal) -> None:
    case.run()
    database = case.output / "database.db"
    database.write_text(json.dumps(["old"]))
    (case.source / "0.jpg").unlink()
    case.run()
    assert "old" not in json.loads(database.read_text())
    assert not (case.output / "images" / "0.jpg").exists()


def test_what_was_removed_is_made_again(case: Case, journal: Journal) -> None:
    case.run()
    journal.requests()
    (case.output / "database.db").unlink()
    case.run()
    assert journal.stages() == []  # nobody needs it any more
    case.run(mapper="global")
    assert journal.stages() == ALL


def test_another_folder_is_never_written_into(case: Case, journal: Journal, tmp_path: Path) -> None:
    case.output.mkdir()
    (case.output / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else in it"):
        case.run()
    with pytest.raises(UsageError, match="something else in it"):
        case.run(overwrite=True)
    for inside in (case.source, case.source / "out"):
        with pytest.raises(UsageError, match="never written to"):
            Case(case.source, inside).run()
    assert (case.output / "notes.txt").read_text() == "mine"
    assert journal.requests() == []


def test_other_photographs_need_overwrite(case: Case, journal: Journal, tmp_path: Path) -> None:
    case.run()
    other = Case(tmp_path / "other", case.output)
    for i in range(2):
        write_photograph(other.source / f"z{i}.jpg", i)
    with pytest.raises(UsageError, match=r"has a reconstruction of .*photographs in it.*--overwrite"):
        other.run()
    assert other.run(overwrite=True).photographs == 2
    assert sorted(path.name for path in (case.output / "images").iterdir()) == ["z0.jpg", "z1.jpg"]


def test_models_without_anything_in_common_are_kept(case: Case, journal: Journal) -> None:
    journal.tell(MODELS=json.dumps([["0.jpg", "1.jpg", "2.jpg"], ["3.jpg", "4.jpg"]]))
    outcome = case.run()
    assert [len(model.names) for model in outcome.models] == [3, 2]
    assert outcome.left_out == {"in sparse/1, which shows nothing that sparse/0 does": ["3.jpg", "4.jpg"]}
    assert (case.output / "sparse" / "1").is_dir()


def test_nothing_placed_is_an_error_each_time_but_not_computed_again(case: Case, journal: Journal) -> None:
    journal.tell(MODELS="[]", FACTS=json.dumps({"0.jpg": {"features": 3, "shared": 0, "partner": ""}}))
    with pytest.raises(
        DataError, match=r"none of its 5 photographs could be placed\. 1 photograph has no pose"
    ):
        case.run()
    journal.requests()
    with pytest.raises(DataError, match="none of its 5"):
        case.run()
    assert "features" not in journal.stages()


def test_masks_go_with_their_photographs(case: Case, journal: Journal) -> None:
    write_photograph(case.source / "masks" / "2.png")
    case.run()
    assert journal.requests()[0]["masks"] == str(case.output / "masks")
    assert [path.name for path in (case.output / "masks").iterdir()] == ["2.jpg.png"]


def test_a_damaged_file_of_the_state_is_told(case: Case, journal: Journal) -> None:
    case.run()
    (case.output / "reconstruction.json").write_text('{"source": 3}')
    with pytest.raises(
        DataError, match=r"reconstruction\.json: cannot be read\. Begin again with --overwrite"
    ):
        case.run()
    case.run(overwrite=True)


def test_many_are_placed_all_at_once_and_what_is_asked_for_is_all_that_is_tried() -> None:
    assert mappers_for("auto", GLOBAL_FROM - 1) == ["incremental", "global"]
    assert mappers_for("auto", GLOBAL_FROM) == ["global", "incremental"]
    assert mappers_for("incremental", GLOBAL_FROM) == ["incremental"]
    assert mappers_for("global", 3) == ["global"]


def test_settings_that_do_not_fit_the_photographs_are_told(case: Case, journal: Journal) -> None:
    with pytest.raises(UsageError, match="--frames is for videos"):
        case.run(frames=10)
    with pytest.raises(UsageError, match=r"none of the photographs says .*--matcher similar"):
        case.run(matcher="spatial")
    assert not case.output.exists()


def test_settings_have_ranges() -> None:
    for wrong in ({"max_image_size": 3}, {"frames": 1}, {"seed": -1}):
        with pytest.raises(ValueError, match="expected a number"):
            Settings(**wrong)
