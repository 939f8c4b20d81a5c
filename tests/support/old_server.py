"""A database older than time limits for statements. A variable cannot be taken from a real one, so it is hidden."""

import pymysql
import pytest

from collectors.vicidial.connection import BoundedConnection


class OldServer(BoundedConnection):
    """A connection to a server that refuses the variable, as MariaDB before 10.1 does."""

    def query(self, sql: object, unbuffered: bool = False) -> int:  # as it is overridden
        asked = sql.decode() if isinstance(sql, bytes) else str(sql)
        if "max_statement_time" in asked:
            raise pymysql.OperationalError(1193, "Unknown system variable 'max_statement_time'")
        return super().query(asked, unbuffered)


def make_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have collectors and `check` meet an old server."""
    monkeypatch.setattr("collectors.vicidial.database.BoundedConnection", OldServer)
