"""Runs that are killed at any moment: the last complete checkpoint is there and continues the run."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import time

import pytest
from processes import command, environment

from trainers.checkpoint import checkpoints, newest_checkpoint
from trainers.run_folder import RunFolder


@pytest.fixture
def frequent(config, tmp_path):
    """A configuration that saves after every step, so that a kill mostly hits a write."""
    path = tmp_path / "frequent.json"
    path.write_text(json.dumps({**config.to_json(), "steps": 100_000, "checkpoint_seconds": 0}))
    return path


def start(scene, run, *arguments) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("train", scene, "-o", run, *arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_checkpoint(process, folder, beyond) -> None:
    """Waits until a checkpoint after step `beyond` is there."""
    while process.poll() is None:
        found = checkpoints(folder)
        if found and int(found[-1].stem[5:]) > beyond:
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate()[0])


def test_kill_at_any_moment_never_loses_the_last_complete_checkpoint(tiny_scene, frequent, tmp_path):
    run = tmp_path / "run"
    folder = RunFolder(run).checkpoints
    chance = random.Random(0)
    step = -1
    for attempt in range(3):
        arguments = ["--resume"] if attempt else ["--config", frequent]
        process = start(tiny_scene, run, *arguments)
        wait_for_checkpoint(process, folder, beyond=step)
        time.sleep(chance.uniform(0, 0.1))
        before = checkpoints(folder)[-1].stem
        process.kill()
        process.communicate()
        warnings = []
        newest = newest_checkpoint(folder, warnings.append)
        assert not warnings, "a checkpoint whose name exists must be complete"
        assert f"step_{newest.step:08d}" >= before
        assert newest.step > step
        step = newest.step


def test_a_polite_stop_exits_130_and_resume_continues(tiny_scene, frequent, tmp_path):
    run = tmp_path / "run"
    folder = RunFolder(run).checkpoints
    step, arguments = 2, ["--config", frequent]
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = start(tiny_scene, run, *arguments)
        wait_for_checkpoint(process, folder, beyond=step)
        process.send_signal(number)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 130, output
        assert "--resume continues" in output
        assert "--resume" not in arguments or f"Continuing after step {step:,}." in output
        step, arguments = newest_checkpoint(folder, print).step, ["--resume"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_command_that_is_stopped_while_it_loads_says_so_and_exits_130(tmp_path, number):
    """What is loaded is a pipe that nobody writes to, so that loading takes as long as it has to."""
    run = tmp_path / "run"
    run.mkdir()
    pipe = run / "config.json"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        command("train", tmp_path, "-o", tmp_path / "new", "--config", pipe),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not waits_for(pipe):
        time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == f"gsplat-core: interrupted by {number.name}\n"
    assert process.returncode == 130


SWALLOWED = """
import os, signal, sys
from trainers import cli

def loads(*_):
    try:
        exec("os.kill(os.getpid(), signal.SIGTERM)\\nfor _ in range(1000): pass")
    except KeyboardInterrupt:
        {reaction}

cli._run = loads
sys.exit(cli.main(["info", "scene.ply"]))
"""


@pytest.mark.parametrize(
    "reaction", ["raise", "raise AttributeError('no matrix')", "raise ImportError('none')"]
)
def test_what_a_library_makes_of_an_interrupt_is_no_error(tmp_path, reaction):
    """Libraries that are loaded pass it through `exec`, or turn it into errors of their own."""
    (tmp_path / "loads.py").write_text(SWALLOWED.format(reaction=reaction))
    variables = environment()
    variables["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    done = subprocess.run(
        [sys.executable, "-m", "loads"], env=variables, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "gsplat-core: interrupted by SIGTERM\n")


def waits_for(pipe) -> bool:
    """Whether somebody opens it to read: then, and only then, it can be opened to write without waiting."""
    try:
        WRITERS.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


# Kept open, so that what is read does not end.
WRITERS: list[int] = []


def test_a_terminal_that_goes_away_stops_a_run_politely(tiny_scene, frequent, tmp_path):
    run = tmp_path / "run"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("train", tiny_scene, "-o", run, "--config", frequent),
        env=environment() | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    folder = RunFolder(run).checkpoints
    drain(ours, folder)
    os.close(ours)
    assert process.wait(timeout=60) == 130
    warnings = []
    assert newest_checkpoint(folder, warnings.append).step > 2
    assert not warnings
    assert not RunFolder(run).crash_report.exists()


def drain(terminal, folder) -> None:
    """Reads what is shown until there is a checkpoint after the second step."""
    while not (found := checkpoints(folder)) or int(found[-1].stem[5:]) <= 2:
        os.read(terminal, 4096)
