"""The ground on which runs follow each other: a server of one's own, another one, a small disk."""
from __future__ import annotations

import os
import subprocess
import time

from pg import Connection
from server import Server, own


class SmallDisk:
    """A tablespace on a disk of its own, that can be filled. Only root may make one."""

    def __init__(self, server: Server):
        self._path = os.path.join(server.directory, f"disk{time.monotonic_ns()}")
        self._ballast = os.path.join(self._path, "ballast")
        os.makedirs(self._path)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", self._path]
        self.possible = os.geteuid() == 0 and subprocess.run(
            mount, capture_output=True, check=False).returncode == 0
        self.name = f"small{time.monotonic_ns()}"
        if not self.possible:
            return
        own(self._path)
        with Connection(server.url()) as admin:
            admin.execute(f"CREATE TABLESPACE {self.name} LOCATION '{self._path}'")

    def fill(self, leave: int) -> bool:
        if not self.possible:
            return False
        try:
            with open(self._ballast, "wb", buffering=0) as file:
                while file.write(b"x" * 65_536) == 65_536:
                    pass
        except OSError:
            pass
        os.truncate(self._ballast, max(0, os.path.getsize(self._ballast) - leave))
        return True

    def empty(self) -> None:
        os.unlink(self._ballast)

    def remove(self, server: Server) -> None:
        if self.possible:
            with Connection(server.url()) as admin:
                admin.execute(f"DROP TABLESPACE {self.name}")
            subprocess.run(["umount", self._path], check=False)


class Lane:
    """A server of one's own, on which runs follow each other."""

    def __init__(self, directory: str, template: str):
        self.directory = directory
        self._template = template
        self._count = 0
        self.server = self._new(template)
        self.server.start()
        self._wrong: Server | None = None

    def _new(self, template: str | None) -> Server:
        self._count += 1
        return Server.create(os.path.join(self.directory, f"server{self._count}"), template)

    def wrong_server(self) -> Server:
        """Another cluster altogether."""
        if self._wrong is None:
            self._wrong = self._new(None)
            self._wrong.start()
        return self._wrong

    def new_directory(self) -> str:
        self._count += 1
        return os.path.join(self.directory, f"server{self._count}")

    def replace_server(self) -> None:
        self.server.remove()
        self.server = self._new(self._template)
        self.server.start()

    def remove(self) -> None:
        self.server.remove()
        if self._wrong:
            self._wrong.remove()
