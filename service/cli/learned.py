"""`learned`: what fits have shown, which orders advice and the cures of the next fits."""

import click
from rich.console import RenderableType

from service.cli.format import list_table
from service.cli.session import Session, json_option
from service.client import Json
from service.core.text import counted


@click.command()
@click.option("--clear", is_flag=True, help="Delete these results. The fits stay.")
@json_option
@click.pass_obj
def learned(session: Session, clear: bool) -> None:
    """Show the effects of cures in the newest fits. They order the advice for jobs, and the cures of the next fits."""
    with session.client() as client:
        if clear:
            client.fits.forget()
        effects = client.fits.learned()
    session.answer({"data": effects}, lambda: _table(effects))


def _table(effects: list[Json]) -> RenderableType:
    if not effects:
        return "no fit has completed a trial of a cure"
    table = list_table("cure", "network", "channels", "better", "mean change")
    for each in effects:
        better = f"{each['better']} of {counted(each['trials'], 'trial')}"
        change = f"{each['mean']:+.4f} ({each['objective']})"
        table.add_row(each["cure"], each["network"], str(each["channels"]), better, change)
    return table
