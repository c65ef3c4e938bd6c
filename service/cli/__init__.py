"""The command `rightfit` with its subcommands.

`--help` and the completion in a shell must be quick, so a command imports slow modules when it runs: SQLAlchemy with
Alembic takes a second, plotext half of one, ruamel.yaml a tenth.
"""

import click
import httpx

from service.cli.backup import backup, restore, verify
from service.cli.control import cancel, pause, resume, retry
from service.cli.data import data
from service.cli.delete import rm
from service.cli.diagnose import diagnose
from service.cli.doctor import doctor
from service.cli.download import download, export
from service.cli.errors import ErrorHandlingGroup
from service.cli.evaluate import calibrate, evaluate
from service.cli.files import files, predict
from service.cli.fit import fit
from service.cli.folds import folds
from service.cli.follow import logs, watch
from service.cli.keys import keys
from service.cli.learned import learned
from service.cli.migrate import migrate
from service.cli.serve import demo, serve
from service.cli.session import Session
from service.cli.show import compare, jobs, show
from service.cli.submit import fork, train
from service.cli.weights import weights
from service.client import DEFAULT_URL

EPILOG = """\b
Exit codes:
  0    success; for --watch and watch: the job succeeded, the fit has a model
  1    the job failed or was cancelled, a check failed (--fail-on too), or an operation on this machine failed
  2    the command line is wrong
  3    the request was refused, or a history cannot be read; the message lists every fault and what is allowed
  4    the service cannot be reached
  5    an error of the service or of this program
  130  Ctrl-C; a watched job continues

\b
--json prints one JSON document to stdout and everything else to stderr.
RIGHTFIT_API_KEY is the API key for a service that requires one. NO_COLOR turns colors off.
Completion for bash, and likewise for zsh and fish: eval "$(_RIGHTFIT_COMPLETE=bash_source rightfit)"
"""


@click.group(cls=ErrorHandlingGroup, epilog=EPILOG)
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


STACK = (serve, demo, doctor, migrate, backup, restore, verify, keys)
JOBS = (
    train,
    fit,
    learned,
    folds,
    watch,
    jobs,
    show,
    diagnose,
    evaluate,
    calibrate,
    fork,
    compare,
    cancel,
    pause,
    resume,
    retry,
    rm,
    logs,
)
FILES = (files, download, export, predict, data, weights)

for command in (*STACK, *JOBS, *FILES):
    main.add_command(command)
