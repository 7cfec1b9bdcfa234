"""Private PostgreSQL servers: made from one initdb, crashed, restarted, followed by a standby.

They run as an unprivileged account, in directories of the campaign, without fsync: they survive
being killed, which is what the campaign does to them, not the loss of the machine.
"""
from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 24MB
max_connections = 80
deadlock_timeout = 50ms
max_wal_size = 512MB
wal_level = replica
max_wal_senders = 4
autovacuum_naptime = 5s
log_line_prefix = '%m [%p] %a '
log_lock_waits = off
timezone = 'UTC'
"""


def _bin_directory() -> str:
    if os.environ.get("PAWL_PG_BINDIR"):
        return os.environ["PAWL_PG_BINDIR"]
    candidates = [subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True,
                                 check=False).stdout.strip()]
    root = "/usr/lib/postgresql"
    if os.path.isdir(root):
        candidates += [f"{root}/{v}/bin" for v in sorted(os.listdir(root), key=float, reverse=True)]
    for candidate in candidates:
        if os.path.exists(os.path.join(candidate, "initdb")):
            return candidate
    raise SystemExit("Found no PostgreSQL server. Run scripts/install-packages.")


BIN = _bin_directory()


def _account() -> pwd.struct_passwd | None:
    """Who servers run as, where we are root; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SystemExit("PostgreSQL refuses to run as root, and there is no user postgres.")


ACCOUNT = _account()


def run_as_account(*words: str) -> str:
    """Runs a program as the servers' account. Throws with its output where it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    environment["LC_ALL"] = "C"
    identity = {} if ACCOUNT is None else {
        "user": ACCOUNT.pw_uid, "group": ACCOUNT.pw_gid, "extra_groups": []}
    done = subprocess.run(words, cwd="/", env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False, **identity)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}")
    return done.stdout


def own(path: str) -> None:
    if ACCOUNT is not None:
        os.chown(path, ACCOUNT.pw_uid, ACCOUNT.pw_gid)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One cluster. Owned by the lane that made it."""

    def __init__(self, directory: str):
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.port = free_port()

    @classmethod
    def create(cls, directory: str, template: str | None = None) -> Server:
        """A new cluster; a copy of `template` (a server that is stopped) costs a tenth of one."""
        os.makedirs(directory)
        own(directory)
        server = cls(directory)
        if template:
            shutil.copytree(template, server.data)
            if ACCOUNT is not None:
                run = ["chown", "-R", f"{ACCOUNT.pw_uid}:{ACCOUNT.pw_gid}", server.data]
                subprocess.run(run, check=True)
        else:
            run_as_account(f"{BIN}/initdb", "-D", server.data, "-U", "postgres", "-A", "trust",
                           "-N", "--locale=C.UTF-8", "-E", "UTF8")
            with open(os.path.join(server.data, "postgresql.conf"), "a") as file:
                file.write(_CONFIGURATION)
        return server

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return (f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"
                "?sslmode=disable&gssencmode=disable&connect_timeout=10")

    def start(self, attempts: int = 3) -> None:
        """Starts it, on another port where that has been taken meanwhile and nobody knows it yet."""
        for attempt in range(attempts):
            try:
                run_as_account(f"{BIN}/pg_ctl", "-D", self.data, "-w", "-t", "60", "-l",
                               os.path.join(self.directory, "postgres.log"), "-o",
                               f"-p {self.port}", "start")
                return
            except RuntimeError:
                if attempt + 1 == attempts:
                    raise
                time.sleep(0.3)

    def stop(self, mode: str = "fast") -> None:
        run_as_account(f"{BIN}/pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def kill9(self) -> None:
        """SIGKILL to the postmaster; its children notice and end. Returns when they have."""
        pid_file = os.path.join(self.data, "postmaster.pid")
        with open(pid_file) as file:
            lines = file.read().splitlines()
        pid = int(lines[0])
        children = _children_of(pid)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(_is_alive(p) for p in [pid, *children]):
            time.sleep(0.01)
        # In a container nobody may reap it, and PostgreSQL takes a zombie for a server that runs.
        # All that belonged to it is gone, so its lock file may go too, with its shared memory.
        os.unlink(pid_file)
        if len(lines) > 6 and len(lines[6].split()) == 2:
            subprocess.run(["ipcrm", "-m", lines[6].split()[1]], capture_output=True, check=False)

    def make_standby(self, directory: str) -> Server:
        """A standby of this server, started and streaming."""
        os.makedirs(directory)
        own(directory)
        standby = Server(directory)
        run_as_account(f"{BIN}/pg_basebackup", "-D", standby.data, "-h", "127.0.0.1", "-p",
                       str(self.port), "-U", "postgres", "-c", "fast", "-R", "-X", "stream")
        standby.start()
        return standby

    def promote(self) -> None:
        run_as_account(f"{BIN}/pg_ctl", "-D", self.data, "-w", "promote")

    def remove(self) -> None:
        try:
            self.stop("immediate")
        except RuntimeError:
            pass  # It does not run.
        shutil.rmtree(self.directory, ignore_errors=True)


def _children_of(pid: int) -> list[int]:
    children = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = re.sub(r"\(.*\)", "x", file.read()).split()
        except OSError:
            continue
        if int(fields[3]) == pid:
            children.append(int(entry))
    return children


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return re.sub(r"\(.*\)", "x", file.read()).split()[2] != "Z"
    except OSError:
        return False
