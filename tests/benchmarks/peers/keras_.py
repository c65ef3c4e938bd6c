"""Keras 3 on torch: a Sequential model, numpy arrays to fit, a ModelCheckpoint."""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported

import keras
from keras import layers

from tests.benchmarks.job import CLASSES, LR, VALIDATION_BATCH, Record, arguments, load


def network(job: str, shape: tuple[int, ...]) -> keras.Model:
    """The plain network in Keras's words, with Keras's initial weights."""
    channels, dropout = ((32, 64, 128), [layers.Dropout(0.25)]) if job == "cnn" else ((32, 64), [])
    blocks = [
        layer
        for width in channels
        for layer in (layers.Conv2D(width, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), *dropout, layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(shape), *blocks, *head])


class Watch(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.record = Record("keras")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        measured = logs or {}
        self.record.epoch(measured["loss"], measured["val_loss"], measured["val_accuracy"])


def main() -> None:
    given = arguments()
    keras.utils.set_random_seed(given.seed)
    keras.config.set_image_data_format("channels_first")  # torch's own layout, so that nothing has to be transposed
    data = load(given.data)
    model = network(given.job, data.train_images.shape[1:])
    model.compile(
        optimizer=keras.optimizers.Adam(LR, epsilon=1e-8),  # torch's epsilon
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    best = keras.callbacks.ModelCheckpoint(
        str(given.folder / "best.weights.h5"), monitor="val_loss", save_best_only=True, save_weights_only=True
    )
    watch = Watch()
    model.fit(
        data.train_images,
        data.train_labels,
        batch_size=given.batch_size,
        epochs=given.epochs,
        verbose=0,
        validation_data=(data.validation_images, data.validation_labels),
        validation_batch_size=VALIDATION_BATCH,
        callbacks=[best, watch],
    )
    watch.record.print(len(data.train_labels))


if __name__ == "__main__":
    main()
