"""Errors of SQLAlchemy and its drivers as errors of the domain, in the one place where they leave this room."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.core.errors import DatabaseError, DatabaseUnavailable, SchemaOutdated

MISSING_IN_SCHEMA = ("42P01", "42703")  # SQLSTATE of PostgreSQL: undefined_table, undefined_column


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of SQLAlchemy as DatabaseError. IntegrityError passes: the statements here handle it themselves."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise _kind(error)(str(error), reason) from error


def _kind(error: SQLAlchemyError) -> type[DatabaseError]:
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return DatabaseUnavailable
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return DatabaseUnavailable
    if isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", None) in MISSING_IN_SCHEMA:
        return SchemaOutdated
    return DatabaseError
