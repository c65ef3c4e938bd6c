"""The snippet for browsers of the page on using a model gives the graph what the service gives it."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser

from service.docs import FOLDER
from tests.browser import Window, watched
from tests.conftest import Serving
from tests.life.test_pages_run import IN_A_BROWSER, blocks

# Takes the place of onnxruntime-web: the pixels go to the test, which answers with probabilities.
ORT = """
window.ort = {
  Tensor: class { constructor(type, data, dims) { Object.assign(this, { type, data: [...data], dims }); } },
  InferenceSession: { create: async (address) => ({
    run: async ({ images }) => ({ probabilities: { data: await window.runGraph(address, images) } }),
  }) },
};
"""
CALL = """async ({ png, labels }) => {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return classify(await createImageBitmap(new Blob([bytes])), labels);
}"""


RESIZES: dict[str, Any] = {"square": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}


@pytest.mark.long
@pytest.mark.parametrize(
    ("channels", "mode", "size"), [(1, "square", (6, 8)), (3, "crop", (10, 8)), (3, "pad", (6, 4))]
)
def test_snippet_for_browsers_makes_pixels(
    started: Browser, serving: Serving, channels: int, mode: str, size: tuple[int, int]
) -> None:
    (snippet,) = (
        block.text for block in blocks((FOLDER / "use.md").read_text("utf-8")) if block.language == IN_A_BROWSER
    )
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    png = base64.b64encode(buffer.getvalue()).decode()
    asked: list[Any] = []

    def run_graph(address: str, images: dict[str, Any]) -> list[float]:
        asked.append((address, images["type"], images["dims"], images["data"]))
        return [0.25, 0.75]

    with watched(started, serving.url) as tab:
        open_page(tab, snippet, run_graph)
        labels = {
            "classes": ["cat", "dog"],
            "input": {"shape": [None, channels, 6, 8]},
            "preprocessing": {"resize": {"mode": mode}},
        }
        said = tab.page.evaluate(CALL, {"png": png, "labels": labels})
    assert said == {"cat": 0.25, "dog": 0.75}
    ((address, kind, dims, data),) = asked
    assert (address, kind, dims) == ("model.onnx", "float32", [1, channels, 6, 8])
    colours = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    sized = RESIZES[mode](colours, (8, 6), Image.Resampling.BILINEAR)
    expected = np.asarray(sized, np.float32).reshape(6, 8, channels).transpose(2, 0, 1) / 255
    assert np.allclose(np.reshape(data, dims[1:]), expected, atol=1 / 255)


def open_page(tab: Window, snippet: str, run_graph: Any) -> None:
    tab.page.goto("/docs/use")
    tab.page.expose_function("runGraph", run_graph)
    tab.page.evaluate(ORT)
    tab.page.evaluate(f"{snippet}; window.classify = classify; null")  # null: a function would be called
