"""One run in a folder, the things that can happen to it, and what has to hold after each."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from processes import command, environment

import gsplat_core.io
from gsplat_core.errors import GsplatError
from trainers.run_folder import RunFolder

LONGEST = 900  # seconds for one command, on a busy machine too: else it hangs
STEPS = 60
TRAINING = [
    "--preset", "tiny", "--steps", STEPS, "--downscale", 16, "--seed", 3,
    "--set", "checkpoint_seconds=0",
]  # fmt: skip
ENDINGS = (".ply", ".spz", ".sog", ".gsz", ".splat", ".glb", ".compressed.ply")
POLITE = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130


class BrokenPromiseError(AssertionError):
    """Something happened that may not; the message has the command and what it said."""


@dataclass
class Life:
    """A run and what was done to it so far.

    Args:
        photographs: what it trains on.
        folder: of everything.
        chance: decides.
        expected: SHA-256 of the scene that it has to end with; None: whatever it is.
    """

    photographs: Path
    folder: Path
    chance: random.Random
    expected: str | None = None
    events: Counter[str] = field(default_factory=Counter)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder / "run")

    def to_the_end(self, interruptions: int, until: float = float("inf")) -> str:
        """Lives until the run is finished, and returns the hash of its scene.

        Args:
            interruptions: at most so many.
            until: after this (`time.monotonic`) nothing interrupts it any more.
        """
        while self.run.result is None:
            process = self._training()
            if interruptions > 0 and time.monotonic() < until:
                interruptions -= 1
                self._interrupt(process)
            else:
                self._ended(process, {0})
            if self.chance.random() < 0.5:
                self.look()
            if self.chance.random() < 0.5:
                self.export()
        self.events["finished"] += 1
        found = hashlib.sha256(self.run.result.read_bytes()).hexdigest()
        if self.expected not in (None, found):
            raise BrokenPromiseError(f"{self.run.result}: not the scene of a run that was left alone")
        self.export()
        return found

    def _training(self) -> subprocess.Popen[str]:
        kind = "resumed" if self.run.exists else "started"
        self.events[kind] += 1
        arguments = ["--resume"] if self.run.exists else TRAINING
        return self._begun("train", self.photographs, "-o", self.run.path, *arguments)

    def _interrupt(self, process: subprocess.Popen[str]) -> None:
        """Stops a training at some moment, which may come before its first step or after its last."""
        saved = len(list(self.run.checkpoints.glob("*.json"))) if self.run.exists else 0
        patience = time.monotonic() + LONGEST
        if self.chance.random() < 0.7:  # not while it loads
            while process.poll() is None and time.monotonic() < patience:
                if self.run.exists and len(list(self.run.checkpoints.glob("*.json"))) > min(saved, 1):
                    break
                time.sleep(0.02)
        time.sleep(self.chance.expovariate(1.0))
        if process.poll() is not None:
            self._ended(process, {0})
        elif self.chance.random() < 0.5:
            self.events["killed"] += 1
            process.kill()
            self._ended(process, {-signal.SIGKILL, 0})
        else:
            number = self.chance.choice(POLITE)
            self.events[f"stopped by {number.name}"] += 1
            process.send_signal(number)
            # Before Python has set its handlers, the system's own ends the process.
            self._ended(process, {INTERRUPTED, 0, -number})

    def look(self) -> None:
        """Asks what is in the run, at whatever stage it is."""
        self.events["info"] += 1
        self._ended(self._begun("info", self.run.path, "--json"), {0} if self.run.exists else {3})

    def export(self) -> None:
        """Writes the scene as it is into some format, and reads it."""
        ending = self.chance.choice(ENDINGS)
        path = self.folder / f"scene{ending}"
        codes = {0} if self.run.result is not None else {0, 3}  # 3: no checkpoint yet
        code = self._ended(self._begun("export", self.run.path, "-o", path, "--measure", "no"), codes)
        self.events[f"exported {ending}" if code == 0 else "nothing to export"] += 1
        if code:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                count = gsplat_core.io.load(path).num
            except GsplatError as error:
                raise BrokenPromiseError(f"{path} was exported and cannot be read: {error}") from error
        if not count:
            raise BrokenPromiseError(f"{path}: no Gaussians")

    def _begun(self, *arguments: object) -> subprocess.Popen[str]:
        # A file, not a pipe, which would fill while nobody reads.
        self._output = open(self.folder / "output.txt", "w+", encoding="utf-8")  # noqa: SIM115
        self._command = command(*arguments)
        return subprocess.Popen(
            self._command, env=environment(), stdout=self._output, stderr=subprocess.STDOUT, text=True
        )

    def _ended(self, process: subprocess.Popen[str], codes: set[int]) -> int:
        """Waits for the end of a command.

        Raises:
            BrokenPromiseError: it hangs, ends with another code, or shows a traceback.
        """
        try:
            code = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise BrokenPromiseError(f"{self._command} did not end within {LONGEST} seconds") from None
        self._output.seek(0)
        said = self._output.read()
        self._output.close()
        if code not in codes or "Traceback" in said or "internal error" in said:
            raise BrokenPromiseError(f"{self._command} ended with {code}, not {sorted(codes)}: {said[-999:]}")
        return code

    def leftovers(self) -> list[Path]:
        """Temporary files that a finished run still has."""
        return sorted(self.run.path.rglob(".tmp-*"))
