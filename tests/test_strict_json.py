import json
from pathlib import Path

import pytest

from gsplat_core.strict_json import json_text, write_json


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    tree = {"a": [1, float("inf"), (0.5, float("-inf"))], "b": {"c": float("nan")}, "d": None, "é": True}
    expected = {"a": [1, None, [0.5, None]], "b": {"c": None}, "d": None, "é": True}
    assert json.loads(json_text(tree), parse_constant=refuse) == expected
    assert "\n" not in json_text(tree, indent=None)
    write_json(tmp_path / "a.json", tree)
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == expected
    assert tree["a"][1] == float("inf"), "the caller's tree stays"


def test_what_is_no_json_value_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []
