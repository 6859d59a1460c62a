"""What README.md promises of a whole run: no network, nothing executed from files, inputs left alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from paths import ROOT, SAMPLE

# Python reports to audit hooks before it connects, resolves a name, or unpickles an object.
WATCHED = """
import sys
FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "pickle.find_class")
def watch(event, arguments):
    if event in FORBIDDEN:
        print("FORBIDDEN", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(watch)
import json
from trainers.cli import main
sys.exit(any(main(arguments) for arguments in json.loads(sys.argv[1])))
"""


def gsplat_core_watched(*commands: list[str | Path]) -> None:
    """Runs commands, one after the other; fails if one fails or does something forbidden."""
    command = [sys.executable, "-c", WATCHED, json.dumps([list(map(str, words)) for words in commands])]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FORBIDDEN" not in result.stderr, result.stderr


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of every file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in files
    }


def test_training_and_export_stay_offline_and_leave_the_input_alone(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    shutil.copytree(SAMPLE, photographs)
    before = fingerprint(photographs)
    run, exported = tmp_path / "run", tmp_path / "scene.ply"
    gsplat_core_watched(
        ["train", photographs, "-o", run, "--preset", "tiny", "--steps", "3", "--downscale", "8"],
        ["eval", run],
    )
    trained = fingerprint(run)
    gsplat_core_watched(["export", run, "-o", exported], ["info", exported])
    assert fingerprint(photographs) == before
    assert fingerprint(run) == trained


def test_the_watch_works() -> None:
    code = (
        WATCHED.split("import json")[0]
        + "import pickle, collections; pickle.loads(pickle.dumps(collections.Counter))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "FORBIDDEN pickle.find_class" in result.stderr
