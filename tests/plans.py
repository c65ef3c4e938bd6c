"""The query plans of the statements that a call executes."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from service.core.sql.engine import Database

EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")


def plans(database: Database, call: Callable[[], object]) -> list[str]:
    """The steps of the plans of all statements of a call."""
    steps: list[str] = []

    def explain(c: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.split(maxsplit=1)[0] in EXPLAINED:
            words = "EXPLAIN QUERY PLAN" if database.is_local else "EXPLAIN"
            inner = c.connection.dbapi_connection.cursor()
            inner.execute(f"{words} {statement}", parameters)
            steps.extend(str(row[-1]) for row in inner.fetchall())
            inner.close()

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        call()
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)
    return steps
