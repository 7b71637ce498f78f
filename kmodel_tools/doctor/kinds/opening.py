"""It does not open: what the file is instead of a model, what is missing of it, or who cannot read it."""

from __future__ import annotations

from kmodel_tools.doctor.finding import Kind

KINDS = (
    Kind(
        "lfs-pointer",
        "opening",
        "error",
        "it is a pointer of Git LFS, not the model",
        "The repository was cloned, or a file of it downloaded, without Git LFS: what came is a text of three lines that says how "
        "large the model is. Keras says `file signature not found` or `File not found`.",
    ),
    Kind(
        "web-page",
        "opening",
        "error",
        "it is a web page or an error message, not the model",
        "The address led to a page about the file (as `github.com/…/blob/…` does), to a login, or to an error, and what came was "
        "saved under the model's name. Download the file itself; on GitHub that is `raw`.",
    ),
    Kind(
        "empty-file",
        "opening",
        "error",
        "it is empty",
        "The download or the copy never began, or the process that saved it was ended before it wrote anything.",
    ),
    Kind(
        "truncated",
        "opening",
        "error",
        "it is cut short",
        "The download or the copy broke off, or the disk was full. HDF5 and checkpoints say how long they should be, an archive at "
        "least how long its members are. Keras says `truncated file: eof = …`, or of an archive `File not found`. Fetch it again; "
        "what is left can be read with `--salvage`.",
    ),
    Kind(
        "compressed-file",
        "opening",
        "error",
        "it is compressed",
        "Unpack it first; neither Keras nor TensorFlow does so.",
    ),
    Kind(
        "part-of-saved-model",
        "opening",
        "note",
        "it is the variables of a SavedModel, without the rest of it",
        "They can be read as a checkpoint, but the classes and configurations of the layers are in `saved_model.pb`, in the folder above. "
        "Give that folder.",
    ),
    Kind(
        "duplicate-members",
        "opening",
        "error",
        "the archive has members of one name",
        "One reader takes the first, another the last, so that the file is two models. Something other than Keras put it together.",
    ),
    Kind(
        "encrypted-members",
        "opening",
        "error",
        "members of the archive are encrypted",
        "Keras does not ask for passwords. Unpack it with the password, and load the folder.",
    ),
    Kind(
        "missing-part",
        "opening",
        "error",
        "a part of the model is missing beside it or in it",
        "A checkpoint is an index and its shards, a sharded `.weights.json` needs its shards, an archive its `config.json` and "
        "`model.weights.h5`, a SavedModel its `saved_model.pb`. Copy all files of a model together.",
    ),
    Kind(
        "damaged",
        "opening",
        "error",
        "it is damaged",
        "Bytes contradict the format, or a checksum is wrong: a bad disk, a transfer in text mode, or a program that was ended "
        "while it wrote. `kmt inspect --verify` says which arrays are affected, and `--salvage` reads the others.",
    ),
    Kind(
        "saving-broke-off",
        "opening",
        "error",
        "saving broke off: what is listed was never written",
        "Keras lists the layers, then writes them one after the other. An exception in between (two weights of one name, a full "
        "disk, a list of names over 64 KB) leaves such a file. What was written can be read; save the model again for the rest.",
    ),
    Kind(
        "not-a-model",
        "opening",
        "error",
        "it is of no format that is read here",
        "It has not the layout of any model that is known here. `kmt formats` lists what is read.",
    ),
    Kind(
        "zip-named-h5",
        "opening",
        "error",
        "it is a `.keras` archive under the name of an HDF5 file",
        "Keras chooses its reader by the name. It opens this one as HDF5 and says `file signature not found`.",
    ),
    Kind(
        "hdf5-named-keras",
        "opening",
        "error",
        "it is an HDF5 file under the name of an archive",
        "Keras chooses its reader by the name. Keras 3 says `File not found: … Please ensure the file is an accessible .keras zip "
        "file`. Keras 2 before 2.12 wrote HDF5 whatever the name was.",
    ),
    Kind(
        "new-weights-named-h5",
        "opening",
        "error",
        "it holds weights in Keras 3's layout, under a name that means the legacy layout",
        "Of a name in `.h5` that does not end in `.weights.h5`, `load_weights` expects the legacy layout and says `Layer count "
        "mismatch … found 0 saved layers`, or with `by_name=True` nothing, and loads nothing.",
    ),
    Kind(
        "legacy-named-weights-h5",
        "opening",
        "error",
        "it has the legacy layout, under a name that means Keras 3's layout",
        "Keras 3, and Keras 2.12 and later, expect their own layout in `.weights.h5`. They say `Layer 'a' expected 2 variables, "
        "but received 0 variables during loading`. Earlier releases wrote the legacy layout under any name.",
    ),
    Kind(
        "checkpoint-file-named",
        "opening",
        "note",
        "it is one file of a checkpoint, which TensorFlow wants by its prefix",
        "TensorFlow takes what the names of the files have in common; of a single file it says `not an sstable (bad magic number)` "
        "or `NotFoundError`. `kmt` takes any of them.",
    ),
    Kind(
        "checkpoint-moved",
        "opening",
        "warning",
        "the state file names a checkpoint that is not there",
        "The text file `checkpoint` says which checkpoint is the latest. `tf.train.latest_checkpoint` returns what it says, or "
        "None, without a look whether it is there; then nothing is restored.",
    ),
    Kind(
        "rejected-by-keras-3",
        "opening",
        "error",
        "Keras 3 does not take what its configuration says",
        "The file was written by an earlier Keras, whose layers have arguments that Keras 3 does not know; it refuses any of them, "
        "whatever the value: `Unrecognized keyword arguments passed to LSTM: {'time_major': False}`. `kmt convert` writes what "
        "Keras 3 loads, with the same predictions, or says which layer has no equivalent. The Keras that wrote the file reads it "
        "as it is.",
    ),
    Kind(
        "compile-rejected-by-keras-3",
        "opening",
        "error",
        "Keras 3 does not take the loss or the optimizer that it was compiled with",
        "Of an `.h5` file Keras 3 makes the loss and the optimizer again. It refuses short names of losses (`mse`), although it writes "
        "them itself: `Could not deserialize 'keras.metrics.mse'`, and arguments of earlier optimizers: `Argument(s) not recognized: "
        "{'lr': 0.001}`. The layers and weights are all right: load with `compile=False`, and compile anew where it is to be trained.",
    ),
    Kind(
        "duplicate-layer-names",
        "opening",
        "error",
        "layers of one model have the same name",
        'Keras refuses such a model (`The name "…" is used 2 times in the model`), HDF5 cannot store it (`Unable to create group '
        "(name already exists)`), and loading by name fills one of them.",
    ),
    Kind(
        "custom-objects",
        "opening",
        "warning",
        "it needs classes or functions that Keras does not have",
        "The code is not in the file. Without it Keras says `Unknown layer`, `Could not locate class` or `Could not locate "
        "function`; with other code of the same name, the model is another one, silently. The cure prints a stub to fill in.",
    ),
    Kind(
        "custom-training-objects",
        "training",
        "note",
        "it was compiled with a loss, metric or optimizer that Keras does not have",
        "Predictions do not need them: load with `compile=False`. To go on training, pass them as `custom_objects`.",
    ),
)
