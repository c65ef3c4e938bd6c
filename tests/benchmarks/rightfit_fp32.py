"""Our engine with precision fp32, to compare with precision auto: the gain of bf16 on devices that support it."""

from tests.benchmarks.rightfit import main
from tests.benchmarks.summary import US_FP32

if __name__ == "__main__":
    main(US_FP32, "fp32")
