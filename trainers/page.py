"""An HTML page in one file that runs and loads nothing but what it was made with."""

from __future__ import annotations

import base64
import hashlib
from html import escape


def html_page(title: str, style: str, body: str, script: str) -> str:
    """A page with one style sheet, one script and pictures inside it.

    A policy tells the browser the hashes of the two, and that pictures are data: were something of another
    file to come into the page unescaped, it would still not run, and nothing could be fetched or sent.

    Args:
        title: any text.
        body: HTML in which all that comes from elsewhere is escaped, without style attributes.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{style}</style></head><body>{body}<script>{script}</script></body></html>
"""


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    """How a policy names an element with this text in it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
