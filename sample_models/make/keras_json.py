"""Make `keras_json/keras-3.15.1.json` with Keras 3.15.1; the others beside it were written by the releases in their names."""

from __future__ import annotations

from pathlib import Path

import keras

FOLDER = Path(__file__).resolve().parent.parent / "keras_json"


def main() -> None:
    """Write what `to_json` returns of a compiled model with a nested one."""
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu", name="inside")], name="inner")
    given = keras.Input((3,), name="given")
    model = keras.Model(given, keras.layers.Dense(1, name="out")(inner(given)), name="nested")
    model.compile("adam", "mean_squared_error")
    (FOLDER / "keras-3.15.1.json").write_text(model.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
