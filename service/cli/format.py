"""Jobs, diagnoses, comparisons and data sets as text and tables."""

import json
import re
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from service.core.text import counted, format_number, format_percent, format_size
from service.core.text.sentences import unrepeated
from service.rendering.foreign_run import early_stopping
from service.rendering.foreign_run import framework as framework_of

DESCRIPTION = re.compile(r" \(|, ")  # separates the name of a built-in data set from its description
ASKED = ("classes", "train_images", "validation_images", "label_counts")  # facts that `diagnose` has options for

Json = dict[str, Any]
SOURCES = {  # of an estimated time
    "history": "estimated from earlier jobs on this data set",
    "speed": "estimated from earlier jobs on other data sets",
    "arithmetic": "by arithmetic",
}


def list_table(*headers: str) -> Table:
    """A table whose first column holds ids. An id is never cut, because other commands take it as an argument."""
    table = Table(*headers, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns:
        column.overflow = "fold"
    return table


def jobs_table(jobs: list[Json]) -> Table:
    table = list_table("id", "name", "status", "epoch", "best val loss", "accuracy", "created")
    for job in jobs:
        best, progress = job["best"] or {}, job["progress"]
        epochs = f"{progress['epoch']}/{progress['epochs']}"
        loss, accuracy = format_number(best.get("val_loss")), format_percent(best.get("val_accuracy"))
        created = job["created_at"][:16].replace("T", " ")
        table.add_row(job["id"], job["spec"]["name"] or "", format_state(job), epochs, loss, accuracy, created)
    return table


def datasets_table(datasets: list[Json]) -> Table:
    table = list_table("id", "name", "status", "images", "classes", "shape", "size", "")
    for dataset in datasets:
        is_built_in = not dataset["created_at"]
        name = DESCRIPTION.split(dataset["name"])[0] if is_built_in else dataset["name"]
        images = f"{dataset['samples']:,}" if dataset["samples"] else ""
        classes = str(len(dataset["classes"])) if dataset["classes"] else ""
        shape = "x".join(map(str, dataset["shape"] or ()))
        size = format_size(dataset["bytes"] or None)
        error = dataset["error"]["detail"] if dataset["error"] else ""
        table.add_row(dataset["id"], name, dataset["status"], images, classes, shape, size, error)
    return table


def weights_table(found: list[Json]) -> Table:
    table = list_table("id", "name", "architecture", "classes", "channels", "size", "created")
    for each in found:
        classes = "" if each["classes"] is None else str(each["classes"])
        row = (each["id"], each["name"], each["arch"], classes, str(each["channels"]), format_size(each["bytes"]))
        table.add_row(*row, each["created_at"][:16].replace("T", " "))
    return table


def comparison_table(comparison: Json) -> Table:
    """One column per job; one row per option that differs, then the results."""
    jobs = comparison["jobs"]
    ids = [job["id"] for job in jobs]
    table = Table("", *ids, box=None, pad_edge=False)
    for option in comparison["spec"]:
        values = [json.dumps(option["values"][id_]) if id_ in option["values"] else "" for id_ in ids]
        table.add_row(option["pointer"].removeprefix("/").replace("/", "."), *values)
    best = [job["best"] or {} for job in jobs]
    table.add_row("best val loss", *(format_number(epoch.get("val_loss")) for epoch in best))
    table.add_row("accuracy", *(format_percent(epoch.get("val_accuracy")) for epoch in best))
    table.add_row("best epoch", *(str(epoch.get("epoch", "")) for epoch in best))
    table.add_row("seconds", *("" if job["seconds"] is None else f"{job['seconds']:.1f}" for job in jobs))
    return table


def format_state(job: Json) -> str:
    """The status of a job: its phase while it runs, with its stop reason when it has ended."""
    if job["is_terminal"] and job["stop_reason"] not in (None, job["status"]):
        return f"{job['status']} ({job['stop_reason']})"
    return str(job["phase"] or job["status"])


def format_job(job: Json) -> str:
    """A job in a few lines."""
    spec, progress, best = job["spec"], job["progress"], job["best"]
    lines = [
        f"{job['id']}  {spec['name'] or ''}".rstrip(),
        f"  {format_state(job)}, epoch {progress['epoch']} of at most {progress['epochs']}, attempt {job['attempt']}",
        f"  {spec['model']['arch']} on {spec['dataset']['id']}, seed {spec['seed']}",
    ]
    if job["status"] == "running" and (job["cancel_requested"] or job["pause_requested"]):
        lines.append(f"  will {'stop' if job['cancel_requested'] else 'pause'} at the next batch")
    if best:
        loss, accuracy = format_number(best["val_loss"]), format_percent(best["val_accuracy"])
        lines.append(f"  best val loss {loss}, accuracy {accuracy}, at epoch {best['epoch']}")
    if (ahead := job["queue"]["jobs_ahead"]) is not None:
        lines.append(f"  in the queue, {counted(ahead, 'job')} ahead of it")
    if shortfall := job["queue"]["shortfall"]:
        lines.append(f"  waits: {shortfall}")
    if error := job["error"]:
        lines.append(f"  {error['origin']} error: {error['detail']}")
    lines += [f"  warning: {warning}" for warning in job["warnings"]]
    if job["labels"]:
        lines.append("  " + " ".join(f"{key}={value}" for key, value in job["labels"].items()))
    if job["parent"]:
        lines.append(f"  forked from {job['parent']}")
    return "\n".join(lines)


def format_queued_job(job: Json) -> str:
    """A job and the command that watches it."""
    return f"{format_job(job)}\nWatch it: rightfit watch {job['id']}"


def format_diagnosis(job_id: str, diagnosis: Json) -> str:
    """The verdict, the notes, all advice with the commands that try it, and the evidence."""
    notes = [f"also {str(note['verdict']).replace('_', ' ')}: {note['summary']}" for note in diagnosis["notes"]]
    all_advice = zip(diagnosis["advice"], _sentences(diagnosis["advice"]), strict=True)
    advice = [line for each, words in all_advice for line in _advice_lines(job_id, each, words)]
    return "\n".join([_verdict_line(diagnosis), *notes, *advice, *_evidence(diagnosis)])


def format_foreign_diagnosis(diagnosis: Json, framework: str | None = None) -> str:
    """The diagnosis of a history from elsewhere: the verdict, advice with code, the evidence, what is missing, and how
    the history was read.
    """
    read = diagnosis["read"]
    shown = framework or framework_of(read["format"])
    columns = ", ".join(name if name == column else f"{name} from {column}" for name, column in read["columns"].items())
    lines = [_verdict_line(diagnosis)]
    lines += [f"also {str(note['verdict']).replace('_', ' ')}: {note['summary']}" for note in diagnosis["notes"]]
    for advice, words in zip(diagnosis["advice"], _sentences(diagnosis["advice"]), strict=True):
        code = advice["snippets"].get(shown, "").splitlines()
        lines += [words, *(f"  {line}" for line in code)]
    lines += [early_stopping(diagnosis["counterfactual"]), *_evidence(diagnosis)]
    lines += [f"unknown: {_missing(each['what'])}; {each['cost']}" for each in diagnosis["missing"]]
    lines.append(f"read: {counted(read['epochs'], 'epoch')} of {read['format']}: {columns}")
    return "\n".join([*lines, *(f"  {remark}" for remark in (*read["notes"], *read["passed_over"]))])


def format_verdict(job_id: str, diagnosis: Json) -> str:
    """The verdict and the first advice."""
    first = diagnosis["advice"][:1]
    advice = [line for each in first for line in _advice_lines(job_id, each, *_sentences(first))]
    return "\n".join([_verdict_line(diagnosis), *advice])


def format_epoch(epoch: Json) -> str:
    """An epoch in one line."""
    train, val = (format_number(epoch[name]) or epoch["flag"] for name in ("train_loss", "val_loss"))
    accuracy = format_percent(epoch["val_accuracy"])
    best = ", the best so far" if epoch["improved"] else ""
    return f"epoch {epoch['epoch']}: train loss {train}, val loss {val}, val accuracy {accuracy}{best}"


def _verdict_line(diagnosis: Json) -> str:
    verdict = str(diagnosis["verdict"]).replace("_", " ")
    return f"{verdict} ({diagnosis['confidence']:.0%}): {diagnosis['summary']}"


def _evidence(diagnosis: Json) -> list[str]:
    lines = [f"  {each['meaning']}: {each['value']:.4g}" for each in diagnosis["evidence"]]
    return ["evidence:", *lines] if lines else []


def _missing(fact: str) -> str:
    """The fact, with the option that gives it."""
    return f"{fact} (--{fact.replace('_', '-')})" if fact in ASKED else fact


def _sentences(advice: Sequence[Json]) -> list[str]:
    """Each advice in words, without the reasons that were given for the one before."""
    reasons = unrepeated([each["reason"] for each in advice])
    return [
        " ".join(filter(None, (f"{each['title']}.", reason, f"Expected: {each['expected']}.")))
        for each, reason in zip(advice, reasons, strict=True)
    ]


def _advice_lines(job_id: str, advice: Json, words: str) -> list[str]:
    lines = [words]
    if advice["patch"]:
        lines += [f"  {json.dumps(advice['patch'])}", f"  rightfit fork {job_id} {advice['id']}"]
    elif action := advice.get("action"):  # services before 0.2.0 have none
        lines.append(f"  rightfit {action['href'].rpartition('/')[2]} {job_id}")
    return lines
