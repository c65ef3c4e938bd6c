"""The command `rightfit`: its subcommands, each in a module of its kind.

`--help` and the completion of words must be quick, so what takes long to import is imported by the commands that need
it: SQLAlchemy with Alembic takes a second, plotext half of one, ruamel.yaml a tenth.
"""

import click
import httpx

from service.cli.backup import backup, restore, verify
from service.cli.control import cancel, pause, resume, retry
from service.cli.data import data
from service.cli.delete import rm
from service.cli.doctor import doctor
from service.cli.download import download
from service.cli.errors import Edge
from service.cli.files import files, predict
from service.cli.follow import logs, watch
from service.cli.keys import keys
from service.cli.migrate import migrate
from service.cli.serve import demo, serve
from service.cli.session import Session
from service.cli.show import compare, diagnose, jobs, show
from service.cli.submit import fork, train
from service.client import DEFAULT_URL

EPILOG = """\b
Exit codes:
  0    done; of a job that was watched: it succeeded
  1    the job failed or was cancelled, a check failed, or this machine could not do it
  2    the command line is wrong
  3    the service refused it; every fault is told, and what is allowed
  4    the service cannot be reached
  5    an error of the service or of this program
  130  Ctrl-C; a job that was watched goes on

\b
With --json one JSON document goes to stdout, and all words to stderr.
RIGHTFIT_API_KEY is the API key, where the service wants one. NO_COLOR is respected.
Completion for bash (zsh and fish likewise): eval "$(_RIGHTFIT_COMPLETE=bash_source rightfit)"
"""


@click.group(cls=Edge, epilog=EPILOG)
@click.option("--url", envvar="RIGHTFIT_URL", default=DEFAULT_URL, show_default=True, show_envvar=True)
@click.version_option(package_name="rightfit")
@click.pass_context
def main(ctx: click.Context, url: str) -> None:
    """Training as a service for image classifiers."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise click.BadParameter(f"{url!r}: {error}", param_hint="--url or RIGHTFIT_URL") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise click.BadParameter(f"{url!r} is not http://… or https://…", param_hint="--url or RIGHTFIT_URL")
    ctx.obj = Session(url)


for command in (
    serve, demo, train, watch, jobs, show, diagnose, fork, compare, cancel, pause, resume, retry, rm, logs, files,
    download, predict, data, keys, doctor, migrate,
    backup, restore, verify,
):  # fmt: skip
    main.add_command(command)
