"""The names of the files that a job publishes."""

BEST_MODEL, REPORT, SPLIT = "best_model.pth", "report.json", "split.json"
SAFETENSORS, ONNX = "model.safetensors", "model.onnx"
