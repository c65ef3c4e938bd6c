"""Units, names, steps, gaps, runs and numbers that are not finite."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.core.diagnosis.histories import MOST_BYTES, MOST_ROWS, Reading, read
from service.core.errors import Invalid

FILES = Path(__file__).parent / "files"


def lines(*rows: str) -> Reading:
    return read("\n".join(rows).encode())


def losses(reading: Reading) -> list[tuple[float | None, float | None]]:
    return [(epoch.train_loss, epoch.val_loss) for epoch in reading.epochs]


def refusal(data: bytes, **how: Any) -> tuple[str, str, str]:
    """Pointer, detail and what is allowed."""
    with pytest.raises(Invalid) as caught:
        read(data, **how)
    (fault,) = caught.value.faults
    assert fault.allowed
    return fault.pointer, fault.detail, fault.allowed


LOGS: dict[str, Sequence[str]] = {
    "epoch lines": ("Epoch [1/3], Train Loss: 0.4, Val Loss: 0.5", "Epoch [2/3], Train Loss: 0.3, Val Loss: 0.45"),
    "two lines": ("Epoch 1", "train loss 0.4 | val loss 0.5", "Epoch 2", "train loss 0.3 | val loss 0.45"),
    "parts": ("epoch=1 train: loss=0.4, acc=0.9 val: loss=0.5, acc=0.8", "epoch=2 train: loss=0.3 val: loss=0.45"),
    "time": ("2024-05-01 12:00:01,123 INFO epoch 1 - training loss: 0.4 - validation loss: 0.5 (12.3s)",
             "2024-05-01 12:00:09,456 INFO epoch 2 - training loss: 0.3 - validation loss: 0.45 (12.1s)"),
    "steps": ("Train Epoch: 1 [0/60 (0%)]\tLoss: 0.5", "Train Epoch: 1 [30/60 (50%)]\tLoss: 0.3",
              "Test set: Average loss: 0.5, Accuracy: 98/100 (98%)", "Train Epoch: 2 [0/60 (0%)]\tLoss: 0.3",
              "Test set: Average loss: 0.45, Accuracy: 99/100 (99%)"),
    "bars": ("Epoch 1/2\r 1/9 [=>....] - ETA: 1s - loss: 0.9\r9/9 [======] - 1s 9ms/step - loss: 0.4 - val_loss: 0.5",
             "Epoch 2/2\r 1/9 [=>....] - ETA: 1s - loss: 0.6\r9/9 [======] - 1s 9ms/step - loss: 0.3 - val_loss: 0.45"),
    "tqdm": ("Epoch 0: 100%|██████| 9/9 [00:01<00:00, 8.1it/s, v_num=3, train_loss=0.400, val_loss=0.500]",
             "Epoch 1: 100%|██████| 9/9 [00:01<00:00, 8.1it/s, v_num=3, train_loss=0.300, val_loss=0.450]"),
    "colours": ("\x1b[1mEpoch 1\x1b[0m \x1b[32mtrain_loss\x1b[0m: \x1b[36m0.4\x1b[0m val_loss: 0.5",
                "\x1b[1mEpoch 2\x1b[0m \x1b[32mtrain_loss\x1b[0m: \x1b[36m0.3\x1b[0m val_loss: 0.45"),
    "no epochs": ("step 0: train loss 0.4, val loss 0.5", "step 100: train loss 0.3, val loss 0.45"),
    "callbacks": ("Epoch 1/9", "loss: 0.4 - val_loss: 0.5", "Epoch 1: val_loss improved from inf to 0.5, saving model",
                  "Epoch 2/9", "loss: 0.3 - val_loss: 0.45", "Restoring model weights from the end of best epoch: 1."),
}  # fmt: skip  # one log a name
TABLES: dict[str, Sequence[str]] = {
    "CSV": ("epoch,loss,val_loss", "1,0.4,0.5", "2,0.3,0.45"),
    "TSV": ("Epoch\tTraining Loss\tValidation Loss", "1\t0.4\t0.5", "2\t0.3\t0.45"),
    "semicolons and decimal commas": ("epoch;train_loss;val_loss", "1;0,4;0,5", "2;0,3;0,45"),
    "markdown": ("| epoch | train loss | val loss |", "|---|:-:|---|", "| 1 | 0.4 | 0.5 |", "| 2 | 0.3 | 0.45 |"),
    "spaces": ("epoch   train_loss   valid_loss", "-----  ----  ----", "    1   0.4   0.5", "    2   0.3   0.45"),
    "from 0": ("epoch,trainLoss,valLoss", "0,0.4,0.5", "1,0.3,0.45"),
    "comment": ("# made by hand", "epoch, loss, eval/loss", "1, 0.4, 0.5", "", "2, 0.3, 0.45"),
    "header again": ("epoch,loss,val_loss", "1,0.4,0.5", "epoch,loss,val_loss", "2,0.3,0.45"),
    "tensors": ("epoch;loss;val_loss", "1;tensor(0.4);tensor(0.5, device='cuda:0')", "2;tensor(0.3);tensor(0.45)"),
    "JSON lines": ('{"epoch": 1, "loss": 0.4, "val_loss": 0.5}', '{"epoch": 2, "loss": 0.3, "val_loss": 0.45}', '{"ep'),
    "JSON rows": ('[{"loss": 0.4, "val_loss": 0.5}, {"loss": 0.3, "val_loss": 0.45}]',),
    "JSON columns": ('{"history": {"loss": [0.4, 0.3], "val_loss": [0.5, 0.45]}, "params": {"epochs": 2}}',),
    "pandas": ('{"loss": {"0": 0.4, "1": 0.3}, "val_loss": {"0": 0.5, "1": 0.45}}',),
    "rows of parts": ("epoch,loss,val_loss", "1,0.4,", "2,0.3,", "1,,0.5", "2,,0.45"),
}


@pytest.mark.parametrize("name", [*LOGS, *TABLES])
def test_the_same_losses_in_any_shape(name: str) -> None:
    reading = lines(*{**LOGS, **TABLES}[name])
    assert [epoch.epoch for epoch in reading.epochs] == [1, 2]
    assert [epoch.train_loss for epoch in reading.epochs] == pytest.approx([0.4, 0.3])
    assert [epoch.val_loss for epoch in reading.epochs] == [0.5, 0.45]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str) -> None:
    assert read("epoch,loss,val_loss,größe\n1,2,3,x\n".encode(encoding)).epochs[0].val_loss == 3


def test_percentages_become_shares_and_it_is_said() -> None:
    reading = lines("epoch,loss,val_loss,val_acc", "1,1,1,86.6", "2,1,1,0.9")
    assert [epoch.val_accuracy for epoch in reading.epochs] == pytest.approx([0.866, 0.009])
    assert "val_acc is in percent: divided by 100" in reading.notes
    assert lines("epoch,loss,val_loss,val_acc", "1,1,1,86.6%").epochs[0].val_accuracy == pytest.approx(0.866)


def test_an_accuracy_that_cannot_be_one_is_not_read() -> None:
    reading = lines("epoch,loss,val_loss,val_acc", "1,1,1,-3", "2,1,1,700")
    assert not reading.has("val_accuracy")
    assert "val_acc is not an accuracy: it ranges from -3 to 700" in reading.notes


def test_validation_every_fifth_epoch() -> None:
    rows = [f"{epoch},{1 / epoch},{0.5 if epoch % 5 == 0 else ''}" for epoch in range(1, 21)]
    reading = lines("epoch,loss,val_loss", *rows)
    assert [epoch.epoch for epoch in reading.epochs] == [5, 10, 15, 20]
    assert "16 epochs without a validation loss" in reading.passed_over
    keras = {"loss": [0.4, 0.3, 0.2, 0.1], "val_loss": [0.5, 0.6]}
    assert losses(read(json.dumps(keras).encode())) == [(0.3, 0.5), (0.1, 0.6)]


def test_numbers_that_are_not_finite_keep_their_epoch() -> None:
    reading = lines("epoch,loss,val_loss", "1,1,1", "2,nan,", "3,0.5,Infinity", "4,0.4,0.9")
    assert [epoch.flag for epoch in reading.epochs] == [None, "nan", "inf", None]
    columns = read(b'{"loss": [1, NaN, 0.4], "val_loss": [1, null, 0.9]}')
    assert [epoch.flag for epoch in columns.epochs] == [None, "nan", None]


def test_a_loss_that_was_never_measured_is_none_without_a_flag() -> None:
    only = lines("epoch,val_loss", "1,1", "2,0.9").epochs
    assert [(epoch.train_loss, epoch.flag) for epoch in only] == [(None, None)] * 2
    assert [epoch.improved for epoch in only] == [True, True]


def test_resumed_run_is_joined() -> None:
    reading = lines("epoch,loss,val_loss", "1,2,2", "2,1,1", "1,0.9,0.95", "2,0.8,0.9")
    assert [epoch.epoch for epoch in reading.epochs] == [1, 2, 3, 4]
    again = lines("epoch,loss,val_loss", "1,2,2", "2,1,1", "3,0.9,9", "3,0.8,0.8", "2,0.95,0.9", "3,0.7,0.7")
    assert losses(again) == [(2, 2), (0.95, 0.9), (0.7, 0.7)]
    assert any("resumed at epoch 2" in note for note in again.notes)


def test_one_of_several_runs_is_chosen() -> None:
    data = b"epoch,loss,val_loss\n1,2,2\n2,1,1\n1,2.1,2\n2,1,3\n"
    assert refusal(data) == (
        "/run",
        "the file has 2 runs: epochs start again after 2 epochs, at run 2",
        "run= with a number from 1 to 2",
    )
    assert losses(read(data, run="2")) == [(2.1, 2), (1, 3)]
    named = b"run,epoch,loss,val_loss\na,1,2,2\na,2,1,1\nb,1,3,3\nb,2,2,2\n"
    assert refusal(named)[2] == "run= with one of a, b"
    assert losses(read(named, run="b")) == [(3, 3), (2, 2)]
    assert refusal(named, run="c")[1] == "there is no run 'c'"
    assert refusal(data, run="3")[0] == "/run"


def test_unusual_names_are_given() -> None:
    data = b"ep,a,b\n1,2,3\n2,1,2\n"
    assert losses(read(data, {"train_loss": "a", "val_loss": "b"})) == [(2, 3), (1, 2)]
    assert refusal(data)[:2] == ("/columns", "no column has the name of a loss; the columns are: ep, a, b")
    assert refusal(data, columns={"val_loss": "b", "train_loss": "c"})[1] == "there is no column 'c'"
    assert refusal(data, columns={"validation": "b"})[1] == "'validation' is not a measure"


def test_columns_of_steps_are_read_after_those_of_epochs() -> None:
    reading = lines("epoch,train_loss_step,train_loss_epoch,val_loss,test_loss,val_top5", "1,9,1,2,3,0.9")
    assert (reading.columns["train_loss"], reading.columns["val_loss"]) == ("train_loss_epoch", "val_loss")
    assert reading.passed_over == ("columns that are not read: train_loss_step, test_loss, val_top5",)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"hello", "no losses"),
        (b'{"epochs": [{}]}', "rows are empty"),
        (b"epoch,loss\n-1,1\n1,1\n", "there is an epoch -1"),
        (b"epoch,loss\n1,1\n9999999999,1\n", "there is an epoch 1e+10"),
        (b"epoch,loss,train_loss_clean\n1,1,-1\n", "train_loss_clean is negative"),
        (b"{}", "neither rows nor columns"),
        (b'{"epochs": []}', "epochs is empty"),
        (b"[[1, 2], [3]]", "neither rows nor columns"),
        (b"[" * 100_000, "no losses"),
        (b"{" * 100_000, "cannot be read"),
        (b'{"loss": [1, 2, 3, 4], "val_loss": [1, 2, 3, 4, 5, 6]}', "loss has 4 values where"),
        (b"\x00\x01\x02", "binary"),
        (b"epoch,loss\n1,abc\n", "no number"),
        (b"epoch,loss,val_loss\n1,-4,1\n", "negative"),
        (b"1700000000000 0.5 0\n1700000000001 0.4 1\n", "does not contain the name of its metric"),
        (b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\t\0\0\xc0\xc1\x9b\xb1\xd8A\x1a\rbrain.Event:2\xec+\xb3\x0b', "no scalars"),
    ],
)
def test_what_is_no_history_is_refused_with_words(data: bytes, detail: str) -> None:
    assert detail in refusal(data)[1]


def test_limits() -> None:
    assert "bytes" in refusal(b"x" * (MOST_BYTES + 1))[1]
    assert f"{MOST_ROWS + 1:,} rows" in refusal(b"loss\n" + b"1\n" * (MOST_ROWS + 1))[1]
    assert "300,000 lines" in refusal(b"\n" * 300_000 + b"loss: 1")[1]
    wide = b",".join(b"a%d" % at for at in range(2000))
    assert "20,000 columns" in refusal(b"loss" + b",a" * 19_999 + b"\n1" + b",1" * 19_999)[1]
    assert "4,002,000 numbers" in refusal(b"loss," + wide + b"\n" + (b"1," * 2000 + b"1\n") * 2000)[1]
    runs = b",".join(b"r%d - loss" % at for at in range(1000))
    assert "2,001,000 numbers" in refusal(wide + b"," + runs + b"\n" + b"1," * 2999 + b"1")[1]


SEEDS = [path.read_bytes() for path in sorted(FILES.iterdir())]


@hypothesis_settings(max_examples=150, deadline=None)
@given(seed=st.sampled_from(SEEDS), edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=6))
def test_any_bytes_are_read_or_refused(seed: bytes, edits: list[tuple[float, bytes]]) -> None:
    for at, change in edits:
        start = int(at * len(seed))
        seed = seed[:start] + change + seed[start + len(change) // 2 :]
    _is_read_or_refused(seed)


PIECES = [
    "epoch", "loss", "val_loss", "train acc", "run", "step", "NaN", "1e999", "-1", "0.5", "99%", "1/0", ",", ";", "\t",
    "|", "\n", "\r", " ", "{", "}", "[", "]", '"', ":", "null", "Epoch 1", "==> metrics/loss <==", "9" * 40, "\x1b[1m",
]  # fmt: skip  # one list


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    _is_read_or_refused("".join(pieces).encode())


def _is_read_or_refused(data: bytes) -> None:
    with suppress(Invalid):
        numbers = [epoch.epoch for epoch in read(data).epochs]
        assert numbers
        assert numbers == sorted(set(numbers))


def test_time_of_reading_grows_with_the_length() -> None:
    text = "loss,val_loss\n" + "\n".join(f"{1 / at},{1 / at}" for at in range(1, 20_001))
    began = time.thread_time()
    assert len(read(text.encode()).epochs) == 20_000
    assert time.thread_time() - began < 3, "seconds; six when each epoch is looked up among all"


@pytest.mark.parametrize("text", ["\x1b]" * 100_000, "a\t" * 200_000, "epoch,loss\n" + "2,0.5\n1,0.5\n" * 5000])
def test_odd_texts_are_refused_without_delay(text: str) -> None:
    began = time.thread_time()
    refusal(text.encode())
    assert time.thread_time() - began < 2, "seconds; each of these once took minutes"


@pytest.mark.parametrize("run", ["0", "3", "\u00b2", "x", "1" * 200])
def test_a_run_that_the_file_lacks_is_refused(run: str) -> None:
    detail, allowed = refusal(b"epoch,loss\n1,1\n2,1\n1,1\n2,1\n", run=run)[1:]
    assert "there is no run" in detail
    assert allowed == "run= with a number from 1 to 2"


def test_names_are_shown_short_and_without_controls() -> None:
    reading = lines("loss\a,val_loss,\x07<b>" + "n" * 500, "1,2,3")
    assert reading.columns["train_loss"] == "loss\\x07"
    assert reading.passed_over == ("columns that are not read: \\x07<b>" + "n" * 92 + "…",)
