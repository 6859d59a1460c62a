"""Who may look at what a local web server shows: its own pages, by the address that was told to the user.

A browser lets every website connect to servers on this machine. It does say which site asks (Origin) and by
which name it knows the server (Host), so foreign ones are refused; and other people on the machine or the
network lack the token that all addresses begin with.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Of what was let in: no other page may show it in a frame, embed it or learn its address, and it may load
# nothing from elsewhere. Spark starts its threads from texts, and its WebAssembly is one.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; "
    "style-src 'self'; img-src 'self' blob: data:; connect-src 'self' blob: data:; worker-src blob: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Looks at each request to a server.

    Args:
        host: where the server listens.
    """

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        self._token = secrets.token_urlsafe(18)

    def url(self, port: int) -> str:
        """What to open in a browser."""
        return f"http://{_in_url(self._host)}:{port}/{self._token}/"

    def refusal(self, path: str, hosts: list[str], origins: list[str], port: int) -> str:
        """Why a request is refused; empty for one that is let in.

        Args:
            path: begins with a slash.
            hosts, origins: all headers of these names.
            port: where the server listens.
        """
        if len(hosts) != 1 or not self._is_own(hosts[0].lower(), port):
            return "This server is not known by that name. Use the address that it printed.\n"
        if origins and [origin.lower() for origin in origins] != [f"http://{hosts[0].lower()}"]:
            return "Other websites have no access.\n"
        token = path[1:].partition("/")[0]
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return "The address lacks its token. Use the address that was printed.\n"
        return ""

    def _is_own(self, host: str, port: int) -> bool:
        """Whether a Host header names this server. Behind a name that nobody here gave to it may be a website
        that had it lead to this machine; numbers are no such names."""
        name, separator, given = host.rpartition(":")
        if not separator or given != str(port):
            return False
        known = {self._host}
        if self._host in _LOOPBACK:
            return name in {_in_url(other) for other in _LOOPBACK}
        machine = socket.gethostname().lower()
        known |= {"localhost", machine, f"{machine.partition('.')[0]}.local"}
        return name in {_in_url(other) for other in known} or _is_number(name)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
