"""`LD_PRELOAD=libfaults.so python -m faults DATA`: a JSON line for each trial that found something, and one
for each operation."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from faults.loop import trials
from faults.operations import operations


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, help="a small folder of photographs")
    parser.add_argument("--most", type=int, help="trials per operation; default: every call, in every way")
    parser.add_argument("--only", default="", help="operations with this in their name")
    parser.add_argument("--every", action="store_true", help="print trials that found nothing, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    problems = 0
    for operation in operations(options.data):
        if options.only not in operation.name:
            continue
        done, found, start = [], 0, time.process_time()
        for trial in trials(operation, options.most):
            done.append(trial)
            found += bool(trial.problems)
            if trial.problems or options.every:
                print(json.dumps({"trial": trial.to_json()}), flush=True)
        problems += found
        summary = {
            "operation": operation.name,
            "calls": max(trial.nth for trial in done) - 1,
            "trials": len(done),
            "failed": sum(trial.outcome.startswith("4") for trial in done),
            "problems": found,
            "cpu_seconds": round(time.process_time() - start, 1),
        }
        print(json.dumps(summary), flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
