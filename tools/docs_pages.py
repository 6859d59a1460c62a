"""Pages of the documentation that are made of the program itself, for MkDocs (`hooks` of mkdocs.yml).

- ``commands.md``: the help of every command, as it is printed.
- ``api/``: a page for each package of ``gsplat_core`` with the docstrings of its modules.
- ``contributing.md``: CONTRIBUTING.md.

A build in which a public name of the package is on no page fails.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import pkgutil
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PACKAGE = "gsplat_core"


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages to those of docs/."""
    from mkdocs.structure.files import File

    pages = {"commands.md": commands(), "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(), **api()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links to files of the repository into links of the site, or into plain names."""
    del config, files
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\((?:\.\./)?CONTRIBUTING\.md\)", f"]({up}contributing.md)", markdown)
    if page.file.src_uri == "contributing.md":
        markdown = re.sub(r"\]\(docs/([\w.#-]+)\)", r"](\1)", markdown)
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)?(?:README\.md|LICENSE)\)", r"\1", markdown)


def on_post_build(config: Any) -> None:
    """
    Raises:
        mkdocs.exceptions.PluginError: a public name is not in the reference.
    """
    from mkdocs.exceptions import PluginError

    pages = "".join(path.read_text() for path in Path(config["site_dir"], "api").glob("*.html"))
    written = set(re.findall(rf'id="({PACKAGE}[\w.]*)"', pages))
    if missing := public_names() - written:
        raise PluginError(f"not in the reference: {', '.join(sorted(missing))}")


def public_names() -> set[str]:
    """Functions, classes and their methods that have no `_` in front of them, by their full names."""
    names = set()
    for path in (ROOT / PACKAGE).rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name == "__init__.py" or "._" in module:
            continue
        for node in ast.parse(path.read_text()).body:
            names |= {f"{module}.{name}" for name in _defined(node)}
    return names


def _defined(node: ast.stmt) -> set[str]:
    """What a statement defines: a public function, or a class and its public functions."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return set()
    within = node.body if isinstance(node, ast.ClassDef) else []
    return {node.name} | {f"{node.name}.{name}" for inner in within for name in _defined(inner)}


def commands() -> str:
    """The help of all commands."""
    from trainers.cli import main, overview
    from trainers.commands import commands as known

    os.environ["COLUMNS"], os.environ["NO_COLOR"] = "100", "1"
    lines = ["# Commands", "", "```text", overview(), "```"]
    for name in known():
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            main([name, "--help"])
        lines += ["", f"## {name}", "", "```text", text.getvalue().strip(), "```"]
    return "\n".join(lines) + "\n"


def api() -> dict[str, str]:
    """The pages of api/ by their paths."""
    packages = defaultdict(list)
    for module in pkgutil.walk_packages([str(ROOT / PACKAGE)], f"{PACKAGE}."):
        if not module.ispkg and not any(part.startswith("_") for part in module.name.split(".")):
            packages[module.name.rpartition(".")[0]].append(module.name)
    pages = {
        f"api/{package}.md": "\n\n".join([f"# {package}", *(f"::: {name}" for name in sorted(names))]) + "\n"
        for package, names in packages.items()
    }
    rows = [f"- [{package}]({package}.md): {_summary(package)}" for package in sorted(packages)]
    pages["api/index.md"] = "\n".join(
        ["# Python", "", "Everything that has no `_` in front of it, package by package.", "", *rows, ""]
    )
    return pages


def _summary(package: str) -> str:
    """The first sentence of a package's docstring."""
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text()
    found = re.match(r'"""(.*?[.:])(?:\s|""")', text, re.DOTALL)
    return " ".join(found[1].split()) if found else ""
