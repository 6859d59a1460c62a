"""`gsplat-core report`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from gsplat_core.errors import UsageError
from trainers.paths import must_exist


def report(
    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN ...")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE.html")] = Path("comparison.html"),
) -> None:
    """Compare runs: their results, what their settings differ in, their curves and the same views of each.

    The page is one file that needs no other. A single run has its report in its folder already. Runs that
    go on are compared as far as they are.

    Args:
        runs: run folders, two or more.
        output: the page.
    """
    must_exist(*runs)
    if len(runs) < 2:
        raise UsageError("name two or more runs; a single one has its report.html in its folder.")
    if output.suffix != ".html":
        raise UsageError(f"-o {output}: the name of the page must end with .html.")
    from gsplat_core.io.links import make_folder
    from trainers.comparison import Compared, names_of, write_comparison
    from trainers.messages import say

    compared = [Compared.of(path, name) for path, name in zip(runs, names_of(runs), strict=True)]
    make_folder(output.parent)
    write_comparison(output, compared)
    say(f"wrote {output}: {len(compared)} runs")
