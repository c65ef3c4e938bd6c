"""A fit with an ensemble: its zip averages the models of its members."""

import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.client import ApiError, Rightfit
from tests.benchmarks import data
from tests.conftest import Serving

SPEC = {"epochs": 40, "model": {"arch": "mlp", "hidden": [32]}, "optimizer": {"lr": 0.01}}
DATASET = {"id": "digits", "train_limit": 200}
SPACE = {"/model/hidden": {"choices": [[24], [32], [48], [64]]}}


@pytest.mark.long
def test_the_zip_of_an_ensemble_averages_its_models(serving: Serving, tmp_path: Path) -> None:
    with Rightfit(serving.url) as client:
        fit = client.fit(DATASET, jobs=12, ensemble=True, spec=SPEC, space=SPACE, seed=1)
        assert len(fit["ensemble"]["members"]) > 1
        assert fit["ensemble"]["validation"]["loss"] < fit["best"]["val_loss"]
        assert "## The ensemble" in client.fits.report(fit["id"])
        client.fits.ensemble(fit["id"], tmp_path / "ensemble.zip")
        with zipfile.ZipFile(tmp_path / "ensemble.zip") as archive:
            archive.extractall(tmp_path)
        plain = client.fit(DATASET, jobs=2, spec=SPEC, space=SPACE, seed=1)
        assert plain["ensemble"] is None
        with pytest.raises(ApiError, match="no ensemble"):
            client.fits.ensemble(plain["id"], tmp_path / "none.zip")
    assert len(json.loads((tmp_path / "labels.json").read_text())["classes"]) == 10
    module = importlib.util.spec_from_file_location("ensemble", tmp_path / "ensemble.py")
    assert module is not None
    assert module.loader is not None
    program = importlib.util.module_from_spec(module)
    module.loader.exec_module(program)
    images = data.digits()[0][:50].astype(np.float32) / 255
    models = sorted(tmp_path.glob("*.onnx"))
    assert len(models) == len(fit["ensemble"]["members"])
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in models]
    each = [session.run(["probabilities"], {session.get_inputs()[0].name: images})[0] for session in sessions]
    np.testing.assert_allclose(program.probabilities(images), np.mean(each, axis=0), rtol=1e-6)
