"""Make `safetensors/`: `others.safetensors` with the safetensors package, the rest with `kmt convert` from a sample of Keras.

`PYTHONPATH=. python sample_models/make/safetensors_files.py`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import kmodel_tools as kmt

SAMPLES = Path(__file__).resolve().parent.parent
SOURCE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"


def main() -> None:
    """Write a file with somebody's dotted names, a whole model, and a set of shards."""
    folder = SAMPLES / "safetensors"
    draw = np.random.default_rng(1)
    arrays = {
        "encoder.layer.0.dense.weight": draw.standard_normal((4, 3)).astype("float16"),
        "encoder.layer.0.dense.bias": np.zeros(4, "float32"),
        "embeddings.position_ids": np.arange(6)[None],
    }
    save_file(arrays, folder / "others.safetensors", {"format": "pt"})
    kmt.convert(SOURCE, folder / "keras-3.15.1.safetensors", overwrite=True)
    kmt.convert(SOURCE, folder / "sharded.safetensors.index.json", overwrite=True, options={"shard-size": "300B"})


if __name__ == "__main__":
    main()
