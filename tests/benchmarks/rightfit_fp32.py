"""Our engine held to fp32, beside itself with precision auto: what bf16 brings where the device computes in it."""

from tests.benchmarks.rightfit import main
from tests.benchmarks.summary import US_FP32

if __name__ == "__main__":
    main(US_FP32, "fp32")
