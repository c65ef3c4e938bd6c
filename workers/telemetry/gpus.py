"""Utilization and memory of each GPU of the machine, read from NVML at each scrape."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pynvml
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PERCENT = 100.0


class Gpus(Collector):
    """Without a driver there are no GPUs. A value that a GPU does not report is left out."""

    def __init__(self) -> None:
        self._is_open = False

    def collect(self) -> Iterable[Metric]:
        labels = ["gpu", "uuid"]
        use = GaugeMetricFamily(
            "rightfit_gpu_utilization_ratio", "Share of the time in which it computed", None, labels
        )
        used = GaugeMetricFamily("rightfit_gpu_memory_used_bytes", "Memory in use, by anyone", None, labels)
        size = GaugeMetricFamily("rightfit_gpu_memory_size_bytes", "All of its memory", None, labels)
        for index, handle in enumerate(self._handles()):
            name = [str(index), str(_query(pynvml.nvmlDeviceGetUUID, handle) or "")]
            if rates := _query(pynvml.nvmlDeviceGetUtilizationRates, handle):
                use.add_metric(name, rates.gpu / PERCENT)
            if memory := _query(pynvml.nvmlDeviceGetMemoryInfo, handle):
                used.add_metric(name, memory.used)
                size.add_metric(name, memory.total)
        return use, used, size

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering the collector does not need a driver."""
        return ()

    def _handles(self) -> list[Any]:
        try:
            if not self._is_open:
                pynvml.nvmlInit()
                self._is_open = True
            return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            return []


def _query(function: Callable[[Any], Any], handle: Any) -> Any:
    """The result of an NVML function for a GPU; None where NVML raises an error."""
    with suppress(pynvml.NVMLError):
        return function(handle)
    return None
