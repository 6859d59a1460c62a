"""tools/gradcheck.py: a line for each case, and an error if one is wrong."""

from __future__ import annotations

from typing import Any

import gradcheck
import pytest
from splats import one_thread

from gsplat_core.ops.derivative import Derivative


def test_prints_what_it_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with one_thread():
        gradcheck.main(only="pinhole-gaussian-col", directions=2, stochastic=True, draws=64)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("pinhole-gaussian-colours")
    assert line.endswith("right")


def test_fails_and_names_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = Derivative.__call__

    def wrong(self: Derivative, shared: tuple[Any, ...], **own: Any) -> Any:
        first, *others = right(self, shared, **own)
        return (-first if self._operator._schema.name.endswith("::project_backward") else first, *others)

    monkeypatch.setattr(Derivative, "__call__", wrong)
    with one_thread(), pytest.raises(SystemExit, match="1 cases are wrong"):
        gradcheck.main(only="pinhole-gaussian-col", directions=2, draws=128)
    printed = capsys.readouterr().out
    assert "WRONG" in printed
    assert "means[" in printed
