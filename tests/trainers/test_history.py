from __future__ import annotations

from trainers.history import History, read_history


def test_lines_come_back(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.append(step=1, loss=0.5)
    history.append(step=2, event="rollback")
    history.close()
    assert read_history(tmp_path / "history.jsonl") == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "event": "rollback"},
    ]


def test_continuing_drops_what_came_after_the_remembered_position(tmp_path):
    path = tmp_path / "history.jsonl"
    first = History(path)
    first.append(step=1)
    position = first.position
    first.append(step=2)
    first.close()
    second = History(path, position)
    second.append(step=2, again=True)
    second.close()
    assert read_history(path) == [{"step": 1}, {"step": 2, "again": True}]


def test_a_new_history_replaces_an_old_one(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 7}\n')
    History(path).close()
    assert read_history(path) == []
    assert path.read_bytes() == b""


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_history(path) == [{"step": 1}]


def test_damaged_lines_are_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"step": 1}\n\xff\n{"a"\n[1]\n3\n{"step": 2}\n')
    assert read_history(path) == [{"step": 1}, {"step": 2}]


def test_values_that_json_does_not_know_become_null(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.append(loss=float("nan"), psnr=float("inf"))
    history.close()
    assert read_history(path) == [{"loss": None, "psnr": None}]


def test_a_run_without_history_has_an_empty_one(tmp_path):
    assert read_history(tmp_path / "history.jsonl") == []


def test_lines_of_later_steps_are_dropped(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    for step in (1, 2, 2, 3, 4):
        history.append(step=step)
    history.cut_after(2)
    history.append(step=3, again=True)
    history.close()
    assert read_history(path) == [{"step": 1}, {"step": 2}, {"step": 2}, {"step": 3, "again": True}]
