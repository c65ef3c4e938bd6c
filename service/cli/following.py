"""`watch` and `logs`: what a job does, as it does it."""

import json

import click

from service.cli import words
from service.cli.completing import job_ids
from service.cli.session import Session, json_option
from service.cli.watching import TRIES, watch_to_the_end
from service.client import Event


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def watch(session: Session, job_id: str) -> None:
    """Watch a job to its end: bars, curves, then the verdict and what to try.

    Ctrl-C stops the watching and leaves the job running. --json gives the job at its end, with its `diagnosis`.
    """
    watch_to_the_end(session, job_id)


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@json_option
@click.pass_obj
def logs(session: Session, job_id: str, follow: bool) -> None:
    """Tell what happened to a job: phases, epochs, verdicts.

    --json gives `{"data": [...]}`; with --follow a document a line, as things happen.
    """
    with session.client(tries=TRIES) as client:
        if not follow:
            found = client.events(job_id)
            session.answer({"data": [event._asdict() for event in found]}, lambda: "\n".join(map(_line, found)))
            return
        for event in client.stream(job_id):
            click.echo(json.dumps(event._asdict()) if session.as_json else _line(event))


def _line(event: Event) -> str:
    return f"{event.data['at'][:19].replace('T', ' ')}  {words.event(event.type, event.data)}"
