"""What a trainer reports to its supervisor, said in words to the log of its job as well."""

import logging
from typing import Any

log = logging.getLogger(__name__)


def say(kind: str, content: dict[str, Any]) -> None:
    """Log a report of this kind (those of workers.trainer.main); one that means nothing to a reader is passed over."""
    match kind:
        case "facts" if "images" in content:
            images = content["images"]
            log.info("%(train)d images to train on, %(validation)d to validate, %(test)d to test", images)
        case "facts" if "test" in content:
            log.info("test images: loss %.6g, accuracy %.2f %%", *_scores(content["test"], "loss", "accuracy"))
        case "epoch":
            better = ", the best so far" if content["improved"] else ""
            losses = (content["train_loss"], *_scores(content, "val_loss", "val_accuracy"))
            log.info("epoch %d: training loss %.6g, validation loss %.6g, accuracy %.2f %%%s", content["epoch"],
                     *losses, better)  # fmt: skip
        case "checkpoint":
            log.info("checkpoint %d after %d epochs", content["number"], content["epochs"])
        case "diagnosis":
            log.info("%s: %s", content["verdict"].replace("_", " "), content["summary"])
        case "phase":
            log.info("%s", content["phase"])
        case "ended":
            log.info("stopped (%s) after %d epochs", content["stop_reason"], content["epochs"])
        case "failed":
            log.error("%s: %s", content["code"], content["detail"])


def _scores(content: dict[str, Any], loss: str, accuracy: str) -> tuple[float, float]:
    return content[loss], 100 * content[accuracy]
