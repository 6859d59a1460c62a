"""A planted mistake is noticed by a failure, an error or an end that never comes."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from mutations.child import Child, Outcome
from mutations.mistake import Mistake
from mutations.planted import first_failure
from mutations.tree import Tree

TEXT = "def count(n):\n    i = 0\n    while i < n:\n        i += 1\n    return i\n"
TEST = """
import sys
sys.path.insert(0, ".")
from counted.counting import count

def test_zero():
    assert count(0) == 0

def test_three():
    assert count(3) == 3
"""


class SmallTree(Tree):
    """A checkout of one file and its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("counted/counting.py", TEXT), ("tests/test_counting.py", TEST)):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> SmallTree:
    return SmallTree(tmp_path / "tree")


def outcome(tree: Tree, old: str, new: str, tests: list[str], seconds: float = 20.0) -> Outcome:
    mistake = Mistake(
        "counted/counting.py", TEXT[: TEXT.index(old)].count("\n") + 1, TEXT.index(old), old, new, ""
    )
    groups = [[f"tests/test_counting.py::{test}" for test in tests]]
    with tree.with_mistake(mistake):
        return Child(tree, partial(first_failure, groups), seconds, tree.folder.with_suffix(".log")).wait()


def test_a_failing_test_notices(tree: SmallTree) -> None:
    found = outcome(tree, "<", "<=", ["test_zero", "test_three"])
    assert found.value["failure"].startswith("tests/test_counting.py::test_zero: ")
    assert (tree.folder / "counted/counting.py").read_text() == TEXT


def test_whole_files_of_tests_may_be_named(tree: SmallTree) -> None:
    mistake = Mistake("counted/counting.py", 4, TEXT.index("+= 1"), "+= 1", "+= 2", "")
    groups = [["tests/test_counting.py"]]
    with tree.with_mistake(mistake):
        found = Child(tree, partial(first_failure, groups), 20.0, tree.folder.with_suffix(".log")).wait()
    assert found.value["failure"].startswith("tests/test_counting.py::test_three: ")


def test_tests_that_pass_do_not(tree: SmallTree) -> None:
    assert outcome(tree, "+= 1", "+= 2", ["test_zero"]).value == {"failure": None, "ran": 1}


def test_a_file_that_cannot_be_imported_is_noticed(tree: SmallTree) -> None:
    assert "NameError" in outcome(tree, "def count", "undefined\ndef count", ["test_zero"]).value["failure"]


def test_an_endless_loop_is_noticed(tree: SmallTree) -> None:
    assert outcome(tree, "+= 1", "+= 0", ["test_three"], seconds=1.0).ended_by == "runs for ever"


def test_a_crash_is_noticed(tree: SmallTree) -> None:
    crash = partial(signal.raise_signal, signal.SIGKILL)
    assert Child(tree, crash, 5.0, tree.folder.with_suffix(".log")).wait().ended_by == "SIGKILL"


def test_a_text_that_has_changed_is_refused(tree: SmallTree) -> None:
    with pytest.raises(ValueError, match="has changed"):
        Mistake("counted/counting.py", 1, 0, "class", "", "").applied(TEXT)
