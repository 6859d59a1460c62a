"""Fuzzes all targets, one after the other: ``make fuzz SECONDS=3600``; ``--help`` tells the options."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import package_cache
import pytest
from paths import ROOT

from fuzz import native
from fuzz.targets import TARGETS, attempt

FOLDER = ROOT / "build" / "fuzz"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
SLOWEST = 60  # seconds for one file
LARGEST = 1 << 16  # bytes of a file
MOST_MEMORY = 3000  # MiB, of the whole process


@dataclass(frozen=True)
class Outcome:
    """What became of a target.

    Args:
        executions: files that were tried.
        coverage: edges of the instrumented code that were reached.
        findings: files that a reader failed at.
        missing: why it could not be fuzzed at all.
    """

    name: str
    seconds: int = 0
    executions: int = 0
    coverage: int = 0
    findings: tuple[Path, ...] = ()
    missing: str = ""


def atheris() -> Path:
    """The folder with Atheris, installed if it is not there yet.

    Raises:
        NotBuiltError: it cannot be installed.
    """
    pip = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "install",
        "--only-binary",
        ":all:",
    ]
    tag = f"fuzz-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return package_cache.installed(tag, REQUIREMENTS, [*pip, "--target", ".", "-r", REQUIREMENTS.name])
    except pytest.skip.Exception as skipped:
        raise native.NotBuiltError(str(skipped)) from None


class Harness:
    """What fuzzes targets: those in C++ by themselves, those in Python through one process that has loaded
    everything and is started by the first of them.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, name: str, log: Path, arguments: list[str]) -> int:
        """The exit code of libFuzzer.

        Raises:
            NotBuiltError: what the target needs is missing.
        """
        if name in native.SOURCES:
            program = native.built(name, FOLDER)
            with open(log, "w") as output:
                return subprocess.run(
                    [program, *arguments], stdout=output, stderr=output, check=False
                ).returncode
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, str(log), arguments]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise native.NotBuiltError("the harness died")
        return int(answer)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            path = os.pathsep.join(map(str, [atheris(), ROOT / "tests", ROOT]))
            environment = os.environ | {
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": "1",
                "PYTHONWARNINGS": "ignore",
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fuzz.harness"], cwd=ROOT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()


def fuzz(harness: Harness, name: str, seconds: int) -> Outcome:
    """Fuzzes one target until the time is up or something is found."""
    corpus, seeds = FOLDER / "corpus" / name, FOLDER / "seeds" / name
    findings, log = FOLDER / "findings" / name, FOLDER / f"{name}.log"
    for folder in (corpus, seeds, findings):
        folder.mkdir(parents=True, exist_ok=True)
    if name in TARGETS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, content in enumerate(TARGETS[name].seeds()):
                (seeds / f"{number:02}").write_bytes(content)
    known = set(findings.iterdir())
    options = [
        f"-max_total_time={seconds}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MOST_MEMORY}",
        f"-max_len={LARGEST}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
    ]  # fmt: skip
    try:
        code = harness.run(name, log, [*options, str(corpus), str(seeds)])
    except native.NotBuiltError as error:
        return Outcome(name, missing=str(error))
    text = log.read_text(errors="replace")
    found = tuple(sorted(set(findings.iterdir()) - known))
    missing = f"ended with {code}: {text.strip()[-300:]}" if code and not found else ""
    tried = max(_largest(r"number_of_executed_units: (\d+)", text), _largest(r"^#(\d+)", text))
    took = _largest(r"^Done \d+ runs in (\d+) second", text)
    return Outcome(name, took, tried, _largest(r"cov: (\d+)", text), found, missing)


def _largest(pattern: str, text: str) -> int:
    return max(map(int, re.findall(pattern, text, re.MULTILINE)), default=0)


def replayed(name: str, file: Path) -> None:
    """Reads one file as the fuzzer would; raises what it found."""
    read = attempt(TARGETS[name], file.read_bytes())
    print(f"{file}: {'was read' if read else 'was refused with an error that tells why'}")


def table(outcomes: list[Outcome]) -> str:
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'target':{width}}  seconds  executions  coverage"]
    for o in outcomes:
        end = f"not run: {o.missing}" if o.missing else ", ".join(map(os.fspath, o.findings)) or "clean"
        lines.append(f"{o.name:{width}}  {o.seconds:7}  {o.executions:10,}  {o.coverage:8,}  {end}")
    total = sum(o.seconds for o in outcomes)
    lines.append(f"{'total':{width}}  {total:7}  {sum(o.executions for o in outcomes):10,}")
    return "\n".join(lines)


def main() -> int:
    names = [*TARGETS, *native.SOURCES]
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="of all targets together")
    parser.add_argument("--targets", nargs="+", choices=names, default=names)
    parser.add_argument("--replay", type=Path, help="a finding of the one target that is named")
    options = parser.parse_args()
    if options.replay:
        replayed(options.targets[0], options.replay)
        return 0
    outcomes, harness = [], Harness()
    for name in options.targets:
        outcomes.append(fuzz(harness, name, max(1, options.seconds // len(options.targets))))
        print(table(outcomes[-1:]).splitlines()[1], flush=True)
    harness.close()
    print("\n" + table(outcomes))
    if any(outcome.findings for outcome in outcomes):
        print("Look at a finding with: PYTHONPATH=tests:. python -m fuzz --targets TARGET --replay FILE")
        return 1
    return 2 if any(outcome.missing for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
