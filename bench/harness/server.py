"""A private PostgreSQL 15 for measuring: own directory, own socket, never root, always stopped.

Not for tests: it is tuned to be the same on every run, not to be quick to start.
"""

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PORT = 54321  # Names the socket file only; the server listens on no network address.
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 300
SOCKET_PATH_BYTES_MAX = 107

WARM_SETTINGS = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "min_wal_size": "8GB",  # So that WAL files are recycled and not created in the timed part.
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",
    "max_connections": "50",
    "listen_addresses": "",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


class BenchError(Exception):
    """A sentence for the user."""


def _bin_folder():
    folders = sorted(glob.glob("/usr/lib/postgresql/15/bin"))
    if folders:
        return folders[-1]
    postgres = shutil.which("postgres")
    if postgres is None:
        raise BenchError("No PostgreSQL 15 server found. Install postgresql-15.")
    return os.path.dirname(postgres)


def _stop_with_parent():
    """Runs in the child: even a killed harness leaves no server behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # 1 is PR_SET_PDEATHSIG.


def _join_cgroup(group, pid):
    with contextlib.suppress(ProcessLookupError):  # A session may end while we look.
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(pid))


class Session:
    """One psql that stays connected, for polling and for holding a snapshot."""

    END = "end-of-answer"

    def __init__(self, argv):
        self._psql = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def query(self, sql):
        """Returns the answer's lines. Raises BenchError if psql has ended."""
        self._psql.stdin.write(f"{sql};\n\\echo {self.END}\n")
        self._psql.stdin.flush()
        lines = []
        for line in self._psql.stdout:
            if line.rstrip("\n") == self.END:
                return lines
            lines.append(line.rstrip("\n"))
        raise BenchError(f"psql ended while it answered: {sql}")

    def close(self):
        if self._psql.poll() is None:
            self._psql.kill()
        self._psql.communicate()


class Server:
    """Use as a context manager. `settings` of start() are laid over WARM_SETTINGS."""

    def __init__(self):
        self._bin = _bin_folder()
        self._owner = {}
        if os.geteuid() == 0:
            self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._postmaster = None
        self._cgroup = None
        self.folder = tempfile.mkdtemp(prefix="pawl-bench-")
        self.data_folder = os.path.join(self.folder, "data")
        self._log = os.path.join(self.folder, "log")

    def __enter__(self):
        try:
            self._create()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self):
        if len(f"{self.folder}/.s.PGSQL.{PORT}") > SOCKET_PATH_BYTES_MAX:
            raise BenchError(f"{self.folder} is too long for a socket. Set TMPDIR to a shorter path.")
        if self._owner:
            shutil.chown(self.folder, "postgres", "postgres")
        initdb = subprocess.run(
            [f"{self._bin}/initdb", "-D", self.data_folder, "-U", "postgres", "--auth=trust",
             "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8"],
            cwd=self.folder, capture_output=True, text=True, **self._owner)
        if initdb.returncode != 0:
            raise BenchError(f"initdb failed: {initdb.stderr.strip()}")

    def program(self, name):
        return os.path.join(self._bin, name)

    @property
    def pid(self):
        return self._postmaster.pid

    def start(self, settings=None, memory_bytes_max=None):
        """`memory_bytes_max` limits the server's memory, its file cache included, where the kernel
        lets us; returns whether it did."""
        merged = {**WARM_SETTINGS, **(settings or {})}
        argv = [f"{self._bin}/postgres", "-D", self.data_folder, "-k", self.folder, "-p", str(PORT)]
        for name, value in merged.items():
            argv += ["-c", f"{name}={value}"]
        with open(self._log, "ab") as log:
            self._postmaster = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_stop_with_parent, **self._owner)
        self._await_ready()
        return memory_bytes_max is not None and self._limit_memory(memory_bytes_max)

    def _await_ready(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            ready = subprocess.run(
                [f"{self._bin}/pg_isready", "-q", "-h", self.folder, "-p", str(PORT)])
            if ready.returncode == 0:
                return
            if self._postmaster.poll() is not None:
                break
            time.sleep(0.1)
        with open(self._log, encoding="utf-8", errors="replace") as log:
            raise BenchError(f"PostgreSQL did not start:\n{log.read()[-2000:]}")

    def stop(self):
        if self._postmaster is not None and self._postmaster.poll() is None:
            self._postmaster.send_signal(signal.SIGINT)  # Fast shutdown.
            try:
                self._postmaster.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._postmaster.send_signal(signal.SIGQUIT)
                self._postmaster.wait()
        self._postmaster = None
        self._remove_cgroup()

    def _limit_memory(self, bytes_max):
        v1 = os.path.isdir("/sys/fs/cgroup/memory")
        parent = "/sys/fs/cgroup/memory" if v1 else "/sys/fs/cgroup"
        group = f"{parent}/pawl-bench-{os.getpid()}"
        limit = "memory.limit_in_bytes" if v1 else "memory.max"
        try:
            os.mkdir(group)
            self._cgroup = group
            with open(f"{group}/{limit}", "w", encoding="ascii") as file:
                file.write(str(bytes_max))
            for pid in [self.pid, *children(self.pid)]:
                _join_cgroup(group, pid)
        except OSError as error:
            print(f"  no memory limit: {error}", file=sys.stderr)
            return False
        return True

    def _remove_cgroup(self):
        if self._cgroup is None:
            return
        for _ in range(50):  # The kernel lets go of the last process a moment after it was reaped.
            try:
                os.rmdir(self._cgroup)
                break
            except OSError:
                time.sleep(0.1)
        self._cgroup = None

    def forget_files(self):
        """Asks the kernel to drop the data files from its cache. Requires a stopped server."""
        os.sync()
        for folder, _, names in os.walk(self.data_folder):
            for name in names:
                descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)

    def url(self, database):
        return f"postgresql://postgres@/{database}?host={self.folder}&port={PORT}"

    def _psql_argv(self, database):
        return [f"{self._bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]

    def sql(self, database, *statements):
        """Runs each statement in its own transaction; returns the last one's rows, split by column."""
        argv = self._psql_argv(database)
        for statement in statements:
            argv += ["-c", statement]
        psql = subprocess.run(argv, capture_output=True, text=True)
        if psql.returncode != 0:
            raise BenchError(f"psql failed: {psql.stderr.strip()}\n{statements[-1]}")
        return [line.split("|") for line in psql.stdout.splitlines()]

    def scalar(self, database, statement):
        return self.sql(database, statement)[0][0]

    def session(self, database):
        return Session(self._psql_argv(database))


def children(pid):
    """Live children of a process. Every PostgreSQL process is a child of the postmaster."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(int(entry))
            if fields and int(fields[1]) == pid:
                found.append(int(entry))
    return found


def stat_fields(pid):
    """/proc/PID/stat from the state on (field 3), or [] if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []
