"""The output of trainers becomes the log of their job."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.errors import LeaseLost
from service.core.records.job_log import KEPT, OUTPUT, LogLine
from service.core.sql.jobs.store import Store
from tests.ports import eventually
from tests.servers import ROOT
from tests.workers.bench import ENDLESS, Bench
from workers.supervisor.trainer_log import BLOCK, TrainerLog


def written(bench: Bench, job_id: str) -> list[tuple[str, str]]:
    return [(line.level, line.message) for line in bench.store.queries.log("t", job_id, 0, KEPT)[1]]


def test_whatever_a_process_writes_is_a_line_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "log"
    trainer_log = TrainerLog(file)
    assert trainer_log.read() == []
    subprocess.run([sys.executable, "-m", "tests.workers.supervisor.write_output", str(file)], cwd=ROOT, check=True)
    logged, library, braces, warned, *more = [(line.level, line.message) for line in trainer_log.read()]
    assert logged == ("info", "logged 1\nin two lines")
    assert library == (OUTPUT, "by a library \N{REPLACEMENT CHARACTER}")
    assert braces == (OUTPUT, '{"not": "a line of the log"}')
    assert warned[0] == "warning"
    assert "beware" in warned[1]
    assert more == []
    assert [line.message for line in trainer_log.read_rest()] == ["unfinished"]
    assert trainer_log.read_rest() == []


def test_only_the_end_of_a_long_output_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"the beginning of a line")
    trainer_log = TrainerLog(file)
    assert trainer_log.read() == []
    file.write_bytes(b"x" * 99 + b"\n" + b"y" * BLOCK + b"\nthe end\n")
    messages = [line.message for line in trainer_log.read_rest()]
    assert messages[-1] == "the end"
    assert not messages[0].startswith("the beginning")


ODD_LINES = [
    b'{"at": NaN, "level": "info", "message": "a"}',
    b'{"at": 1e999, "level": "info", "message": "a"}',
    b'{"at": 1' + b"0" * 400 + b', "level": "info", "message": "a"}',
    b'{"at": 0, "level": "info", "message": "of 1970"}',
    b'{"at": "now", "level": [], "message": null}',
    b"[" * 100_000,
    b"",
    b"\x00\xff",
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_no_line_is_too_odd_to_be_kept(tmp_path: Path, bench: Bench, line: bytes) -> None:
    file = tmp_path / "log"
    now = str(time.time()).encode()
    odd = b'{"at": ' + now + b', "level": "info", "message": "half \\ud800, none \\u0000"}'
    file.write_bytes(line + b"\n" + odd + b"\n")
    job = bench.submit()
    lease = bench.store.leases.claim("w", 60)
    assert lease is not None
    bench.store.leases.write_log(lease, TrainerLog(file).read())
    first, second = bench.store.queries.log("t", job.id, 0, 10)[1]
    assert (first.level, second.level, second.message) == (OUTPUT, "info", "half ?, none ")
    assert abs(first.at - time.time()) < 60


def test_the_log_of_a_job_describes_its_run(bench: Bench) -> None:
    job = bench.run()
    lines = [message for level, message in written(bench, job.id) if level == "info"]
    assert lines[0].startswith(f"attempt 1 by {bench.supervisor.worker}, torch ")
    assert lines[1:4] == [
        "preparing",
        "mlp on cpu, data set digits",
        "100 images to train on, 359 to validate, 0 to test",
    ]
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line.split(":")[0] for line in epochs] == ["epoch 1", "epoch 2", "epoch 3"]
    assert lines[-1] == "stopped (max_epochs) after 3 epochs"


def test_the_last_output_of_a_crashing_trainer_is_kept(bench: Bench) -> None:
    bench = bench.another(replace(bench.settings, attempts=1))
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    os.kill(bench.trainer_pids()[0], signal.SIGSEGV)
    thread.join(30)
    lines = written(bench, job.id)
    assert (OUTPUT, "Fatal Python error: Segmentation fault") in lines
    assert lines[-1] == ("error", "the trainer process was killed by SIGSEGV")


def test_an_error_and_an_attempt_after_it_are_in_one_log(bench: Bench) -> None:
    bench = bench.another(replace(bench.settings, attempts=1))
    job = bench.run(model={"arch": "squeezenet1_1", "pretrained": True}, dataset={"id": "digits", "image_size": 32})
    assert bench.job(job).status == "failed"
    level, message = written(bench, job.id)[-1]
    assert (level, message.split(":")[0]) == ("error", "pretrained_unavailable")
    bench.store.actions.retry("t", job.id)
    bench.supervisor.run_next()
    _, kept = bench.store.queries.log("t", job.id, 0, KEPT)
    assert {line.attempt for line in kept} == {1, 2}
    assert [line.id for line in kept] == list(range(1, len(kept) + 1))


def test_only_the_holder_writes_the_log_and_newest_lines_stay(bench: Bench, store: Store) -> None:
    job = bench.submit()
    lease = store.leases.claim("w", 60)
    assert lease is not None
    store.leases.write_log(lease, [LogLine(0.0, "info", str(n)) for n in range(KEPT - 1)])
    store.leases.write_log(lease, [LogLine(0.0, "info", f"late {n}") for n in range(3)])
    ended, kept = store.queries.log("t", job.id, 0, 2 * KEPT)
    assert not ended
    assert (len(kept), kept[0].message, kept[-1].message) == (KEPT, "2", "late 2")
    assert [line.id for line in store.queries.log("t", job.id, kept[-1].id - 1, KEPT)[1]] == [KEPT + 2]
    with pytest.raises(LeaseLost):
        store.leases.write_log(replace(lease, attempt=lease.attempt + 1), [LogLine(0.0, "info", "of another")])
