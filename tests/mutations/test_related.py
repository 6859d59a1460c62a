"""Places of lines in functions, and the tests that are asked about a line."""

from __future__ import annotations

from pathlib import Path

from mutations.functions import HEAD, OUTSIDE, Place, places
from mutations.related import KnownTests, mirrored

TEXT = """\
LIMIT = 3

class Thing:
    size: int = 1

    def first(self, a=2):
        if a:
            b = (a +
                 1)
        return b

def second():
    return LIMIT
"""


def test_places() -> None:
    found = places(TEXT)
    assert found[1] == found[4] == Place(OUTSIDE, 0)
    assert found[6] == Place("Thing.first", HEAD)
    assert found[7] == Place("Thing.first", 1)
    assert found[8] == found[9] == Place("Thing.first", 2)
    assert found[10] == Place("Thing.first", 4)
    assert found[13] == Place("second", 1)


def test_names_of_the_tests_of_a_file() -> None:
    assert mirrored("gsplat_core/io/ply.py") == "tests/io/test_ply.py"
    assert mirrored("gsplat_core/losses.py") == "tests/test_losses.py"
    assert mirrored("trainers/loop.py") == "tests/trainers/test_loop.py"
    assert mirrored("gsplat_core/densify/matchers/__init__.py") == "tests/densify/matchers/test_matchers.py"


def known(root: Path) -> KnownTests:
    """Two test files; `other` is slower and executes less."""
    for file, text in (
        ("gsplat_core/thing.py", TEXT),
        ("trainers/user.py", "from gsplat_core.thing import LIMIT\ndef use():\n    return LIMIT\n"),
        ("tests/test_thing.py", ""),
        ("tests/test_other.py", ""),
    ):
        (root / file).parent.mkdir(exist_ok=True, parents=True)
        (root / file).write_text(text)
    tests = KnownTests(root, root / "known")
    lines = {"gsplat_core/thing.py": [6, 7, 8, 10]}
    tests.keep("tests/test_thing.py", {"tests/test_thing.py::test": {"seconds": 1.0, "lines": lines}})
    part = {"gsplat_core/thing.py": [6, 7, 10]}
    use = {"trainers/user.py": [3]}
    tests.keep(
        "tests/test_other.py",
        {
            "tests/test_other.py::slow": {"seconds": 5.0, "lines": part},
            "tests/test_other.py::quick": {"seconds": 0.1, "lines": part},
            "tests/test_other.py::use": {"seconds": 0.1, "lines": use},
        },
    )
    return tests


def test_tests_that_execute_a_line_come_first(tmp_path: Path) -> None:
    tests = known(tmp_path)
    own, slow, quick, use = (
        "tests/test_thing.py::test",
        "tests/test_other.py::slow",
        "tests/test_other.py::quick",
        "tests/test_other.py::use",
    )
    assert tests.related("gsplat_core/thing.py", 7) == [[own], [quick, slow]]
    assert tests.related("gsplat_core/thing.py", 9) == [[own]]
    assert tests.related("gsplat_core/thing.py", 13) == [[own]]  # nothing executes it: the file's own tests
    assert tests.related("gsplat_core/thing.py", 1) == [[own], [quick, use, slow]]


def test_a_file_whose_tests_are_not_known_is_run_whole(tmp_path: Path) -> None:
    known(tmp_path)
    for name in ("tests/trainers/test_user.py", "tests/test_thing.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("changed = 1")
    again = KnownTests(tmp_path, tmp_path / "known")
    assert again.load() == ["tests/test_thing.py", "tests/trainers/test_user.py"]
    assert again.related("trainers/user.py", 3) == [
        ["tests/trainers/test_user.py"],
        ["tests/test_other.py::use"],
    ]
    assert again.seconds(["tests/trainers/test_user.py"]) > 10


def test_what_is_known_survives_edits_above(tmp_path: Path) -> None:
    """Of a file that has changed, a test concerns all lines of the functions that it called."""
    known(tmp_path)
    (tmp_path / "gsplat_core/thing.py").write_text("\n" + TEXT)
    again = KnownTests(tmp_path, tmp_path / "known")
    assert again.load() == []
    assert again.related("gsplat_core/thing.py", 10)[1] == [
        "tests/test_other.py::quick",
        "tests/test_other.py::slow",
    ]
    (tmp_path / "tests/test_other.py").write_text("new = 1")
    assert KnownTests(tmp_path, tmp_path / "known").load() == ["tests/test_other.py"]
