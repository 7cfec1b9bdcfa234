"""What a campaign ends with: its table, and a file of its numbers that can be added to others."""
from __future__ import annotations

import json
from collections import Counter
from typing import Any

import ddl_faults  # noqa: F401  It registers its faults.
from faults import FAULTS
from stage import Outcome

Result = dict[str, Any]

_NUMBERS = {name: fault.number for name, fault in FAULTS.items()} | {
    "writers": "F6", "poison": "F16"}


def result_of(commit: str, seconds: float, outcomes: list[Outcome]) -> Result:
    kinds: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    for outcome in outcomes:
        kinds.update(outcome.injected)
        changes[outcome.scenario.change.name] += 1
    count = lambda name: sum(len(getattr(outcome, name)) for outcome in outcomes)  # noqa: E731
    return {
        "commit": commit,
        "faults": dict(kinds),
        "changes": dict(changes),
        "failed": [outcome.scenario.seed for outcome in outcomes if outcome.failed],
        "sums": {
            "runs": len(outcomes),
            "of them with a fault": sum(any(name not in ("writers", "poison")
                                            for name in o.injected) for o in outcomes),
            "of them sanitized": sum(o.scenario.sanitized for o in outcomes),
            "of them of the schema": sum(o.scenario.change.kind == "ddl" for o in outcomes),
            "of them contracted": sum("contracted" in o.reached for o in outcomes),
            "of them reverted": sum("revert is done" in o.reached for o in outcomes),
            "seconds": round(seconds),
            "faults injected": sum(n for name, n in kinds.items() if name != "writers"),
            "restarts by the operator": sum(o.restarts for o in outcomes),
            "rows written": sum(o.rows_written for o in outcomes),
            "rows lost": count("lost"),
            "rows doubled": count("doubled"),
            "otherwise wrong": count("wrong"),
            "liveness failures": count("liveness"),
        },
    }


def write(path: str, commit: str, seconds: float, outcomes: list[Outcome]) -> None:
    with open(path, "w") as file:
        json.dump(result_of(commit, seconds, outcomes), file, indent=1)


def show(results: list[Result]) -> None:
    faults: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for result in results:
        faults.update(result["faults"])
        sums.update(result["sums"])
    print(f"\n{'fault':<20} {'':4} {'times':>6}")
    for name, count in sorted(faults.items(),
                              key=lambda item: (int(_NUMBERS[item[0]][1:]), item)):
        print(f"{name:<20} {_NUMBERS[name]:4} {count:6,}")
    print()
    for name in results[0]["sums"]:
        print(f"{name:<25} {sums[name]:>12,}")


def show_files(paths: list[str]) -> int:
    """The table of several campaigns together. Returns 1 where one of them found something."""
    results = []
    for path in paths:
        with open(path) as file:
            results.append(json.load(file))
    for commit, count in Counter(result["commit"] for result in results).items():
        runs = sum(r["sums"]["runs"] for r in results if r["commit"] == commit)
        print(f"commit {commit}: {runs:,} runs in {count} campaigns")
    changes: Counter[str] = Counter()
    for result in results:
        changes.update(result["changes"])
    print(", ".join(f"{name}: {count}" for name, count in sorted(changes.items())))
    show(results)
    failed = [seed for result in results for seed in result["failed"]]
    if failed:
        print(f"seeds that were accused: {' '.join(map(str, failed))}")
    return 1 if failed else 0
