"""The gate before a local web server: its own pages, by its own name and with its token."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from trainers.viewer.gate import Gate

PORT = 8080


def refusal(gate: Gate, host: str, origin: str | None = None, path: str = "") -> str:
    path = path or urlsplit(gate.url(PORT)).path
    return gate.refusal(path, [host], [] if origin is None else [origin], PORT)


@pytest.mark.parametrize(
    ("listens", "own", "foreign"),
    [
        ("127.0.0.1", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"],
         ["192.168.0.2:8080", "localhost", "localhost:80", "machine:8080", "127.0.0.1.example.com:8080"]),
        ("::1", ["[::1]:8080", "localhost:8080"], ["::1:8080", "[fe80::1]:8080", "example.com:8080"]),
        ("0.0.0.0", ["192.168.0.2:8080", "[fe80::1]:8080", "localhost:8080", "machine:8080",
          "machine.local:8080"],
         ["example.com:8080", "machine.example.com:8080", "192.168.0.2:80", "1.example.com:8080", ":8080"]),
        ("studio.example.com", ["studio.example.com:8080", "10.0.0.1:8080"],
         ["example.com:8080", "studio:8080"]),
    ],
)  # fmt: skip
def test_names_of_the_machine_are_its_own(
    listens: str, own: list[str], foreign: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no others, which may be those of a website that has its name lead here."""
    monkeypatch.setattr("socket.gethostname", lambda: "Machine")
    gate = Gate(listens)
    for name in own:
        assert refusal(gate, name) == ""
        assert refusal(gate, name, f"http://{name}") == ""
    for name in foreign:
        assert "not known by that name" in refusal(gate, name)
        assert "not known by that name" in refusal(gate, name, f"http://{name}")


@pytest.mark.parametrize(
    "origin", ["https://127.0.0.1:8080", "http://localhost:8080", "http://127.0.0.1:81", "null", "", "http://a.b"]
)  # fmt: skip
def test_pages_of_other_sites_are_refused_even_with_the_token(origin: str) -> None:
    assert "Other websites" in refusal(Gate("127.0.0.1"), "127.0.0.1:8080", origin)


def test_headers_that_come_twice_are_refused() -> None:
    gate, own = Gate("127.0.0.1"), "127.0.0.1:8080"
    path = urlsplit(gate.url(PORT)).path
    assert gate.refusal(path, [], [], PORT)
    assert gate.refusal(path, [own, own], [], PORT)
    assert gate.refusal(path, [own], [f"http://{own}", "http://example.com"], PORT)
    assert not gate.refusal(path, [own], [f"http://{own}"], PORT)


def test_the_token_is_new_for_each_server_and_hard_to_guess() -> None:
    addresses = {Gate("127.0.0.1").url(PORT) for _ in range(100)}
    assert len(addresses) == 100
    assert all(len(urlsplit(address).path) >= 20 for address in addresses)
    assert Gate("::1").url(PORT).startswith("http://[::1]:8080/")


@pytest.mark.parametrize("path", ["/", "/index.html", "/é/", "//", "?", "/token/../"])
def test_no_other_path_is_let_in(path: str) -> None:
    gate = Gate("127.0.0.1")
    assert "token" in refusal(gate, "127.0.0.1:8080", path=path)
