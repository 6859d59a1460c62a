"""What commands tell people besides their result."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"gsplat-core: warning: {text}", file=sys.stderr)
