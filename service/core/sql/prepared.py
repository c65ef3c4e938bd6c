"""SELECTs of plain columns that are compiled once and executed by the driver itself.

Reading a few rows through SQLAlchemy takes five times the CPU; most requests of clients that poll read a few rows.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import DBAPIError

from service.core.sql.driver_errors import translated


class Prepared:
    """A SELECT with bound parameters. The types of its columns need no conversion: numbers and text."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._compiled = lru_cache(self._compile)

    def rows(self, engine: Engine, **values: Any) -> list[tuple[Any, ...]]:
        """All rows with these values of the parameters, in a transaction of its own. Raises DatabaseError."""
        text, order, constants = self._compiled(engine.dialect)
        values = constants | values
        with translated():
            try:
                connection = engine.raw_connection()
                try:
                    cursor = connection.cursor()
                    cursor.execute(text, [values[name] for name in order] if order else values)
                    return list(cursor.fetchall())
                finally:
                    connection.close()
            except engine.dialect.loaded_dbapi.Error as error:
                raise DBAPIError.instance(text, values, error, engine.dialect.loaded_dbapi.Error) from error

    def _compile(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        """The text, the order of the parameters where they have no names, and the values that the SELECT sets."""
        compiled = self._query.compile(dialect=dialect)
        return str(compiled), list(getattr(compiled, "positiontup", None) or ()), dict(compiled.params)
