"""The cutting proxy (tests/support/cutting_proxy.h) as a child process that obeys line by line."""
from __future__ import annotations

import subprocess
import time


class Proxy:
    """Not for several threads at once."""

    def __init__(self, program: str, server_port: int):
        self._child = subprocess.Popen([program, str(server_port)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = self.tell("port")

    def tell(self, command: str) -> int:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(command + "\n")
        answer = self._child.stdout.readline().strip()
        if not answer or answer == "?":
            raise RuntimeError(f"the cutting proxy does not understand {command!r}")
        return int(answer)

    def wait_for_cuts(self, count: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.tell("cuts") >= count:
                return True
            time.sleep(0.02)
        return False

    def close(self) -> None:
        assert self._child.stdin
        self._child.stdin.close()
        self._child.wait(10)
