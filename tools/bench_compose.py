"""What it costs to crop and merge a large .ply with `compose`: processor time and memory.

Each figure is of a process of its own: one that only imports what `compose` does, one that reads the file's
bytes, one that loads it as a scene, and the command. Memory is the peak of the resident set, which has no
pages of files in it; what is above that of the imports is put in relation to the file's size. Processor time
is of all threads, and so does not depend on who else uses the machine's cores, as seconds would.

    python tools/bench_compose.py [SCENE.ply] [--num 2000000] [--rounds 3]

A scene of SH degree 3 (248 bytes each) is made up where none is given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from gsplat_core.io import export_pieces
from gsplat_core.io.pieces import Pieces

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from splat_files import typical_scene  # noqa: E402

IMPORTS = """
import gsplat_core.io, gsplat_core.apps.compose, gsplat_core.scene.transform_file, trainers.cli, tyro
import trainers.commands.compose, trainers.sources
"""
READ = """
import sys
with open(sys.argv[1], "rb", buffering=0) as file:
    buffer = bytearray(1 << 20)
    while file.readinto(buffer):
        pass
"""
LOAD = IMPORTS + "import sys; gsplat_core.io.load(sys.argv[1])"
COMPOSE = "import sys; from trainers.cli import main; sys.exit(main(['compose', *sys.argv[1:]]))"
# Prints processor seconds and the peak of memory in bytes of the program that follows.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-c", *sys.argv[1:]], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
sys.exit(code)
"""
PART = 100_000  # of a scene that is made up


def measured(program: str, *arguments: object) -> tuple[float, float]:
    """Processor seconds and peak memory in bytes of a program."""
    words = [sys.executable, "-c", MEASURED, program, *map(str, arguments)]
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    seconds, peak = told.split()
    return float(seconds), float(peak)


def made_up(path: Path, num: int) -> None:
    """Writes a scene of so many Gaussians, which are repeated."""
    part = Pieces.of(typical_scene(min(PART, num), 3))

    def pieces() -> object:
        left = num
        while left > 0:
            for piece in part.open():
                piece = piece.subset(slice(0, left))
                left -= piece.num
                if piece.num:
                    yield piece

    export_pieces(path, Pieces(part.template, num, pieces))  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path, nargs="?")
    parser.add_argument("--num", type=int, default=2_000_000, help="Gaussians of the made-up scene")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = args.scene or folder / "scene.ply"
        if args.scene is None:
            made_up(path, args.num)
        size = path.stat().st_size
        output = folder / "cropped.ply"
        programs = {
            "imports": (IMPORTS,),
            "read": (READ, path),
            "load": (LOAD, path),
            "crop": (COMPOSE, path, "--box", "0,-inf,-inf,inf,inf,inf", "-o", output),
            "merge": (COMPOSE, path, path, "-o", output),
        }
        best = {}
        for what, (program, *arguments) in programs.items():
            runs = [measured(program, *arguments) for _ in range(args.rounds)]
            best[what] = (min(run[0] for run in runs), max(run[1] for run in runs))
            if what == "crop":
                kept = output.stat().st_size / size
    idle_seconds, idle_peak = best["imports"]
    print(f"{path.name}: {size / 1e6:.0f} MB; of it {kept:.0%} is kept by the crop; best of {args.rounds}")
    for what, (seconds, peak) in best.items():
        line = f"  {what:8s} {seconds:6.2f} core-s, {seconds / best['read'][0]:5.1f} x reading   "
        line += f"peak {peak / 1e6:6.0f} MB ({peak / size:4.2f} x the file)"
        if what not in ("imports", "read"):
            more = peak - idle_peak
            line += f"   above imports {seconds - idle_seconds:5.2f} core-s, {more / 1e6:5.0f} MB"
            line += f" ({more / size:4.2f} x)"
        print(line, flush=True)


if __name__ == "__main__":
    main()
