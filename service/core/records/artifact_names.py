"""The names of the artifacts of a job, the files that it publishes."""

BEST_MODEL = "best_model.pth"  # the state dict of the best epoch
SAFETENSORS = "model.safetensors"  # the same weights in another format
ONNX = "model.onnx"  # the best model as a graph that includes the normalization
LABELS = "labels.json"  # the classes and the preprocessing of the best model
MODEL_PY = "model.py"  # a program that rebuilds the network, loads best_model.pth and classifies pictures
SPLIT = "split.json"  # the images of train, validation and test
PREDICTIONS = "predictions.npz"  # the logits of the best model for each validation and test image
REPORT = "report.json"  # the results of the run, and all that is needed to repeat it

ARTIFACTS = (BEST_MODEL, SAFETENSORS, ONNX, LABELS, MODEL_PY, SPLIT, PREDICTIONS, REPORT)
JSON_ARTIFACTS = tuple(name for name in ARTIFACTS if name.endswith(".json"))
