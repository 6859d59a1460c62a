"""What is shown while a command works: nothing that ends in its output, and nothing for what is quick."""

from __future__ import annotations

import sys

import pytest

from trainers import waiting


def test_items_pass_through_and_slow_ones_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(waiting.counted(range(5), "measuring", 5)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: next(clock))
    assert list(waiting.counted(iter("abcdefg"), "measuring", 7)) == list("abcdefg")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [f"gsplat-core: measuring: {n} of 7" for n in (2, 4, 6)]


def test_a_terminal_shows_what_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with waiting.busy("reading [b]a[/b].ply"):
        pass
    assert list(waiting.counted(range(3), "rendering", 3)) == [0, 1, 2]
    assert capsys.readouterr().out == ""


def test_errors_come_out_of_it() -> None:
    with pytest.raises(KeyError), waiting.busy("reading"):
        raise KeyError
    with pytest.raises(ZeroDivisionError):
        list(waiting.counted((1 // n for n in (1, 0)), "dividing", 2))
