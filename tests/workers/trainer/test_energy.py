"""The energy meter, with functions in place of NVML's, because no driver is present."""

from types import SimpleNamespace

import pynvml
import pytest
import torch

from workers.trainer.energy import joule_meter

CUDA = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-34"))
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", {"GPU-12-34": "this one"}.__getitem__)


def test_a_processor_has_no_meter() -> None:
    assert joule_meter(torch.device("cpu"))() is None


@pytest.mark.usefixtures("gpu")
def test_the_counter_of_the_very_gpu_is_read_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([1_000, 5_000, 7_500])
    monkeypatch.setattr(
        pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: next(counts) if handle == "this one" else None
    )
    read = joule_meter(CUDA)
    assert (read(), read()) == (5.0, 7.5)


@pytest.mark.usefixtures("gpu")
def test_a_gpu_without_a_counter_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    assert joule_meter(CUDA)() is None


def test_a_machine_without_a_driver_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert joule_meter(CUDA)() is None


@pytest.mark.usefixtures("gpu")
def test_a_counter_that_fails_meanwhile_fails_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: 1_000)
    read = joule_meter(CUDA)

    def refuse(handle: str) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    assert read() is None
