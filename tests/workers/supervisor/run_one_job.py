"""`python -m tests.workers.supervisor.run_one_job`: a worker without Celery, set up by the environment, runs one job.

Prints the process id of its fork server, then "over" once the job is held no more.
"""

from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.leases import JobLeases
from service.core.storage import open_storage
from workers.datasets.cache import DatasetCache
from workers.supervisor import forkserver
from workers.supervisor.supervisor import Supervisor


def main() -> None:
    settings = Settings.from_env()
    database = Database(settings.database_url)
    context, info = forkserver.start()
    print(info.server_pid, flush=True)
    storage = open_storage(settings.storage_url)
    cache = DatasetCache(settings.home / "datasets", DatasetStore(database), storage, settings.cache_bytes)
    Supervisor(settings, JobLeases(database), storage, cache, context).run_next()
    forkserver.stop(info)
    print("over", flush=True)


if __name__ == "__main__":
    main()
