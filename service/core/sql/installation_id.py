"""The id of this installation: one row, made by the first read."""

from contextlib import suppress
from uuid import uuid4

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.core.sql.engine import Database
from service.core.sql.tables import installation


def installation_id(database: Database) -> str:
    """The id in the database, made if there is none yet."""
    query = select(installation.c.id)
    with suppress(IntegrityError), database.write() as c:  # a concurrent process may have made it
        if c.execute(query).first() is None:
            c.execute(insert(installation).values(number=1, id=uuid4().hex))
    with database.read() as c:
        return str(c.execute(query).scalar_one())
