"""What a message is not: of another cause than its words suggest, with a cure that does not fit.

The messages are those of Keras 3.15.1 and TensorFlow 2.21, but for the library that is not there, which TensorFlow 2.4 looks for.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kmodel_tools as kmt
from tests.doctor.cases import MODELS

NOT_FOUND = "ValueError: File not found: filepath={}. Please ensure the file is an accessible `.keras` zip file."
OTHER_SHAPE = (
    "ValueError: A total of 1 objects could not be loaded. Example error message for object <Dense name=head, built=True>:\n\n"
    "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match. "
    "variable.shape=(16, 5), Received: value.shape=(16, 3). Target variable: <Variable path=head/kernel>"
)
LIBRARY = "dlerror: libcudart.so.11.0: cannot open shared object file: No such file or directory\nValueError: Unknown layer: 'Scaled'"
LABELS = "ValueError: Dimensions must be equal, but are 5 and 4 for '{{node compile_loss/mse/sub}} = Sub[T=DT_FLOAT](data_1, head)'"
ENDING = "ValueError: The filepath provided must end in `.keras` (Keras model format). Received: filepath=best.h5"
FORMAT = "ValueError: File format not supported: filepath={}. Keras 3 only supports V3 `.keras` files, legacy H5 format files."
RANK = "\x1b[1mInvalid input shape for input Tensor. Expected shape (None, 4), but input has incompatible shape (4,)\x1b[0m"
ERRNO = "FileNotFoundError: [Errno 2] Unable to synchronously open file (unable to open file: name = 'models/b.h5', errno = 2)"
UNIQUE = "ValueError: All layers added to a Sequential model should have unique names. Name 'a' is already the name of a layer."
SSTABLE = "DataLossError: Unable to open table file clean.keras: DATA_LOSS: not an sstable (bad magic number)"
COMPILE = "ValueError: You must call `compile()` before using the model."
KEYWORDS = "ValueError: Unrecognized keyword arguments passed to Dense: {'quantization_config': None}"
DENIED = "PermissionError: [Errno 13] Unable to synchronously open file (unable to open file: name = 'm.h5', errno = 13, flags = 0)"
LOCKED = "BlockingIOError: [Errno 11] Unable to synchronously open file (unable to lock file, errno = 11, error message = '')"
OF_FIT = "TypeError: Model.fit() got an unexpected keyword argument 'nb_epoch'"
OF_KERAS_2 = "TypeError: Could not locate class 'Dense'. Make sure custom classes are decorated."
CASES = (
    ("clean.keras", DENIED, ["message-not-known"], "kmt inspect"),
    ("clean.keras", LOCKED, ["message-not-known"], "kmt inspect"),
    ("clean.keras", OF_FIT, ["message-not-known"], "kmt inspect"),
    ("clean.keras", OF_KERAS_2, ["name-not-known"], "kmt convert clean.keras clean_keras2.h5 --target keras2"),
    ("seeds.json", OF_KERAS_2, ["name-not-known"], "kmt convert seeds.json seeds_keras2.json --target keras2"),
    ("clean.keras", "ModuleNotFoundError: No module named 'distutils'", ["package-not-found"], "pip install setuptools"),
    ("clean.keras", NOT_FOUND.format("best.keras"), ["path-not-found"], 'os.path.exists("best.keras")'),
    ("clean.h5 as model.keras", NOT_FOUND.format("model.keras"), ["not-an-hdf5-file"], "mv model.keras model.h5"),
    ("clean.h5", ERRNO, ["path-not-found"], 'os.path.exists("models/b.h5")'),
    ("clean.keras", OTHER_SHAPE, ["shape-mismatch"], "kmt transfer clean.keras"),
    ("custom.keras", LIBRARY, ["name-not-known"], "kmt convert custom.keras"),
    ("clean.keras", LABELS, ["message-not-known"], "kmt inspect"),
    ("clean.keras", ENDING, ["name-ending-refused"], "save it under a name that ends in .keras"),
    ("float64.json", FORMAT.format("float64.json"), ["format-not-in-keras-3"], 'keras.models.model_from_json(open("float64.json").read())'),
    ("clean.keras as model", FORMAT.format("model"), ["format-not-in-keras-3"], "mv model model.keras"),
    ("clean.keras", RANK, ["input-of-another-shape"], "feed arrays"),
    ("clean.keras", COMPILE, ["not-compiled"], "model.compile("),
    ("clean.keras", UNIQUE, ["name-clash"], 'keras.layers.Dense(3, name="another_name")'),
    ("clean.keras", SSTABLE, ["checkpoint-not-found"], "tf.train.load_checkpoint("),
    ("seeds.json", KEYWORDS, ["argument-not-known"], "kmt convert seeds.json seeds_converted.json --target keras2"),
)


@pytest.mark.parametrize(("name", "said", "identifiers", "cure"), [pytest.param(*case, id=str(n)) for n, case in enumerate(CASES)])
def test_a_message_is_of_one_kind(
    name: str, said: str, identifiers: list[str], cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, _, path = name.partition(" as ")
    shutil.copy(MODELS / source, path or source)
    found = [item for item in kmt.diagnose(path or source, error=said) if item.theme == "message"]
    assert [item.identifier for item in found] == identifiers
    assert found[0].cure.startswith(cure)
    assert all("\x1b" not in piece.value for piece in found[0].evidence)


def test_the_input_of_a_sequential_is_told() -> None:
    """Its InputLayer is no layer of it."""
    [item] = [item for item in kmt.diagnose(MODELS / "two_layers.keras", error=RANK) if item.identifier == "input-of-another-shape"]
    assert any(piece.key == "batch_shape" and piece.value == "(None, 4)" for piece in item.evidence)
