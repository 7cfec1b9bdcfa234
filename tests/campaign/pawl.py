"""The program under test, as an operator starts it."""
from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

# Found by a sanitizer. Not a code that pawl itself gives.
SANITIZER_EXIT = 99


def _environment(url: str) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("PAWL_", "PG", "DATABASE_URL"))}
    environment["PAWL_DATABASE_URL"] = url
    # Leaks are looked for by the tests; libpqxx 6.4 has one of its own where a connection breaks.
    environment["ASAN_OPTIONS"] = f"exitcode={SANITIZER_EXIT}:detect_leaks=0"
    environment["UBSAN_OPTIONS"] = f"halt_on_error=1:print_stacktrace=1:exitcode={SANITIZER_EXIT}"
    suppressions = os.path.join(os.path.dirname(__file__), "..", "support", "tsan.supp")
    environment["TSAN_OPTIONS"] = (f"exitcode={SANITIZER_EXIT}:halt_on_error=1:"
                                   f"suppressions={os.path.abspath(suppressions)}")
    return environment


class Pawl:
    """One process of it. Output goes to a file, in the order of several processes."""

    def __init__(self, binary: str, words: list[str], url: str, output: str, *,
                 fault: str = "", fault_directory: str = "", before: tuple[str, ...] = ()):
        self.words = words
        self._output = open(output, "ab")
        self._output.write(f"\n$ pawl {' '.join(words)}  {fault}\n".encode())
        self._output.flush()
        environment = _environment(url)
        if fault:
            environment["PAWL_FAULT_AT"] = fault
        if fault_directory:
            environment["PAWL_FAULT_DIR"] = fault_directory
        self._child = subprocess.Popen([*before, binary, *words], env=environment,
                                       stdin=subprocess.DEVNULL, stdout=self._output,
                                       stderr=self._output)
        self.killed = False
        self.judged = False  # Its exit code has been looked at.
        self.interrupted = False

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def ended(self) -> bool:
        return self._child.poll() is not None

    def last_words(self) -> str:
        with open(self._output.name, errors="replace") as output:
            return output.read().rstrip().rpartition("\n")[2]

    def signal(self, number: int) -> None:
        if not self.ended:
            self.killed |= number == signal.SIGKILL
            self.interrupted |= number == signal.SIGINT
            self._child.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, negative where a signal ended it; None where it still runs."""
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._output.close()
        return code

    def end(self) -> None:
        if not self.ended:
            self._child.kill()
            self._child.wait()
        self._output.close()


def ask(binary: str, words: list[str], url: str, seconds: float = 60) -> tuple[int, Any]:
    """A command to its end, with --json: its exit code and the last line of what it says."""
    done = subprocess.run([binary, *words, "--json"], env=_environment(url), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    answer = json.loads(lines[-1]) if lines else {"stderr": done.stderr}
    return done.returncode, answer
