"""With a message: what in the file makes Keras, h5py or TensorFlow say it."""

from __future__ import annotations

from kmodel_tools.doctor.finding import Kind

KINDS = (
    Kind(
        "not-an-hdf5-file",
        "message",
        "error",
        "h5py was given something that is no HDF5 file",
        "`Unable to open file (file signature not found)` means that the file does not start as HDF5 does. The evidence says what "
        "it is. Of a truncated `.keras` and of HDF5 under that name, Keras 3 says `File not found`, although it is there.",
    ),
    Kind(
        "weights-given-for-model",
        "message",
        "error",
        "the file holds weights alone, and a whole model was wanted",
        "`load_model` needs an architecture, which `save_weights` and `ModelCheckpoint(save_weights_only=True)` leave out. Build "
        "the model with its code, or from its JSON, and load the weights into it.",
    ),
    Kind(
        "layer-count",
        "message",
        "error",
        "the file has another number of layers with weights than the model",
        "Keras counts layers that own weights; a nested model is one. Usual causes: with and without the top, an encoder for the "
        "whole model, a newer layout under an old name (`found 0 saved layers`), a model that was never built.",
    ),
    Kind(
        "argument-not-known",
        "message",
        "error",
        "a layer's configuration has an argument that this Keras does not know",
        "Keras refuses arguments that it does not know, whatever their value. The file was written by another release than the one "
        "that loads it: by an earlier one, whose arguments are gone, or by a later one, which has new ones.",
    ),
    Kind(
        "name-not-known",
        "message",
        "error",
        "the file names a class or function that this Keras does not have",
        "It is your own code, code of a package that has to be imported first, or a class that this generation of Keras does not "
        "have any more. The evidence says which layers need it.",
    ),
    Kind(
        "variables-not-received",
        "message",
        "error",
        "a layer found none, or too few, of its variables in the file",
        "Keras 3 looks for a layer's variables by class and number (`layers/dense_1/vars/0`) or in a legacy file by order. The "
        "file has another layout, other layers, or another order of them. The evidence says what it holds.",
    ),
    Kind(
        "shape-mismatch",
        "message",
        "error",
        "a weight of the file has another shape than the one that it was to fill",
        "Model and file differ in that layer: another number of classes, another size of input before a `Flatten`, or weights of "
        "another framework that are transposed. Layers of the same class also fill each other where their order differs.",
    ),
    Kind(
        "lambda-not-loaded",
        "message",
        "error",
        "a Lambda layer's function could not be loaded",
        "Its bytecode belongs to one version of Python (`bad marshal data`), or Keras 3 refuses to run it (`Requested the "
        "deserialization of a Lambda layer`). `safe_mode=False` runs code of whoever made the file.",
    ),
    Kind(
        "vocabulary-not-loaded",
        "message",
        "error",
        "a lookup layer was called without its vocabulary",
        "The words were not in what was loaded: they are in assets of a `.keras` or SavedModel, or in the configuration, and not "
        "among weights.",
    ),
    Kind(
        "h5py-3-decode",
        "message",
        "error",
        "an old Keras cannot read attributes with h5py 3",
        "Keras before 2.4 and TensorFlow before 2.3 call `.decode` on attributes, which h5py 3 gives as text. Every file fails so, "
        "and this file is all right. Install h5py before 3 beside the old Keras, or convert the file for a new one.",
    ),
    Kind(
        "names-too-long",
        "message",
        "error",
        "the names of layers or weights do not fit into an attribute of HDF5",
        "An attribute holds 64 KB. Later releases of Keras split lists of names, but one layer with thousands of weights (a nested "
        "model) can still be too much. `.keras` and `.weights.h5` have no such lists.",
    ),
    Kind(
        "name-clash",
        "message",
        "error",
        "two layers or weights would have one name in the HDF5 file",
        "`Unable to create group (name already exists)`: layers of one name, or weights of one layer that were made without names.",
    ),
    Kind(
        "checkpoint-not-found",
        "message",
        "error",
        "TensorFlow was not given the prefix of a checkpoint",
        "A checkpoint is called by what the names of its files have in common, without `.index` and `.data-00000-of-00001`.",
    ),
    Kind(
        "format-not-in-keras-3",
        "message",
        "error",
        "Keras 3 does not load this format",
        "It loads `.keras`, `.h5` and `.weights.h5`. A SavedModel can be wrapped in a `TFSMLayer`, which predicts and is no model "
        "any more; where the folder holds a Keras model, `kmt convert` recovers it. A checkpoint becomes a model with `--like`.",
    ),
    Kind(
        "by-name-not-possible",
        "message",
        "error",
        "Keras 3 loads by name from legacy HDF5 files alone",
        "`kmt transfer` loads by name from every format, and reports what was loaded.",
    ),
    Kind(
        "optimizer-not-loaded",
        "message",
        "warning",
        "the state of the optimizer in the file does not fit the one of the model",
        "Predictions are not affected. Training goes on with a new optimizer, whose first steps are larger.",
    ),
    Kind(
        "no-keras-object",
        "message",
        "error",
        "what was loaded is a plain object of TensorFlow, not a Keras model",
        "`tf.saved_model.load`, and `load_model` for a folder without Keras metadata, give an object with signatures only: no "
        "`summary`, `predict` or `fit`.",
    ),
    Kind(
        "objects-not-restored",
        "message",
        "warning",
        "values of the checkpoint found no object to be restored to",
        "Often these are slots of the optimizer, which prediction does not need: `.expect_partial()` says so. Where weights of "
        "layers are among them, the model has other layers, or was not yet built.",
    ),
    Kind(
        "argument-missing",
        "message",
        "error",
        "a class was not given an argument that it needs, since the configuration lacks it",
        "A class of your own whose `get_config` leaves arguments out, or a configuration of another generation in which the "
        "argument has another name (`output_dim` for `units`).",
    ),
    Kind(
        "recurrent-kinds",
        "message",
        "error",
        "weights of one kind of GRU or LSTM do not fit another",
        "`CuDNNGRU`, and `GRU` with `reset_after=True`, have two rows of biases; a `GRU` with `reset_after=False` has one. The "
        "configuration that belongs to the weights is the evidence.",
    ),
    Kind(
        "compile-refused",
        "message",
        "error",
        "Keras 3 could not make the loss or the optimizer of an HDF5 file",
        "Layers and weights are all right. Keras 3 refuses short names of losses (`mse`) in `.h5` files, and arguments of earlier "
        "optimizers. Load with `compile=False`; then predictions are the same, and `compile` is for whoever trains on.",
    ),
    Kind(
        "unsafe-content-refused",
        "message",
        "error",
        "Keras refuses the file, since it would load code or files of somebody's own",
        "Keras says it of a `TFSMLayer`, of a pickled PyTorch module, and of functions that no model needs. It is right: do not "
        "set `safe_mode=False` for a file that you did not make.",
    ),
    Kind(
        "package-not-found",
        "message",
        "error",
        "a package that is imported is not installed",
        "Keras imports PyTorch for a `TorchModuleWrapper` before it refuses to load it. Most of these messages are of imports in "
        "the code: `keras.utils.np_utils` and `keras.engine` are gone from later releases.",
    ),
    Kind(
        "configuration-refused",
        "message",
        "error",
        "Keras could not make the model of its configuration",
        "The file was written by another generation of Keras, which says the same in other words (`pop expected at most 1 "
        "argument` is a Sequential of Keras 2.0 or 2.1). The evidence says what this Keras does not take, where that is known.",
    ),
    Kind(
        "path-not-found",
        "message",
        "error",
        "there is no file at the path that was given to Keras",
        "`errno = 2` and `No such file or directory` are of the path, not of the file: it is relative to the folder that Python was "
        "started in, or a notebook's, or one in a container.",
    ),
    Kind(
        "member-not-found",
        "message",
        "error",
        "the archive lacks a member that Keras looks for",
        "A `.keras` file holds `config.json`, `metadata.json` and `model.weights.h5` at its top. One that was unpacked and packed "
        "again often has a folder around them; one that is something else has none of them.",
    ),
    Kind(
        "saved-model-not-read",
        "message",
        "error",
        "TensorFlow found no SavedModel at the path, or could not read it",
        "A SavedModel is a folder with `saved_model.pb` in it. `tf.saved_model.load`, and Keras 2 where a path has no ending that it "
        "knows, look for that folder. A pointer of Git LFS in the place of `saved_model.pb` cannot be parsed.",
    ),
    Kind(
        "endpoint-not-found",
        "message",
        "error",
        "a SavedModel has no endpoint of the name that was asked for",
        "`serving_default` is what `tf.saved_model.save` and Keras 2 call it, `serve` what `model.export` does besides. The evidence "
        "lists what this one offers.",
    ),
    Kind(
        "name-ending-refused",
        "message",
        "error",
        "the name ends otherwise than Keras wants it to",
        "Keras 3 goes by the ending: `.keras` for archives, `.h5` for legacy files, `.weights.h5` for weights alone. A file under "
        "another name is renamed, as its content is; a new one is saved under a name that Keras knows.",
    ),
    Kind(
        "model-not-built",
        "message",
        "error",
        "the model had no weights yet when its weights were to be loaded or saved",
        "A subclassed model, and a Sequential without `Input`, make their weights when they first see data, or in `build`. Do that "
        "before `load_weights` and before `save`.",
    ),
    Kind(
        "not-compiled",
        "message",
        "note",
        "Keras warns that the model was not compiled, or that its metrics are not built",
        "Predictions do not need it. `fit` and `evaluate` need `compile`, once; the warning about metrics goes away with the first "
        "`evaluate`.",
    ),
    Kind(
        "input-of-another-shape",
        "message",
        "error",
        "the model was fed arrays of another shape than it takes",
        "The file is all right. A single sample without its batch, a grey image without its channel, another size of image, or "
        "features of another number. The evidence says what the model takes.",
    ),
    Kind(
        "tensorflow-js-refused",
        "message",
        "error",
        "TensorFlow.js does not read configurations of Keras 3",
        "Its layers API knows the configurations of Keras 2, which call the shape `batch_input_shape`. Carry the model back to Keras 2 "
        "before `tensorflowjs_converter`.",
    ),
    Kind(
        "message-not-known",
        "message",
        "note",
        "the message is none of those that are known here",
        "The findings about the file stand beside it. Tell of the message in an issue, so that it becomes known.",
    ),
)
