"""Loading weights into a built Keras 3 model, ours and Keras's own way in turn: `python loading.py FILE ROUNDS`.

Prints a JSON list of pairs, seconds of ours and of Keras. Both are in one process, since importing Keras takes many times longer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def main(path: str, rounds: int) -> None:
    """Load the file `rounds` times either way, after once unmeasured."""
    import keras

    import kmodel_tools as kmt

    model = keras.applications.MobileNetV2(weights=None)
    ways: list[Callable[[], object]] = [lambda: kmt.load_into(model, path, strict=True), lambda: model.load_weights(path)]
    pairs = []
    for number in range(rounds + 1):
        seconds = [0.0, 0.0]
        for way in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            ways[way]()
            seconds[way] = time.perf_counter() - start
        pairs.append(seconds)
    print(json.dumps(pairs[1:]))  # noqa: T201  # this is a command


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
