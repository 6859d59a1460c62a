"""The command line `gsplat-core`: finds the command, runs it, turns errors into exit codes.

Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad input data, 4 not enough resources, 5 numerical
failure, 130 interrupted.
"""

from __future__ import annotations

import difflib
import functools
import io
import os
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gsplat_core
from gsplat_core.allocation import keep_freed_memory, use_large_pages
from gsplat_core.errors import GsplatError
from gsplat_core.memory import LEAST_ADDRESS_SPACE, address_space
from gsplat_core.shown import shown
from trainers.commands import AppCommand, Command, commands
from trainers.foreign_options import hint
from trainers.interrupt import ended_by_signals, settle_interruption
from trainers.messages import complain
from trainers.next_steps import NAME as PROGRAM

_usual_format = warnings.formatwarning


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code (the entry point passes it to `sys.exit`)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _print_anything()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"{PROGRAM} {gsplat_core.__version__}")
        return 0
    name, *rest = arguments
    if any("\0" in argument for argument in arguments):
        return _fail("no argument can have a character of number 0 in it.", 2)
    known = commands()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        known_ones = f"Did you mean `{near[0]}`?" if near else f"Commands: {', '.join(known)}."
        return _fail(f"there is no command `{name}`. {known_ones}", 2)
    if (room := address_space()) is not None and room < LEAST_ADDRESS_SPACE:
        return _fail(
            f"the limit of address space (ulimit -v) leaves {room >> 20:,} MiB; to begin, "
            f"{LEAST_ADDRESS_SPACE >> 20:,} are needed. Raise it, or lift it: ulimit -v unlimited.",
            4,
        )
    if foreign := hint(name, rest):
        return _fail(foreign, 2)
    use_large_pages()
    keep_freed_memory()
    try:
        with ended_by_signals():
            return _run(name, known[name], rest)
    except GsplatError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        settle_interruption()
        return _fail(str(error) or "interrupted", 130)
    except MemoryError:
        return _fail("not enough memory. A larger --downscale or a smaller --max-gaussians needs less.", 4)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from trainers.crash import told

        failure = told(error)
        return _fail(str(failure), failure.exit_code)


def _print_anything() -> None:
    """File names may hold bytes that the terminal's encoding has no signs for; they are shown as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(name: str, command: Command | AppCommand, arguments: list[str]) -> int:
    import tyro

    warnings.formatwarning = _format_warning
    # Of Pillow, about photographs of half the size from which they are refused.
    warnings.filterwarnings("ignore", ".*could be decompression bomb")

    arguments = _with_vectors(arguments)

    def parsed(function: Callable[..., Any], words: list[str]) -> Any:
        flags = (tyro.conf.FlagCreatePairsOff,)
        return tyro.cli(function, prog=f"{PROGRAM} {name}", args=words, config=flags)

    function = command.load()
    visible = [shown(argument) for argument in arguments]
    if visible != arguments:  # what is wrong with them is told by tyro, which prints them as they are
        parsed(functools.wraps(function)(lambda *_, **__: None), visible)
    result = parsed(function, arguments)
    return result if isinstance(result, int) else 0


def _with_vectors(arguments: list[str]) -> list[str]:
    """Numbers with commas between them that begin with a minus sign, after an option: they are its value and
    no option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and re.fullmatch(r"--[a-z][a-z-]*", joined[-1]) and re.match(r"-[.\dinf]+,", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _format_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
    """What is wrong with someone's file is told without the line of our source that noticed it."""
    if any(kind.__name__ == "DataWarning" for kind in category.__mro__):
        return f"{PROGRAM}: warning: {shown(str(message))}\n"
    return _usual_format(message, category, *place, **more)


def _fail(message: str, code: int) -> int:
    # A defect is told in two lines; a line's end elsewhere is one of a file's name.
    with suppress(OSError):  # the terminal may be gone
        complain(*(message.split("\n", 1) if code == 1 else [message]))
    return code


def overview() -> str:
    """The text of `gsplat-core --help`."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in known.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "3D Gaussian splatting: from posed photographs to a splat file.",
            "",
            *lines,
            "",
            f"`{PROGRAM} COMMAND --help` explains a command.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
