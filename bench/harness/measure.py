"""Runs one client process and says what it cost: time, CPU on both sides, memory, WAL."""

import dataclasses
import os
import select
import signal
import subprocess
import tempfile
import time

from harness.server import BenchError, children, stat_fields

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MEMORY_POLL_MS = 20


@dataclasses.dataclass
class ClientCost:
    exit_status: int
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float
    rss_bytes: int


def server_cpu_seconds(server):
    """User and system time of all server processes so far, the ended ones included."""
    own = stat_fields(server.pid)
    ticks = sum(int(field) for field in own[11:15])  # utime, stime, and both of reaped children.
    for pid in children(server.pid):
        ticks += sum(int(field) for field in stat_fields(pid)[11:13])
    return ticks / TICKS_PER_SECOND


def _peak_rss_bytes(pid):
    """VmHWM. Not ru_maxrss: that one starts with the size of this Python process."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Client:
    """A started client. finish() waits for it; kill() is for the fault runs."""

    def __init__(self, argv):
        self._stdout = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._stdout, stderr=self._stderr)

    @property
    def running(self):
        if self._process.returncode is not None:
            return False
        # Looks without reaping: finish() still needs the exit status and the usage.
        return os.waitid(os.P_PID, self._process.pid,
                         os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def interrupt(self):
        """As Ctrl-C does."""
        if self.running:
            os.kill(self._process.pid, signal.SIGINT)  # send_signal() would reap it.

    def kill(self):
        self._process.kill()
        self._process.wait()

    def finish(self, seconds_max=1800):
        descriptor = os.pidfd_open(self._process.pid)
        try:
            rss_bytes = self._await_exit(descriptor, seconds_max)
        except BaseException:
            self.kill()
            raise
        finally:
            os.close(descriptor)
        seconds = time.monotonic() - self.started_at
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return ClientCost(self._process.returncode, self._text(self._stdout),
                          self._text(self._stderr), seconds, usage.ru_utime + usage.ru_stime,
                          rss_bytes)

    def _await_exit(self, descriptor, seconds_max):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        rss_bytes = 0
        while not poll.poll(MEMORY_POLL_MS):
            rss_bytes = max(rss_bytes, _peak_rss_bytes(self._process.pid))
            if time.monotonic() - self.started_at > seconds_max:
                raise BenchError(f"{self._process.args[:2]} took more than {seconds_max} s.")
        return rss_bytes

    @staticmethod
    def _text(file):
        file.seek(0)
        return file.read()


def run_client(argv):
    return Client(argv).finish()


class WalMeter:
    """Bytes of WAL written since it was made, whether flushed or not."""

    def __init__(self, server, database):
        self._server = server
        self._database = database
        self._start = server.scalar(database, "SELECT pg_current_wal_insert_lsn()")

    def bytes(self):
        return int(self._server.scalar(
            self._database, f"SELECT pg_current_wal_insert_lsn() - '{self._start}'::pg_lsn"))
