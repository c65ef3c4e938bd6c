"""`evaluate` and `calibrate`: what the best model of a job does, image by image."""

import click

from service.cli.completion import job_ids
from service.cli.session import Session, json_option
from service.core.text import format_number
from service.rendering import evaluation_text

PARTS, FORMATS = ("validation", "test"), ("text", "csv", "json")
MOST_MISTAKES = 200


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("--part", type=click.Choice(PARTS), help="Default: the test images, if the job has any.")
@click.option(
    "--mistakes",
    type=click.IntRange(0, MOST_MISTAKES),
    default=5,
    show_default=True,
    help="Number of mistakes to list, worst first.",
)
@click.option("--label", help="Only mistakes on images of this class.")
@click.option("--guess", help="Only mistakes that were predicted as this class.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="csv is the whole confusion matrix, json the same as --json.",
)
@json_option
@click.pass_obj
def evaluate(
    session: Session,
    job_id: str,
    part: str | None,
    mistakes: int,
    label: str | None,
    guess: str | None,
    form: str,
) -> None:
    """Score the best model of an ended job: confusion matrix, classes, calibration, worst mistakes."""
    with session.client() as client:
        if form == "csv" and not session.as_json:
            click.echo(client.confusion_csv(job_id, part), nl=False)
            return
        evaluation = client.evaluation(job_id, part, mistakes=mistakes, label=label, guess=guess)
    session.as_json |= form == "json"
    session.answer(evaluation, lambda: evaluation_text.draw(evaluation).rstrip("\n"))


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def calibrate(session: Session, job_id: str) -> None:
    """Fit the temperature of an ended job that has none, so that its probabilities are right on average."""
    with session.client() as client:
        fact = client.calibrate(job_id)
    before, after = format_number(fact["loss"]), format_number(fact["loss_after"])
    words = f"temperature {fact['temperature']:.3g}: validation loss {before} without it, {after} with it"
    session.answer(fact, lambda: words)
