"""From CUDA C++ to C++ for the headers of ``include/``. Lines keep their numbers.

kernel<T><<<grid, block, bytes, stream>>>(x)  ->  CUDA_ON_CPU_LAUNCH(kernel<T>, grid, block, ...)(x)
__shared__ T a[N], b;                         ->  CUDA_ON_CPU_SHARED(a, T[N]); CUDA_ON_CPU_SHARED(b, T);
extern __shared__ T s[];                      ->  CUDA_ON_CPU_DYNAMIC_SHARED(s, T);
"""

from __future__ import annotations

import re
from pathlib import Path

_COMMENTS_AND_LITERALS = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL
)
_SHARED = re.compile(r"(?:\bextern\s+)?\b__shared__\b([^;]*);")
_ALIGNMENT = re.compile(r"(?:__align__|alignas)\s*\(([^)]*)\)")
_DECLARATOR = re.compile(r"\s*(.*?[\s>*&])?([A-Za-z_]\w*)\s*((?:\[.*\]\s*)?)$", re.DOTALL)
_KERNEL = re.compile(r"(?:[A-Za-z_]\w*\s*::\s*)*[A-Za-z_]\w*\s*$")


def translate(text: str, path: Path) -> str:
    """The text of a ``.cu`` or ``.cuh`` file as C++; ``path`` is where the compiler shall say that it is."""
    return f'#include <cuda_runtime.h>\n#line 1 "{path}"\n' + _shared_memory(_launches(text, path), path)


def kernels(text: str) -> list[str]:
    """The names of all kernels that a text defines."""
    code = _blanked(text)
    found = re.findall(
        r"__global__\s+void\s+(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(", code
    )
    return list(dict.fromkeys(found))


def barriers(text: str) -> list[int]:
    """The line numbers of all calls that wait for other threads without exchanging values."""
    code = _blanked(text)
    calls = re.finditer(r"\b__sync(?:threads|warp)\w*\s*\(|\.\s*sync\s*\(|\bcg::sync\s*\(", code)
    return list(dict.fromkeys(code.count("\n", 0, call.start()) + 1 for call in calls))


def _blanked(text: str) -> str:
    """The text with comments made spaces and literals underscores; every character keeps its place."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " " if match[0].startswith("/") else "_", match[0])

    return _COMMENTS_AND_LITERALS.sub(blank, text)


def _launches(text: str, path: Path) -> str:
    code = _blanked(text)
    parts: list[str] = []
    done = 0
    for opening in re.finditer("<<<", code):
        if opening.start() < done:
            continue
        closing = code.find(">>>", opening.end())
        start = _kernel_start(code, opening.start())
        if closing < 0 or start is None:
            line = code.count("\n", 0, opening.start()) + 1
            raise ValueError(f"{path}:{line}: cannot read this launch of a kernel")
        kernel, config = text[start : opening.start()], text[opening.end() : closing]
        launch = f"CUDA_ON_CPU_LAUNCH(({kernel.strip()}), {config.strip()})"
        parts += [text[done:start], launch, "\n" * (text.count("\n", start, closing) - launch.count("\n"))]
        done = closing + 3
    return "".join(parts) + text[done:]


def _kernel_start(code: str, end: int) -> int | None:
    """Where the name of a kernel starts that ends at ``end``: a::b<T, N>."""
    stripped = code[:end].rstrip()
    if stripped.endswith(">"):
        depth = 0
        for i in range(len(stripped) - 1, -1, -1):
            depth += (stripped[i] == ">") - (stripped[i] == "<")
            if depth == 0:
                stripped = stripped[:i]
                break
    found = _KERNEL.search(stripped)
    return found.start() if found else None


def _shared_memory(text: str, path: Path) -> str:
    code = _blanked(text)
    parts: list[str] = []
    done = 0
    for match in _SHARED.finditer(code):
        dynamic = match[0].startswith("extern")
        declaration = match[1]
        alignment = "".join(f"__attribute__((aligned({a}))) " for a in _ALIGNMENT.findall(declaration))
        first, *others = _split_commas(_ALIGNMENT.sub(" ", declaration))
        head = _DECLARATOR.match(first)
        if head is None or head[1] is None:
            line = code.count("\n", 0, match.start()) + 1
            raise ValueError(f"{path}:{line}: cannot read this declaration of shared memory")
        base = " ".join(head[1].split())
        statements = []
        for declarator in [first[head.start(2) :], *others]:
            name, extents = re.match(r"\s*(\w+)\s*(.*)$", declarator, re.DOTALL).groups()  # type: ignore[union-attr]
            if dynamic:
                statements.append(f"CUDA_ON_CPU_DYNAMIC_SHARED({name}, {base});")
            else:
                statements.append(
                    f"CUDA_ON_CPU_SHARED({name}, {alignment}{base}{' '.join(extents.split())});"
                )
        parts += [text[done : match.start()], " ".join(statements), "\n" * match[0].count("\n")]
        done = match.end()
    return "".join(parts) + text[done:]


def _split_commas(text: str) -> list[str]:
    """Parts between the commas outside all brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{<") - (c in ")]}>")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts
