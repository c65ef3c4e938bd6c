"""How busy and how full each GPU of the machine is, by NVML, looked up at each scrape."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pynvml
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PERCENT = 100.0


class Gpus(Collector):
    """Where there is no driver there are no GPUs, and what a GPU does not tell is left out."""

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
            name = [str(index), str(_told(pynvml.nvmlDeviceGetUUID, handle) or "")]
            if rates := _told(pynvml.nvmlDeviceGetUtilizationRates, handle):
                use.add_metric(name, rates.gpu / PERCENT)
            if memory := _told(pynvml.nvmlDeviceGetMemoryInfo, handle):
                used.add_metric(name, memory.used)
                size.add_metric(name, memory.total)
        return use, used, size

    def describe(self) -> Iterable[Metric]:
        """Nothing: it need not look for a driver to be registered."""
        return ()

    def _handles(self) -> list[Any]:
        try:
            if not self._is_open:
                pynvml.nvmlInit()
                self._is_open = True
            return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            return []


def _told(ask: Callable[[Any], Any], handle: Any) -> Any:
    """None where NVML says that it cannot say."""
    with suppress(pynvml.NVMLError):
        return ask(handle)
    return None
