"""Memory of the machine and its GPUs, and the share of it that images may use."""

import os
from pathlib import Path

import torch

SHARE = 0.5  # of the free memory; the rest is for the network, its gradients and its activations
CGROUP = Path("/sys/fs/cgroup")  # limits of a container, cgroup version 2


def room(device: torch.device, processes: int = 1) -> int:
    """Bytes of images that may reside on the device: half of its free memory, on a CPU divided by `processes`."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _free_ram() // processes
    return int(SHARE * free)


def of_gpus() -> tuple[int, ...]:
    """Bytes of memory of each GPU that this process may use. Initializes CUDA."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(torch.cuda.get_device_properties(index).total_memory for index in range(count))


def of_the_machine() -> int:
    """Bytes of memory of the machine, or of the container if it has a lower limit."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(total, int((CGROUP / "memory.max").read_text()))
    except (OSError, ValueError):  # no such file, or `max`
        return total


def _free_ram() -> int:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else ():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    try:
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such file, or `max`
        return free
    return min(free, limit - used + _file_cache())


def _file_cache() -> int:
    """Bytes of cached files in the container's memory usage, which the kernel frees on demand."""
    for line in (CGROUP / "memory.stat").read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0
