"""How jobs, diagnoses and comparisons are told to a person."""

import json
import re
from typing import Any

from rich.table import Table

DESCRIBED = re.compile(r" \(|, ")  # what follows a name in its description

Json = dict[str, Any]


def number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def size(count: int) -> str:
    """Bytes, told shortly."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - the unit's own size
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def state(job: Json) -> str:
    """Where a job stands, in a word or two."""
    if job["is_terminal"] and job["stop_reason"] not in (None, job["status"]):
        return f"{job['status']} ({job['stop_reason']})"
    return str(job["phase"] or job["status"])


def listing(*headers: str) -> Table:
    """A table of things whose id, in the first column, is never cut: it is what other commands take."""
    table = Table(*headers, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns:
        column.overflow = "fold"
    return table


def jobs(listed: list[Json]) -> Table:
    table = listing("id", "name", "status", "epoch", "best val loss", "accuracy", "created")
    for job in listed:
        best, progress = job["best"] or {}, job["progress"]
        table.add_row(
            job["id"], job["spec"]["name"] or "", state(job), f"{progress['epoch']}/{progress['epochs']}",
            number(best.get("val_loss")), percent(best.get("val_accuracy")), job["created_at"][:16].replace("T", " "),
        )  # fmt: skip
    return table


def job(found: Json) -> str:
    """A job as it stands."""
    spec, progress, best = found["spec"], found["progress"], found["best"]
    lines = [
        f"{found['id']}  {spec['name'] or ''}".rstrip(),
        f"  {state(found)}, epoch {progress['epoch']} of at most {progress['epochs']}, attempt {found['attempt']}",
        f"  {spec['model']['arch']} on {spec['dataset']['id']}, seed {spec['seed']}",
    ]
    if found["status"] == "running" and (found["cancel_requested"] or found["pause_requested"]):
        lines.append(f"  asked to {'stop' if found['cancel_requested'] else 'pause'}, which it does at the next batch")
    if best:
        told = f"{number(best['val_loss'])}, accuracy {percent(best['val_accuracy'])}, at epoch {best['epoch']}"
        lines.append(f"  best val loss {told}")
    if (ahead := found["queue"]["jobs_ahead"]) is not None:
        lines.append(f"  {ahead} jobs are ahead of it")
    if shortfall := found["queue"]["shortfall"]:
        lines.append(f"  waits: {shortfall}")
    if error := found["error"]:
        lines.append(f"  {error['origin']} error: {error['detail']}")
    lines += [f"  warning: {warning}" for warning in found["warnings"]]
    if found["labels"]:
        lines.append("  " + " ".join(f"{key}={value}" for key, value in found["labels"].items()))
    if found["parent"]:
        lines.append(f"  forked from {found['parent']}")
    return "\n".join(lines)


def queued(found: Json) -> str:
    """A job that is to run, and how to see it run."""
    return f"{job(found)}\nWatch it: rightfit watch {found['id']}"


def diagnosis(job_id: str, found: Json, most: int | None = None) -> str:
    """The verdict, what it rests on, and the cures with the commands that try them; at most so many of them."""
    word = str(found["verdict"]).replace("_", " ")
    lines = [f"{word} ({found['confidence']:.0%}): {found['summary']}"]
    if most is None:
        lines += [f"  {evidence['meaning']}: {evidence['value']:.4g}" for evidence in found["evidence"]]
        lines += [f"also {str(note['verdict']).replace('_', ' ')}: {note['summary']}" for note in found["notes"]]
    for advice in found["advice"][:most]:
        lines.append(f"{advice['title']}. {advice['reason']} {advice['expected']}".rstrip())
        if advice["patch"]:
            lines.append(f"  {json.dumps(advice['patch'])}")
            lines.append(f"  rightfit fork {job_id} {advice['id']}")
    return "\n".join(lines)


def comparison(found: Json) -> Table:
    """A column a job, a row for each thing in which they differ, and what came of it."""
    ids = [job["id"] for job in found["jobs"]]
    table = Table("", *ids, box=None, pad_edge=False)
    for field in found["spec"]:
        told = [json.dumps(field["values"][i]) if i in field["values"] else "" for i in ids]
        table.add_row(field["pointer"].removeprefix("/").replace("/", "."), *told)
    best = [job["best"] or {} for job in found["jobs"]]
    table.add_row("best val loss", *(number(b.get("val_loss")) for b in best))
    table.add_row("accuracy", *(percent(b.get("val_accuracy")) for b in best))
    table.add_row("best epoch", *(str(b.get("epoch", "")) for b in best))
    table.add_row("seconds", *(number(job["seconds"], 1) for job in found["jobs"]))
    return table


def datasets(listed: list[Json]) -> Table:
    table = listing("id", "name", "status", "images", "classes", "shape", "sent", "")
    for found in listed:
        shape = "x".join(map(str, found["shape"] or ()))
        classes, sent = found["classes"], found["bytes"]
        name = found["name"] if found["created_at"] else DESCRIBED.split(found["name"])[0]  # of what is built in
        table.add_row(
            found["id"], name, found["status"], f"{found['samples']:,}" if found["samples"] else "",
            str(len(classes)) if classes else "", shape, size(sent) if sent else "",
            found["error"]["detail"] if found["error"] else "",
        )  # fmt: skip
    return table


def epoch(row: Json) -> str:
    """An epoch in a line."""
    better = ", the best so far" if row["improved"] else ""
    train, val = (number(row[name]) or row["flag"] for name in ("train_loss", "val_loss"))
    return (
        f"epoch {row['epoch']}: train loss {train}, val loss {val}, val accuracy {percent(row['val_accuracy'])}{better}"
    )
