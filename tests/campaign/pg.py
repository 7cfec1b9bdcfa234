"""libpq through ctypes: what the campaign needs of it, so that it needs no package.

Values are PostgreSQL's text, None for null. Calls release the interpreter's lock while they wait.
"""
from __future__ import annotations

import ctypes
import ctypes.util

_name = ctypes.util.find_library("pq") or "libpq.so.5"
_lib = ctypes.CDLL(_name)

for _function, _result, *_arguments in (
    ("PQconnectdb", ctypes.c_void_p, ctypes.c_char_p),
    ("PQsetNoticeProcessor", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    ("PQstatus", ctypes.c_int, ctypes.c_void_p),
    ("PQfinish", None, ctypes.c_void_p),
    ("PQerrorMessage", ctypes.c_char_p, ctypes.c_void_p),
    ("PQbackendPID", ctypes.c_int, ctypes.c_void_p),
    ("PQexec", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p),
    ("PQexecParams", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int,
     ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p), ctypes.c_void_p, ctypes.c_void_p,
     ctypes.c_int),
    ("PQresultStatus", ctypes.c_int, ctypes.c_void_p),
    ("PQresultErrorField", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int),
    ("PQresultErrorMessage", ctypes.c_char_p, ctypes.c_void_p),
    ("PQcmdTuples", ctypes.c_char_p, ctypes.c_void_p),
    ("PQntuples", ctypes.c_int, ctypes.c_void_p),
    ("PQnfields", ctypes.c_int, ctypes.c_void_p),
    ("PQgetisnull", ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
    ("PQgetvalue", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
    ("PQclear", None, ctypes.c_void_p),
):
    getattr(_lib, _function).restype = _result
    getattr(_lib, _function).argtypes = _arguments

_COMMAND_OK = 1
_TUPLES_OK = 2
_EMPTY = 0
_SQLSTATE = ord("C")

# Servers that are killed say so on standard error otherwise.
_silence = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda *_: None)

Row = tuple[str | None, ...]


class SqlError(Exception):
    """`sqlstate` is empty where the connection broke: what was sent may or may not have happened."""

    def __init__(self, message: str, sqlstate: str):
        super().__init__(message.strip())
        self.sqlstate = sqlstate

    @property
    def broken(self) -> bool:
        # Also where the server said goodbye: admin shutdown, crash, cannot connect now.
        return self.sqlstate == "" or self.sqlstate.startswith(("57P", "08"))


class Connection:
    """One session. Not for several threads at once."""

    def __init__(self, url: str):
        self._raw = _lib.PQconnectdb(url.encode())
        if _lib.PQstatus(self._raw) != 0:
            message = _lib.PQerrorMessage(self._raw).decode(errors="replace")
            self.close()
            raise SqlError(message, "")
        _lib.PQsetNoticeProcessor(self._raw, ctypes.cast(_silence, ctypes.c_void_p), None)

    def close(self) -> None:
        if self._raw:
            _lib.PQfinish(self._raw)
        self._raw = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return int(_lib.PQbackendPID(self._raw))

    def query(self, sql: str, *parameters: object) -> list[Row]:
        """Runs one statement, or several without parameters; returns the rows of the last."""
        return self._run(sql, parameters)[0]

    def execute(self, sql: str, *parameters: object) -> int:
        """The same; returns how many rows the last statement changed."""
        return self._run(sql, parameters)[1]

    def value(self, sql: str, *parameters: object) -> str | None:
        rows = self.query(sql, *parameters)
        return rows[0][0] if rows else None

    def number(self, sql: str, *parameters: object) -> int:
        return int(self.value(sql, *parameters) or 0)

    def _run(self, sql: str, parameters: tuple[object, ...]) -> tuple[list[Row], int]:
        if self._raw is None:
            raise SqlError("the connection is closed", "")
        if parameters:
            texts = [None if p is None else str(p).encode() for p in parameters]
            array = (ctypes.c_char_p * len(texts))(*texts)
            result = _lib.PQexecParams(self._raw, sql.encode(), len(texts), None, array, None,
                                       None, 0)
        else:
            result = _lib.PQexec(self._raw, sql.encode())
        try:
            if not result:
                raise SqlError(_lib.PQerrorMessage(self._raw).decode(errors="replace"), "")
            if _lib.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK, _EMPTY):
                state = _lib.PQresultErrorField(result, _SQLSTATE) or b""
                message = _lib.PQresultErrorMessage(result) or b""
                raise SqlError(message.decode(errors="replace"), state.decode())
            columns = range(_lib.PQnfields(result))
            rows = [
                tuple(
                    None if _lib.PQgetisnull(result, r, c)
                    else _lib.PQgetvalue(result, r, c).decode()
                    for c in columns)
                for r in range(_lib.PQntuples(result))
            ]
            return rows, int(_lib.PQcmdTuples(result) or 0)
        finally:
            if result:
                _lib.PQclear(result)
