"""Which photograph somebody means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import PurePosixPath

from gsplat_core.errors import UsageError
from gsplat_core.scene.dataset import View


def called(name: str, views: Sequence[View], option: str, kind: str = "photograph") -> View:
    """The view of this name.

    Args:
        name: of the photograph, or as much of its end as tells it from the others.
        option: where it was given, for messages.
        kind: what the views are.

    Raises:
        UsageError: none is called so, or several are.
    """
    known = {view.name: view for view in views}
    if name in known:
        return known[name]
    parts = PurePosixPath(name).parts
    ends = [view for full, view in known.items() if PurePosixPath(full).parts[-len(parts) :] == parts]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(
            f"{option} {name}: {len(ends)} photographs are called so, such as {ends[0].name} and "
            f"{ends[1].name}."
        )
    near = difflib.get_close_matches(name, list(known), n=1) or [next(iter(known))]
    raise UsageError(f"{option} {name}: there is no such {kind}; there is {near[0]}.")
