"""Which commands load no PyTorch, whose import takes longer than what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT

LOADED = """
import json, sys
from contextlib import suppress
from trainers.cli import main

told = []
for words in json.loads(sys.argv[1]):
    with suppress(SystemExit):
        main(words)
    told.append("torch" in sys.modules)
print(json.dumps(told))
"""


def loading(*commands: list[str]) -> list[str]:
    """The first command that loads PyTorch, of some that run one after the other; [] if none does."""
    words = [sys.executable, "-c", LOADED, json.dumps(commands)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    return commands[loaded.index(True)] if True in loaded else []


def test_help_and_wrong_usage_load_no_pytorch(tmp_path: Path) -> None:
    photograph, missing = tmp_path / "photograph.ply", str(tmp_path / "missing.ply")
    photograph.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    assert not loading(
        ["--help"],
        ["--version"],
        ["trian"],
        ["train", "--help"],
        ["train", "data", "--no-such-option", "3"],
        ["render", "run", "--no-such-option"],
        ["export", missing, "-o", "scene.sog"],
        ["info", "--help"],
        ["info", missing],
        ["info", str(photograph)],
    )
