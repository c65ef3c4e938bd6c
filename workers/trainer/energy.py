"""The energy that a GPU uses, from NVML, where its driver has a counter."""

import logging
from collections.abc import Callable

import pynvml
import torch

log = logging.getLogger(__name__)


def joule_meter(device: torch.device) -> Callable[[], float | None]:
    """A function that reads the device's energy counter in joules; None where it has none (a CPU, an old GPU)."""
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
            return None  # training continues without the measure

    return read
