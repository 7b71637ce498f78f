"""Make `tfjs_layers/`, but for what TensorFlow.js 4.22.0 wrote itself: `PYTHONPATH=. python sample_models/make/tfjs_layers.py`

A graph model and a bare manifest are written as the specification of `model.json` has them; the quantized model with `kmt convert`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import kmodel_tools as kmt

SAMPLES = Path(__file__).resolve().parent.parent
FOLDER = SAMPLES / "tfjs_layers"


def main() -> None:
    """Write a quantized model in several shards, a graph model with strings, and a manifest whose weight lies in two files."""
    source = SAMPLES / "keras_h5" / "keras-2.3.1.h5"
    options = {"quantize": "uint8", "shard-size": "200B"}
    kmt.convert(source, FOLDER / "quantized.tfjs.json", overwrite=True, lossy=True, options=options)
    draw = np.random.default_rng(1)
    kernel, axis = draw.standard_normal((3, 4)).astype("<f4"), np.array(1, "<i4")
    words = b"".join(len(word).to_bytes(4, "little") + word for word in (b"a", b"", "ß".encode()))
    weights: list[dict[str, Any]] = [
        {"name": "StatefulPartitionedCall/model/dense/MatMul/ReadVariableOp", "shape": [3, 4], "dtype": "float32"},
        {"name": "StatefulPartitionedCall/model/words", "shape": [3], "dtype": "string"},
        {"name": "StatefulPartitionedCall/model/concat/axis", "shape": [], "dtype": "int32"},
    ]
    document = {
        "format": "graph-model",
        "generatedBy": "2.21.0",
        "convertedBy": "TensorFlow.js Converter v4.22.0",
        "modelTopology": {"node": [{"name": item["name"], "op": "Const"} for item in weights], "versions": {}},
        "weightsManifest": [{"paths": ["graph-shard1of1.bin"], "weights": weights}],
    }
    (FOLDER / "graph.json").write_text(json.dumps(document))
    (FOLDER / "graph-shard1of1.bin").write_bytes(kernel.tobytes() + words + axis.tobytes())
    data = kernel.tobytes() + np.array([True, False]).tobytes() + kernel.astype("<f2").tobytes()
    manifest = [
        {
            "paths": ["manifest-shard1of2", "manifest-shard2of2"],
            "weights": [
                {"name": "conv0/filters", "shape": [3, 4], "dtype": "float32"},
                {"name": "mask", "shape": [2], "dtype": "bool"},
                {"name": "conv1/filters", "shape": [3, 4], "dtype": "float32", "quantization": {"dtype": "float16"}},
            ],
        }
    ]
    (FOLDER / "manifest.json").write_text(json.dumps(manifest))
    (FOLDER / "manifest-shard1of2").write_bytes(data[:30])
    (FOLDER / "manifest-shard2of2").write_bytes(data[30:])


if __name__ == "__main__":
    main()
