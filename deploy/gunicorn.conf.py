"""gunicorn for the API: one process with threads by default, since its work is waiting for SQL and Redis."""

from service.core.settings import Settings
from service.standalone import refuse_open_door

settings = Settings.from_env()
refuse_open_door(settings)

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = "gthread"
workers = settings.api_processes
threads = settings.api_threads
timeout = 120  # seconds without a sign of life from a process; longer than the longest ?wait
graceful_timeout = 5  # seconds for requests in flight when told to stop
keepalive = 30  # seconds; pollers come back on the same connection
control_socket_disable = True
