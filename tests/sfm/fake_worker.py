"""In the place of `gsplat_core.sfm.worker`: does what the environment says, and notes what it was asked.

FAKE_JOURNAL is a file to which each request is appended. FAKE_FAILURE is a stage and how it fails, such as
"matches:abort". FAKE_MODELS is a JSON list of the names in each model; by default all are in one. FAKE_SPARSE
is a model that is copied into the first.
"""

from __future__ import annotations

import json
import os
import sys


def answer(**values: object) -> None:
    print(json.dumps(values), flush=True)


def fail(how: str) -> None:
    if how == "abort":
        print("E20260101 12:00:00.000 1 mapper.cc:1] Check failed: x > 0.", file=sys.stderr, flush=True)
        os.abort()
    elif how == "killed":
        os.kill(os.getpid(), 9)
    elif how == "full":
        print("F1 1 1] SQLite error: database or disk is full", file=sys.stderr, flush=True)
        sys.exit(1)
    elif how == "exception":
        raise ValueError("something odd")
    elif how == "hang":
        os.read(0, 1)


def models(request: dict, names: list[str]) -> list[dict]:
    groups = json.loads(os.environ.get("FAKE_MODELS", json.dumps([names])))
    for rank, _ in enumerate(groups):
        folder = os.path.join(request["output"], str(rank))
        os.mkdir(folder)
        if "FAKE_SPARSE" in os.environ:
            import shutil  # seldom, and it takes a while

            shutil.copytree(os.environ["FAKE_SPARSE"], folder, dirs_exist_ok=True)
    return [{"names": group, "points": 100, "error": 0.5} for group in groups]


def main() -> None:
    request = json.loads(sys.stdin.readline())
    with open(os.environ["FAKE_JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(json.dumps(request) + "\n")
    stage, _, how = os.environ.get("FAKE_FAILURE", "").partition(":")
    answer(done=1, total=2)
    if stage == request["stage"]:
        fail(how)
    known = []
    if os.path.exists(request["database"]):
        with open(request["database"]) as database:
            known = json.load(database)
    if request["stage"] == "features":
        names = {name for group in request["cameras"] for name in group}
        with open(request["database"], "w") as database:
            json.dump(sorted({*known, *names}), database)
        answer(result=None)
    elif request["stage"] == "matches":
        answer(result=None)
    elif request["stage"] == "poses":
        answer(result=models(request, known))
    else:
        facts = json.loads(os.environ.get("FAKE_FACTS", "{}"))
        answer(
            result={name: facts.get(name, {"features": 900, "shared": 40, "partner": ""}) for name in known}
        )


if __name__ == "__main__":
    main()
