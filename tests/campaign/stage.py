"""A run under way: its server, its processes, its files. What faults (faults.py) may do is public."""
from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from typing import Callable

from lane import Lane, SmallDisk
from oracle import SyncWindow
from pawl import SANITIZER_EXIT, Pawl, ask
from pg import Connection, SqlError
from proxy import Proxy
from scenario import Scenario
from server import Server

# After the faults have ended, the run must be done within this. Undisturbed it takes a second or two.
LIVENESS_SECONDS = 60.0
SANITIZED_FACTOR = 2


@dataclass
class Outcome:
    scenario: Scenario
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    liveness: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    injected: list[str] = field(default_factory=list)  # Names of faults that took place.
    reached: set[str] = field(default_factory=set)  # Marks of oracle.MARKS.
    rows_written: int = 0
    restarts: int = 0  # By the operator, because a process had given up.
    seconds: float = 0.0
    directory: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong or self.liveness)


@dataclass(frozen=True)
class Programs:
    release: str
    sanitized: str | None
    proxy: str


class Stage:
    """Owned by the run (run.py); faults borrow it."""

    def __init__(self, scenario: Scenario, lane: Lane, programs: Programs, directory: str,
                 sabotage: str | None = None):
        self.scenario = scenario
        self.change = scenario.change
        self.lane = lane
        self.rng = random.Random(scenario.seed * 7 + 1)
        self.directory = directory
        self.database = f"run_{scenario.seed}"
        self.outcome = Outcome(scenario, directory=directory)
        self.forward = True
        self.contracts = False  # The end of an old shape is under way.
        self.children: list[Pawl] = []
        self.proxy: Proxy
        self.disk: SmallDisk
        self._programs = programs
        self._sabotage = sabotage
        self._has_proxy = any(fault.proxy for fault in scenario.faults)
        self._binary = (programs.sanitized or programs.release) if scenario.sanitized \
            else programs.release
        self._all_children: list[Pawl] = []
        self._held: list[Connection] = []
        self._standby: Server | None = None
        self._run = 0
        self._patience = LIVENESS_SECONDS * (SANITIZED_FACTOR if scenario.sanitized else 1)
        self._sync_window: SyncWindow = (None, None, None, None)
        self._file = os.path.join(directory, "change.sql")

    # ---- For faults ----

    @property
    def server(self) -> Server:
        return self.lane.server

    def admin(self) -> Connection:
        return Connection(self.server.url(self.database))

    def note(self, text: str) -> None:
        self.outcome.notes.append(text)

    def wrong(self, text: str) -> None:
        self.outcome.wrong.append(text)

    def liveness(self, text: str) -> None:
        self.outcome.liveness.append(text)

    def hold(self, session: Connection) -> None:
        """Keeps a session open until the faults of this phase end."""
        self._held.append(session)

    def batches(self) -> int:
        """Committed in this direction so far; 0 where nobody can say."""
        try:
            with self.admin() as admin:
                if not admin.value("SELECT to_regclass('pawl.ledger')"):
                    return 0
                return admin.number("SELECT count(*) FROM pawl.ledger WHERE round "
                                    + ("> 0" if self.forward else "< 0"))
        except SqlError:
            return 0

    def state(self) -> str:
        """Of the run, as its own server has it."""
        if self._find_run() == 0:
            return "not begun"
        with self.admin() as admin:
            return admin.value(f"SELECT state FROM pawl.run WHERE run_id = {self._run}") or "gone"

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if holds():
                return True
            time.sleep(0.04)
        return False

    def wait_for_batches(self, count: int) -> None:
        """A moment in the middle, or its end where it is faster than that."""
        before = self.batches()
        self.wait_until(lambda: self.batches() >= before + count or not self.at_work(), 3)

    def wait_while_working(self, seconds: float) -> None:
        self.wait_until(lambda: not self.at_work(), seconds)

    def stop_children(self) -> None:
        for child in self.children:
            child.signal(signal.SIGKILL)
        for child in self.children:
            child.wait(10)

    def restart(self, fault: str = "", before: tuple[str, ...] = ()) -> None:
        """Starts another process on this run, as an operator does who finds none at work."""
        words = self._words()
        child = Pawl(self._binary, words, self._url(), os.path.join(self.directory, "output"),
                     fault=fault, fault_directory=self.directory, before=before)
        for other in self.children:
            if other.ended:
                self._check_code(other, other.wait(1) or 0)
        self.children = [other for other in self.children if not other.ended] + [child]
        self._all_children.append(child)

    def restart_if_idle(self) -> None:
        if not self.at_work():
            self.outcome.restarts += 1
            self.restart()

    def command(self, *words: str) -> int:
        """A command about the run, to its end; where there is no run yet, nothing."""
        if self._find_run() == 0:
            return 0
        code, _ = ask(self._programs.release, [words[0], str(self._run), *words[1:]],
                      self.server.url(self.database))
        return code

    def fail_over(self) -> None:
        assert self._standby
        old = self.lane.server
        old.kill9()
        self._standby.promote()
        self.lane.server = self._standby
        self._standby = None
        self.proxy.tell(f"lead {self.lane.server.port}")
        self.proxy.tell("reset")
        old.remove()

    # ---- Its processes ----

    def _words(self) -> list[str]:
        workers = ["--workers", str(self.scenario.workers)]
        if self.forward:
            if self.scenario.aborts and self._find_run():
                # `pawl run` behind an abort would begin the file anew.
                return ["resume", str(self._run), *workers]
            pace = ["--pace", str(int(self.scenario.rows / self.scenario.seconds))]
            return ["run", self._file, *pace, *workers]
        return ["revert", str(self._run), "--on-conflict", "skip", *workers]

    def _url(self) -> str:
        return self.server.url(self.database, self.proxy.port if self._has_proxy else None)

    def at_work(self) -> bool:
        return any(not child.ended for child in self.children)

    def _find_run(self) -> int:
        if self._run == 0:
            try:
                with self.admin() as admin:
                    if admin.value("SELECT to_regclass('pawl.run')"):
                        self._run = admin.number("SELECT max(run_id) FROM pawl.run")
            except SqlError:
                pass
        return self._run

    def _reason(self) -> str:
        if self._find_run() == 0:
            return ""
        with self.admin() as admin:
            return admin.value(f"SELECT reason FROM pawl.run WHERE run_id = {self._run}") or ""

    def had_joined(self, child: Pawl) -> bool:
        """Whether it was at work. Before, a connection that breaks ends the command."""
        try:
            with self.admin() as admin:
                return admin.number("SELECT count(*) FROM pawl.worker WHERE pid = $1", child.pid) > 0
        except SqlError:
            return False

    def _check_code(self, child: Pawl, code: int) -> None:
        if child.judged:
            return
        child.judged = True
        unharmed = {-9, -2} if child.interrupted else {-9}  # Before it listens, SIGINT ends it.
        if code == SANITIZER_EXIT or (code < 0 and code not in unharmed):
            self.wrong(f"pawl {' '.join(child.words)} crashed ({code}); see output")
        if code == -9 and not child.killed and not self.scenario.sanitized:
            self.wrong(f"pawl {' '.join(child.words)} was killed by somebody")
        met = self.scenario.forward if self.forward else self.scenario.back
        if code in (1, 4) and not self.scenario.aborts and self.had_joined(child) and all(
                fault.survivable for fault in met):
            self.liveness(f"pawl {' '.join(child.words)} gave up ({code}), though nothing stood in "
                          f"its way for good: {self._reason()}")
        if code == 3:
            self.wrong(f"pawl {' '.join(child.words)} found differences where there are none")
        if code == 0 and child.words[0] == "run" and not self.scenario.aborts and \
                self.state() not in ("completed", "reverting", "reverted", "contracted"):
            self.wrong(f"pawl run says that all is done, but the run is {self.state()}")
