"""Alembic's entry: runs the migrations on the connection that Database.migrate hands over."""

from alembic import context

from service.core.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
