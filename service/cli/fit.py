"""`fit`: search for the best model of a data set within a budget, and save what was kept."""

from pathlib import Path
from typing import Any, TextIO

import click

from service.cli.errors import FAILED, INTERRUPTED
from service.cli.fit_view import follow, view
from service.cli.format import SOURCES
from service.cli.progress_bar import progress_bar
from service.cli.session import Session, json_option
from service.client import Json, Rightfit
from service.core.records.artifact_names import BEST_MODEL, ONNX
from service.core.text import counted

PREFIX = "fit_"  # of ids
SAVED = (BEST_MODEL, ONNX)
REPORT, ENSEMBLE = "fit.md", "ensemble.zip"


def _labels(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    """Labels by key, None without any."""
    pairs = [pair.partition("=") for pair in given]
    if wrong := next((pair for pair, (_, sign, _) in zip(given, pairs, strict=True) if not sign), None):
        raise click.BadParameter(f"{wrong!r}: must be KEY=VALUE")
    return {key: value for key, _, value in pairs} or None


@click.command()
@click.argument("source", metavar="DATASET|ID")
@click.option("--minutes", type=float, help="The budget in minutes of wall time, from the start of the first job.")
@click.option("--jobs", type=int, help="The budget as a number of jobs.")
@click.option("--spec", type=click.File(encoding="utf-8"), help="The base: a job spec in a YAML or JSON file.")
@click.option("--space", type=click.File(encoding="utf-8"), help="Ranges of options in a YAML or JSON file.")
@click.option("--seed", type=int, help="Seed of the split, of the training and of the search.")
@click.option("--objective", help="The measure that chooses the best trial; default val_loss.")
@click.option("--seeds", type=int, help="How many times a leader is trained in total; default 3, more for small sets.")
@click.option("--ensemble", is_flag=True, default=None, help=f"Also average the leaders; -o saves {ENSEMBLE}.")
@click.option("--name", help="The name of the fit.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", callback=_labels, help="May be repeated.")
@click.option("--webhook", metavar="URL", help="An address that receives a signed message when the fit has ended.")
@click.option("--plan", is_flag=True, help="Validate, and print the first trials; do not start anything.")
@click.option("--watch", is_flag=True, help="Wait for the model, and print each decision.")
@click.option("--cancel", is_flag=True, help="Cancel the fit ID; the best model so far is kept.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"A folder for {', '.join(SAVED)} and {REPORT}; implies --watch.",
)
@json_option
@click.pass_obj
def fit(
    session: Session, /, source: str, plan: bool, watch: bool, cancel: bool, output: Path | None, **given: Any
) -> None:
    """Search for the best model of DATASET within a budget: train, diagnose, try changes, repeat the leaders.

    Give --minutes or --jobs. With the ID of an earlier fit, the command shows, watches or saves this fit.
    """
    is_known = source.startswith(PREFIX)
    _check(is_known, plan, cancel, given)
    with session.client() as client:
        if plan:
            planned = client.fits.plan(**_request(source, given))
            session.answer(planned, lambda: _format_plan(planned))
            return
        if cancel:
            found = client.fits.cancel(source)
        else:
            found = client.fits.get(source) if is_known else client.fits.submit(**_request(source, given))
    if watch or output:
        _watch(session, found, output)
    else:
        session.answer(found, lambda: view(found))


def _check(is_known: bool, plan: bool, cancel: bool, given: dict[str, Any]) -> None:
    if cancel and not is_known:
        raise click.UsageError(f"--cancel needs the ID of a fit, {PREFIX}…")
    if is_known and (plan or any(value is not None for value in given.values())):
        raise click.UsageError("the options of a new fit need a DATASET, not the ID of a fit")
    if not is_known and (given["minutes"] is None) == (given["jobs"] is None):
        raise click.UsageError("give the budget: either --minutes or --jobs")


def _request(dataset: str, given: dict[str, Any]) -> Json:
    """The arguments of the client's `submit`. The data set of a base spec may have options, such as its split."""
    base, space = _read(given["spec"], "--spec"), _read(given["space"], "--space")
    data = (base or {}).pop("dataset", {}) | {"id": dataset}
    webhook = given["webhook"] and {"url": given["webhook"]}
    return {**given, "dataset": data, "spec": base, "space": space, "webhook": webhook}


def _read(file: TextIO | None, source: str) -> Any:
    from service.cli import specs  # noqa: PLC0415 - see service/cli/__init__.py

    if file is None:
        return None
    value = specs.parse(specs.read_text(file, source), source)
    if not isinstance(value, dict):
        raise click.BadParameter("must be an object", param_hint=source)
    return value


def _watch(session: Session, found: Json, output: Path | None) -> None:
    """Show the fit until it has ended, then save its model. The exit code is 0 if a model was kept."""
    fit_id = found["id"]
    session.note(f"started {fit_id}")
    again = f"rightfit fit {fit_id}"
    with session.patient_client(lambda client: client.fits.get(fit_id), f"{again} --watch") as client:
        try:
            found = follow(session.notes, client, fit_id)
        except KeyboardInterrupt:
            session.note(f"\nThe fit continues. Come back: {again} --watch   end it: {again} --cancel")
            raise click.exceptions.Exit(INTERRUPTED) from None
        saved = _save(session, client, found, output) if output else []
    session.answer(found | {"saved": saved}, lambda: view(found))
    for path in saved:
        session.note(f"saved {path}")
    if found["best"] is None:
        raise click.exceptions.Exit(FAILED)


def _save(session: Session, client: Rightfit, found: Json, output: Path) -> list[str]:
    """Save the report, and the files of the kept model that it has; returns their paths."""
    output.mkdir(parents=True, exist_ok=True)
    paths = []
    published = {entry["name"] for entry in client.fits.artifacts(found["id"])} if found["best"] else set[str]()
    for name in SAVED:
        if name in published:
            with progress_bar(session, name) as progress:
                client.fits.download(found["id"], name, output / name, progress)
            paths.append(str(output / name))
    if found["ensemble"]:
        with progress_bar(session, ENSEMBLE) as progress:
            client.fits.ensemble(found["id"], output / ENSEMBLE, progress)
        paths.append(str(output / ENSEMBLE))
    (output / REPORT).write_text(client.fits.report(found["id"]), encoding="utf-8")
    return [*paths, str(output / REPORT)]


def _format_plan(planned: Json) -> str:
    tried = [f"  {number}. {words}" for number, words in enumerate(planned["first_trials"], 1)]
    warnings = [f"warning: {warning}" for warning in planned["warnings"]]
    varied = f"{len(planned['space'])} options are varied, with {planned['slots']} jobs at once. First:"
    return "\n".join([varied, *tried, *_format_cost(planned["trial_cost"]), *warnings])


def _format_cost(cost: Json | None) -> list[str]:
    if cost is None:
        return ["The cost of a trial is unknown until a job on this data set has trained."]
    trial = f"A trial has {counted(cost['epochs'], 'epoch')} and takes about {cost['seconds']:,.1f} s"
    return [f"{trial}, {SOURCES[cost['source']]}."]
