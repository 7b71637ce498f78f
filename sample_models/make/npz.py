"""Make `npz/`: `weights.npz` with NumPy, as `np.savez(path, *model.get_weights())` does, and a whole model with `kmt convert`.

`PYTHONPATH=. python sample_models/make/npz.py`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import kmodel_tools as kmt

SAMPLES = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write counted arrays, one of them stored by columns and one with the most significant byte first, and a whole model."""
    folder = SAMPLES / "npz"
    draw = np.random.default_rng(1)
    arrays = [np.asfortranarray(draw.standard_normal((4, 3)).astype("float32")), np.arange(3, dtype=">f4"), np.float64(0.5)]
    np.savez_compressed(folder / "weights.npz", *arrays)
    kmt.convert(SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras", folder / "keras-3.15.1.npz", overwrite=True)


if __name__ == "__main__":
    main()
