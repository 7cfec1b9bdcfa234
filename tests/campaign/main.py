"""Random migrations under random faults, judged by what is not the engine. See README.md."""
from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time

import report
from ddl_forms import FORMS
from ddl_run import play_ddl
from ddl_scenario import DdlScenario, draw_ddl, is_ddl
from faults import FAULTS
from lane import Lane
from poison import DDL_SABOTAGES, SABOTAGES
from run import play
from scenario import draw
from server import Server, own
from stage import Outcome, Programs


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, help="so many runs")
    parser.add_argument("--minutes", type=float, help="so long (default: 5, or as --seeds says)")
    parser.add_argument("--seed", type=int, action="append", help="this run again; several times")
    parser.add_argument("--master", type=int, help="where the seeds come from; printed by each")
    parser.add_argument("--lanes", type=int, default=2, help="runs at a time, on a server each")
    parser.add_argument("--keep", action="store_true", help="keep the servers' directory")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="each run with this one first")
    parser.add_argument("--change", help="each run with this migration")
    parser.add_argument("--only", choices=("ddl", "rows"),
                        help="changes of the schema, or of rows (default: a third, and the rest)")
    parser.add_argument("--sabotage", choices=sorted({**SABOTAGES, **DDL_SABOTAGES}),
                        help="damage each run behind its back: every one must be found wrong")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    parser.add_argument("--sum", nargs="+", metavar="FILE",
                        help="run nothing: the table of what several campaigns have written")
    parser.add_argument("--describe", action="store_true", help="say what seeds mean; run nothing")
    parser.add_argument("--sanitized-share", type=float, default=0.3,
                        help="of runs, with the build that has sanitizers and fault points")
    parser.add_argument("--commit", default="unknown", help=argparse.SUPPRESS)
    parser.add_argument("--release", help=argparse.SUPPRESS)
    parser.add_argument("--sanitized", help=argparse.SUPPRESS)
    parser.add_argument("--proxy", help=argparse.SUPPRESS)
    return parser.parse_args()


class Campaign:
    def __init__(self, arguments: argparse.Namespace):
        self._arguments = arguments
        self._programs = Programs(arguments.release, arguments.sanitized, arguments.proxy)
        self._master = arguments.master
        if self._master is None:
            self._master = random.SystemRandom().randrange(1, 10**6)
        self._seeds = iter(arguments.seed or self._endless())
        minutes = arguments.minutes or (None if arguments.seeds or arguments.seed else 5)
        self._until = time.monotonic() + minutes * 60 if minutes else None
        self._left = arguments.seeds if not arguments.seed else len(arguments.seed)
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._directory = tempfile.mkdtemp(prefix="pawl-campaign-")
        os.chmod(self._directory, 0o755)

    def _endless(self):
        rng = random.Random(self._master)
        while True:
            yield rng.randrange(1, 10**9)

    def _draw(self, seed: int):
        share = self._arguments.sanitized_share if self._programs.sanitized else 0.0
        given = self._arguments
        drawn = draw_ddl if self._is_ddl(seed) else draw
        return drawn(seed, only=given.fault, change=given.change, sanitized_share=share)

    def _is_ddl(self, seed: int) -> bool:
        given = self._arguments
        if given.only or given.sabotage or given.change:
            return (given.only == "ddl" or given.sabotage in DDL_SABOTAGES or given.change in FORMS)
        if given.fault and FAULTS[given.fault].kinds:
            return FAULTS[given.fault].kinds == ("ddl",)
        return is_ddl(seed)

    def _next(self) -> int | None:
        with self._lock:
            if self._until and time.monotonic() > self._until:
                return None
            if self._left is not None:
                if self._left == 0:
                    return None
                self._left -= 1
            return next(self._seeds, None)

    def run(self) -> int:
        print(f"master seed {self._master}; directory {self._directory}", flush=True)
        if self._arguments.describe:
            while (seed := self._next()) is not None:
                print(f"{seed:>9}  {self._draw(seed).describe()}")
            return 0
        template = Server.create(os.path.join(self._directory, "template"))
        began = time.monotonic()
        lanes = [threading.Thread(target=self._work, args=(i, template.data))
                 for i in range(self._arguments.lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        return self._report(time.monotonic() - began)

    def _work(self, index: int, template: str) -> None:
        directory = os.path.join(self._directory, f"lane{index}")
        os.makedirs(directory)
        own(directory)
        lane = Lane(directory, template)
        try:
            while (seed := self._next()) is not None:
                scenario = self._draw(seed)
                act = play_ddl if isinstance(scenario, DdlScenario) else play
                outcome = act(scenario, lane, self._programs,
                              os.path.join(self._directory, f"seed-{seed}"),
                              self._arguments.sabotage)
                self._tell(outcome)
                if outcome.failed or any(fault.server for fault in outcome.scenario.faults):
                    lane.replace_server()  # Whatever it has been left with.
        finally:
            if not self._arguments.keep:
                lane.remove()

    def _tell(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
            verdict = "FAILED" if outcome.failed else "ok"
            print(f"{outcome.scenario.seed:>9}  {outcome.seconds:5.1f} s  {verdict:6}  "
                  f"{outcome.scenario.describe()}", flush=True)
            if outcome.failed:
                for name in ("lost", "doubled", "wrong", "liveness"):
                    for text in getattr(outcome, name)[:3]:
                        print(f"{'':19}{name}: {text[:500]}", flush=True)
                print(f"{'':19}kept in {outcome.directory}", flush=True)

    def _report(self, seconds: float) -> int:
        outcomes = self._outcomes
        failed = [outcome for outcome in outcomes if outcome.failed]
        if self._arguments.json:
            report.write(self._arguments.json, self._arguments.commit, seconds, outcomes)
        report.show([report.result_of(self._arguments.commit, seconds, outcomes)])
        if (not failed or self._arguments.sabotage) and not self._arguments.keep:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._arguments.sabotage:
            print(f"\n{self._arguments.sabotage}: found in {len(failed)} of {len(outcomes)} runs")
            return 0 if outcomes and len(failed) == len(outcomes) else 1
        for outcome in failed:
            print(f"replay: scripts/campaign --seed {outcome.scenario.seed}"
                  + (f" --fault '{self._arguments.fault}'" if self._arguments.fault else "")
                  + (f" --change '{self._arguments.change}'" if self._arguments.change else "")
                  + (f" --only {self._arguments.only}" if self._arguments.only else "")
                  + f"    kept: {outcome.directory}")
        if not outcomes:
            print("No run took place.")
        return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    given = _arguments()
    sys.exit(report.show_files(given.sum) if given.sum else Campaign(given).run())
