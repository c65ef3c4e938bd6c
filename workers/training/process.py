"""What is set once for a whole process that trains, before its first parallel operation."""

import ctypes
import platform

import torch

# mallopt(3): glibc gives every large block back to the system and gets it again, page by page, at every step.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP_ALL = 2**31 - 1
GROWTH = 64 << 20  # bytes


def tune(threads: int) -> None:
    """Use that number of threads, flush denormal numbers to zero, and keep freed memory for the next step."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # threads started from now on inherit it
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, KEEP_ALL)
        libc.mallopt(M_TOP_PAD, GROWTH)
