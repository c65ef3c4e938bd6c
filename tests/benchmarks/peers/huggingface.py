"""The Trainer of Hugging Face's transformers, on a map-style dataset, saving the best checkpoint."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from tests.benchmarks.job import LR, VALIDATION_BATCH, Record, arguments, load, network


class Images(Dataset[dict[str, Tensor]]):
    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


class Classifier(nn.Module):
    def __init__(self, job: str) -> None:
        super().__init__()
        self.model = network(job)

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(pixel_values)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class Watch(TrainerCallback):
    """Writes down an epoch when the next one begins, or training ends: the checkpoint comes after everything else."""

    def __init__(self) -> None:
        self.record = Record("huggingface")

    def on_epoch_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
        if state.log_history:
            self._epoch(state.log_history)

    def on_train_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
        self._epoch(state.log_history)

    def _epoch(self, log: list[dict[str, float]]) -> None:
        last: dict[str, float] = {}
        for entry in log:
            last |= entry
        self.record.epoch(last["loss"], last["eval_loss"], last["eval_accuracy"])


def accuracy(predicted: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((predicted.predictions.argmax(1) == predicted.label_ids).mean())}


def main() -> None:
    given = arguments()
    set_seed(given.seed)
    data = load(given.data)
    train = Images(torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels))
    validation = Images(torch.from_numpy(data.validation_images), torch.from_numpy(data.validation_labels))
    options = TrainingArguments(
        output_dir=str(given.folder),
        seed=given.seed,
        num_train_epochs=given.epochs,
        per_device_train_batch_size=given.batch_size,
        per_device_eval_batch_size=VALIDATION_BATCH,
        learning_rate=LR,
        lr_scheduler_type="constant",
        weight_decay=0,  # so that its AdamW is Adam
        max_grad_norm=0,  # it would clip
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="best",
        metric_for_best_model="loss",
        greater_is_better=False,
        save_total_limit=1,
        save_only_model=True,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    watch = Watch()
    trainer = Trainer(
        Classifier(given.job),
        options,
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=accuracy,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    watch.record.print(len(train))


if __name__ == "__main__":
    main()
