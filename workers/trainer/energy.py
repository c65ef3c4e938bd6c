"""The energy that a GPU takes, by NVML, where its driver says so."""

import logging
from collections.abc import Callable

import pynvml
import torch

log = logging.getLogger(__name__)


def meter(device: torch.device) -> Callable[[], float | None]:
    """What reads the device's energy counter in joules; None where there is no such counter (a CPU, an old GPU)."""
    if device.type != "cuda":
        return lambda: None
    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        log.info("the GPU's energy is not measured: %s", error)
        return lambda: None

    def read() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return None  # no training fails for that

    return read
