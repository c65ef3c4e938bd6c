"""Settings of a training process, to apply once before its first parallel operation."""

import ctypes
import platform

import torch

# mallopt(3): by default glibc returns each large block to the system and requests it again, page by page, every step.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP_ALL = 2**31 - 1
GROWTH = 64 << 20  # bytes


def tune(threads: int) -> None:
    """Use this number of threads, flush denormal numbers to zero, and keep freed memory for the next step."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # new threads inherit it
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, KEEP_ALL)
        libc.mallopt(M_TOP_PAD, GROWTH)
