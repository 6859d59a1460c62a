"""Options as other programs call them, and what they are here.

People come from gsplat's trainer, Inria's `train.py` and nerfstudio with their commands at hand.
"""

from __future__ import annotations

from collections.abc import Sequence

_FOLDER = "the folder of the photographs comes without an option: gsplat-core train FOLDER"
_OUTPUT = "the run folder is -o here"
_STEPS = "the number of steps is --steps here"
_SHRINK = "photographs are shrunk by --downscale here"
_SOURCE = "the run or file comes without an option"

FOREIGN: dict[str, dict[str, str]] = {
    "train": {
        "s": _FOLDER,
        "source-path": _FOLDER,
        "data": _FOLDER,
        "data-dir": _FOLDER,
        "m": _OUTPUT,
        "model-path": _OUTPUT,
        "result-dir": _OUTPUT,
        "output-dir": _OUTPUT,
        "iterations": _STEPS,
        "max-steps": _STEPS,
        "max-num-iterations": _STEPS,
        "r": _SHRINK,
        "resolution": _SHRINK,
        "data-factor": _SHRINK,
        "downscale-factor": _SHRINK,
        "eval": "every 8th photograph is held out already; --test-every changes that",
        "cap-max": "the most Gaussians there may be are --max-gaussians here",
        "white-background": "it is --background white here",
        "start-checkpoint": "--resume continues the run in the folder of -o",
        "load-checkpoint": "--resume continues the run in the folder of -o",
    },
    "eval": {"m": _SOURCE, "model-path": _SOURCE, "s": "photographs come from --data here"},
    "render": {"m": _SOURCE, "model-path": _SOURCE},
    "view": {"m": _SOURCE, "model-path": _SOURCE, "load-config": _SOURCE},
}
"""By command and option, without the dashes in front; - stands for _, too."""


def hint(command: str, arguments: Sequence[str]) -> str | None:
    """What to write instead of the first argument that is another program's option; None if there is none.

    An argument of an option of ours, such as the name of a file, is never one: those begin with no dash.
    """
    for argument in arguments:
        word = argument.partition("=")[0]
        name = word.lstrip("-").replace("_", "-")
        if word.startswith("-") and name in FOREIGN.get(command, {}):
            return f"there is no option {word}: {FOREIGN[command][name]}."
    return None
