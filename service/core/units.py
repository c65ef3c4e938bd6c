"""Units of time (in seconds) and of memory (in bytes)."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400
GIB = 1 << 30
