"""Writes `files/`, each file by the framework itself in a tiny run: `python -m … NAME…` in its environment.

Keras, Lightning, transformers, fastai, ignite and skorch are in the environment of the benchmark (`.venv-bench`); timm,
TensorBoard, MLflow and Ultralytics are installed for it. The files are committed, so that the tests need none of them.
"""

import csv
import json
import os
import shutil
import sys
import tempfile
from collections import OrderedDict
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "torch"

FILES = Path(__file__).parent / "files"
EPOCHS, CLASSES, FEATURES = 8, 3, 12


def numbers(seed: int) -> tuple[Any, Any]:
    """96 samples of three classes, a fifth of them with a wrong label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, 96)
    x = random.normal(0, 1, (96, FEATURES)).astype(np.float32)
    x[np.arange(96), labels] += 2
    return x, np.where(random.random(96) < 0.2, random.integers(0, CLASSES, 96), labels)


def fit_keras(*callbacks: Any) -> dict[str, list[float]]:
    """Train with Keras; returns `History.history`."""
    import keras  # noqa: PLC0415

    model = keras.Sequential(
        [
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fitted = model.fit(*numbers(1), validation_data=numbers(2), epochs=EPOCHS, callbacks=callbacks)
    history: dict[str, list[float]] = fitted.history
    return history


def keras() -> None:
    from keras.callbacks import CSVLogger  # noqa: PLC0415

    with (FILES / "keras_progress.txt").open("w") as log, redirect_stdout(log):
        history = fit_keras(CSVLogger(str(FILES / "keras_csvlogger.csv")))
    (FILES / "keras_history.json").write_text(json.dumps(history))


def fit_lightning(*callbacks: Any) -> bytes:
    """Train with Lightning; returns the `metrics.csv` of its CSVLogger."""
    import pytorch_lightning as pl  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(FEATURES, CLASSES)

        def _loss(self, batch: Any, part: str, **how: Any) -> Any:
            x, y = batch
            out = self.net(x)
            loss = torch.nn.functional.cross_entropy(out, y)
            self.log(f"{part}_loss", loss, **how)
            self.log(f"{part}_acc", (out.argmax(1) == y).float().mean(), **how)
            return loss

        def training_step(self, batch: Any, index: int) -> Any:
            return self._loss(batch, "train", on_step=True, on_epoch=True)

        def validation_step(self, batch: Any, index: int) -> None:
            self._loss(batch, "val")

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.05)

    def loader(seed: int) -> Any:
        x, y = numbers(seed)
        return DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), 32)

    with tempfile.TemporaryDirectory() as folder:
        logger = pl.loggers.CSVLogger(folder)
        trainer = pl.Trainer(
            max_epochs=EPOCHS,
            logger=logger,
            log_every_n_steps=2,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            callbacks=[pl.callbacks.LearningRateMonitor("epoch"), *callbacks],
        )
        trainer.fit(Module(), loader(1), loader(2))
        return (Path(logger.log_dir) / "metrics.csv").read_bytes()


def lightning() -> None:
    (FILES / "lightning_metrics.csv").write_bytes(fit_lightning())


def fit_transformers(*callbacks: Any) -> Any:
    """Train with transformers; returns the state of its Trainer."""
    import torch  # noqa: PLC0415
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            out = self.net(x)
            return {"loss": torch.nn.functional.cross_entropy(out, labels), "logits": out}

    def rows(seed: int) -> list[dict[str, Any]]:
        x, y = numbers(seed)
        return [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]

    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            num_train_epochs=EPOCHS,
            learning_rate=0.05,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=5,
            report_to=[],
            use_cpu=True,
        )
        trainer = Trainer(
            Model(),
            args,
            train_dataset=rows(1),
            eval_dataset=rows(2),
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())},
            callbacks=list(callbacks),
        )
        trainer.train()
        return trainer.state


def transformers() -> None:
    fit_transformers().save_to_json(str(FILES / "trainer_state.json"))


def fastai() -> None:
    import torch  # noqa: PLC0415
    from fastai.callback.progress import CSVLogger  # noqa: PLC0415
    from fastai.data.core import DataLoaders  # noqa: PLC0415
    from fastai.learner import Learner  # noqa: PLC0415
    from fastai.metrics import accuracy, error_rate  # noqa: PLC0415
    from torch.utils.data import TensorDataset  # noqa: PLC0415

    sets = [TensorDataset(*map(torch.tensor, numbers(seed))) for seed in (1, 2)]
    net = torch.nn.Sequential(torch.nn.Linear(FEATURES, 32), torch.nn.ReLU(), torch.nn.Linear(32, CLASSES))
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(
            DataLoaders.from_dsets(*sets, bs=32, device="cpu"),
            net,
            torch.nn.functional.cross_entropy,
            metrics=[accuracy, error_rate],
            path=folder,
            cbs=CSVLogger(),
        )
        with learner.no_bar():
            learner.fit(EPOCHS, 0.05)
        shutil.copy(Path(folder) / "history.csv", FILES / "fastai_history.csv")


def ignite() -> None:
    import torch  # noqa: PLC0415
    from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer  # noqa: PLC0415
    from ignite.metrics import Accuracy, Loss  # noqa: PLC0415
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415

    train, val = (DataLoader(TensorDataset(*map(torch.tensor, numbers(seed))), 32) for seed in (1, 2))
    net, loss = torch.nn.Linear(FEATURES, CLASSES), torch.nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(net, torch.optim.Adam(net.parameters(), 0.05), loss)
    evaluator = create_supervised_evaluator(net, {"accuracy": Accuracy(), "loss": Loss(loss)})
    lines = []

    @trainer.on(Events.EPOCH_COMPLETED)  # type: ignore[untyped-decorator]
    def report() -> None:
        for title, loader in (("Training", train), ("Validation", val)):
            evaluator.run(loader)
            measures = evaluator.state.metrics
            lines.append(
                f"{title} Results - Epoch[{trainer.state.epoch}] Avg accuracy: {measures['accuracy']:.2f} "
                f"Avg loss: {measures['loss']:.2f}"
            )

    trainer.run(train, EPOCHS)
    (FILES / "ignite_log.txt").write_text("\n".join(lines))


def skorch() -> None:
    import torch  # noqa: PLC0415
    from skorch import NeuralNetClassifier  # noqa: PLC0415

    net = torch.nn.Sequential(torch.nn.Linear(FEATURES, CLASSES), torch.nn.Softmax(-1))
    classifier = NeuralNetClassifier(net, max_epochs=EPOCHS, lr=0.5, batch_size=32)
    with (FILES / "skorch_printed.txt").open("w") as log, redirect_stdout(log):
        classifier.fit(*numbers(1))
    classifier.history.to_file(str(FILES / "skorch_history.json"))


def curve(epoch: int) -> tuple[float, float, float]:
    """Training loss, validation loss and validation accuracy of an epoch, for tools that only record."""
    return 1.1 * 0.8**epoch, 1.1 * 0.9**epoch + 0.01 * epoch**2, 0.4 + 0.05 * epoch


def timm() -> None:
    from timm.utils import update_summary  # noqa: PLC0415

    (FILES / "timm_summary.csv").unlink(missing_ok=True)
    for epoch in range(EPOCHS):
        train, val, accuracy = curve(epoch)
        update_summary(
            epoch,
            OrderedDict(loss=train),
            OrderedDict(loss=val, top1=100 * accuracy, top5=99.0),
            filename=str(FILES / "timm_summary.csv"),
            lr=0.1 / (epoch + 1),
            write_header=epoch == 0,
        )


def tensorboard() -> None:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for epoch in range(EPOCHS):
                train, val, accuracy = curve(epoch)
                for tag, value in (("Loss/train", train), ("Loss/val", val), ("Accuracy/val", accuracy)):
                    writer.add_scalar(tag, value, epoch, new_style=tag == "Loss/val")
        shutil.copy(next(Path(folder).iterdir()), FILES / "events.out.tfevents")


def mlflow() -> None:
    import mlflow  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        mlflow.set_tracking_uri(f"file://{folder}")
        mlflow.set_experiment("curves")
        with mlflow.start_run() as run:
            for epoch in range(EPOCHS):
                train, val, accuracy = curve(epoch)
                mlflow.log_metrics({"train_loss": train, "val_loss": val, "val_accuracy": accuracy}, epoch)
        metrics = next(Path(folder).glob(f"*/{run.info.run_id}/metrics"))
        parts = [f"==> metrics/{path.name} <==\n{path.read_text()}" for path in sorted(metrics.iterdir())]
        (FILES / "mlflow_metrics.txt").write_text("\n".join(parts))


def ultralytics() -> None:
    from PIL import Image  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        for part, count in (("train", 16), ("val", 8)):
            for name, shade in (("dark", 60), ("light", 180)):
                images = Path(folder) / "data" / part / name
                images.mkdir(parents=True)
                for at in range(count):
                    pixels = random.normal(shade, 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(images / f"{at}.png")
        YOLO("yolo11n-cls.yaml").train(
            data=f"{folder}/data",
            epochs=EPOCHS,
            imgsz=32,
            batch=8,
            device="cpu",
            amp=False,
            workers=0,
            plots=False,
            project=folder,
            name="run",
        )
        shutil.copy(next(Path(folder).glob("**/results.csv")), FILES / "ultralytics_results.csv")


MAKERS = {
    maker.__name__: maker
    for maker in (keras, lightning, transformers, fastai, ignite, skorch, timm, tensorboard, mlflow, ultralytics)
}

if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
        csv.writer(sys.stderr).writerow(["written", name])
