"""The machine of the benchmark: `python -m tests.benchmarks.machine` prints it as JSON."""

import json
import os
import platform
import re
from pathlib import Path

import torch


def processor() -> str:
    """The CPU's model name with the number of cores that this process may use."""
    name = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def slug(text: str) -> str:
    """Lower-case words with hyphens, fit for a file name."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", " ", text.lower())).strip("-")


def main() -> None:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    print(
        json.dumps(
            {
                "device": device,
                "slug": slug(device),
                "processor": processor(),
                "torch": torch.__version__,
                "python": platform.python_version(),
            }
        )
    )


if __name__ == "__main__":
    main()
