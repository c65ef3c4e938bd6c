"""Files that frameworks wrote themselves (make_files.py), and formats by their documents."""

from pathlib import Path

import pytest

from service.core.diagnosis.histories import read

FILES = Path(__file__).parent / "files"
LOSSES = {"train_loss", "val_loss"}
WRITTEN = {
    "keras_history.json": ("Keras History.history", "val_accuracy", 1.1195465326309204, 1.1901646852493286),
    "keras_csvlogger.csv": ("Keras CSVLogger", "val_accuracy", 1.1195465326309204, 1.1901646852493286),
    "keras_progress.txt": ("Keras progress lines", "val_accuracy", 1.1195, 1.1902),
    "lightning_metrics.csv": ("Lightning metrics.csv", "val_acc", 0.6868579983711243, 1.1209203004837036),
    "trainer_state.json": ("Hugging Face trainer_state.json", "eval_accuracy", 0.6789244810740153, 1.0498162508010864),
    "fastai_history.csv": ("fastai CSVLogger", "accuracy", 0.551247775554657, 1.7271689176559448),
    "ignite_log.txt": ("log", "val_accuracy", 0.68, 1.15),
    "skorch_history.json": ("skorch history", "valid_acc", 0.7264702382840609, 1.0710170269012451),
    "skorch_printed.txt": ("table", "valid_acc", 0.7265, 1.071),
    "timm_summary.csv": ("timm summary.csv", "eval_top1", 0.23068672, 1.01612659),
    "events.out.tfevents": ("TensorBoard event file", "Accuracy/val", 0.23068672, 1.01612659),
    "mlflow_metrics.txt": ("MLflow metric files", "val_accuracy", 0.23068672, 1.01612659),
    "ultralytics_results.csv": ("Ultralytics results.csv", "metrics/accuracy_top1", 0.6562, 0.78907),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_file_of_a_framework_is_read(name: str) -> None:
    reading = read((FILES / name).read_bytes())
    form, accuracy, train, val = WRITTEN[name]
    last = reading.epochs[-1]
    assert reading.format == form
    assert reading.columns["val_accuracy"] == accuracy
    assert [epoch.epoch for epoch in reading.epochs] == list(range(1, 9))
    assert (last.train_loss, last.val_loss) == pytest.approx((train, val), rel=1e-6)
    assert all(0 <= (epoch.val_accuracy or 0) <= 1 for epoch in reading.epochs)


def test_every_written_file_is_tested() -> None:
    assert {path.name for path in FILES.iterdir()} == WRITTEN.keys()


def test_steps_of_hugging_face_are_averaged() -> None:
    reading = read((FILES / "trainer_state.json").read_bytes())
    assert any("means over the steps" in note for note in reading.notes)
    assert reading.columns["lr"] == "learning_rate"


def test_chart_export_of_weights_and_biases() -> None:
    """Written by hand: exporting needs an account. Its columns are `RUN - METRIC`, with __MIN and __MAX of each."""
    header = '"Step","run-1 - val_loss","run-1 - val_loss__MIN","run-1 - val_loss__MAX"'
    reading = read(f"{header}\n0,0.9,0.9,0.9\n1,0.7,0.7,0.7\n".encode())
    assert reading.format == "Weights & Biases export"
    assert [epoch.val_loss for epoch in reading.epochs] == [0.9, 0.7]


def test_history_export_of_weights_and_biases() -> None:
    """Written by hand: `run.history()` has `_step` and `_runtime` beside the metrics, null where they are unset."""
    rows = (
        '[{"_step": 0, "_runtime": 1, "train/loss": 1.0, "val/loss": null},'
        ' {"_step": 1, "_runtime": 2, "train/loss": null, "val/loss": 1.1},'
        ' {"_step": 2, "_runtime": 3, "train/loss": 0.8, "val/loss": null},'
        ' {"_step": 3, "_runtime": 4, "train/loss": null, "val/loss": 0.9}]'
    )
    reading = read(rows.encode())
    assert reading.format == "Weights & Biases history"
    assert [(epoch.train_loss, epoch.val_loss) for epoch in reading.epochs] == [(1.0, 1.1), (0.8, 0.9)]


def test_metric_export_of_mlflow() -> None:
    """Written by hand: one measure a row, with the run, the step and the time."""
    rows = ["abc,train_loss,0.5,0,17", "abc,val_loss,0.6,0,18", "abc,train_loss,0.4,1,19", "abc,val_loss,0.5,1,20"]
    reading = read("\n".join(["run_id,key,value,step,timestamp", *rows]).encode())
    assert reading.format == "MLflow export"
    assert [(epoch.train_loss, epoch.val_loss) for epoch in reading.epochs] == [(0.5, 0.6), (0.4, 0.5)]
