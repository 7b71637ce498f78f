"""What users were told, the file that it was for, and what in the file explains it.

The messages are those of Keras 3.15.1 and TensorFlow 2.21 for these very files, but for the last ones: of Keras 2, as users report
them. A file is a model of `make.py`, `MODEL as NAME` where it lies under another name, or `/PATH` of a sample.
"""

from __future__ import annotations

MESSAGES = (
    (
        "not-an-hdf5-file",
        "clean.keras as model.h5",
        "zip-named-h5: content = zip archive",
        "OSError: Unable to synchronously open file (file signature not found)",
    ),
    (
        "not-an-hdf5-file",
        "clean.h5 as model.keras",
        "hdf5-named-keras: content = HDF5 file",
        "ValueError: File not found: filepath=model.keras. Please ensure the file is an accessible `.keras` zip file.",
    ),
    (
        "weights-given-for-model",
        "clean.weights.h5",
        "architecture = none in the file",
        "ValueError: No model config found in the file at clean.weights.h5.",
    ),
    (
        "layer-count",
        "clean.weights.h5 as w.h5",
        "new-weights-named-h5: layout = Keras 3.6 or later",
        "ValueError: Layer count mismatch when loading weights from file. Model expected 3 layers, found 0 saved layers.",
    ),
    (
        "layer-count",
        "clean.h5",
        "layers with weights in the file = 3: hidden, norm, head",
        "ValueError: Layer count mismatch when loading weights from file. Model expected 1 layers, found 3 saved layers.",
    ),
    (
        "argument-not-known",
        "/tf2.2/states.h5",
        "time_major = false",
        "ValueError: Unrecognized keyword arguments passed to GRU: {'time_major': False}",
    ),
    (
        "name-not-known",
        "custom.keras",
        "scaled: class_name = Scaled",
        "TypeError: <class 'keras.src.models.sequential.Sequential'> could not be deserialized properly.\n\nException "
        "encountered: Could not "
        "locate class 'Scaled'. Make sure custom classes and functions are decorated with `@keras.saving.register_keras_serializable()`.",
    ),
    (
        "variables-not-received",
        "clean.h5 as w.weights.h5",
        "legacy-named-weights-h5: layout = whole model",
        "ValueError: A total of 3 objects could not be loaded. Example error message for object <Dense name=hidden, built=True>:\n\n"
        "Layer 'hidden' expected 2 variables, but received 0 variables during loading. Expected: ['kernel', 'bias']",
    ),
    (
        "shape-mismatch",
        "clean.h5",
        "head/kernel: model_weights/head/head/kernel = (16, 3)",
        "ValueError: Shape mismatch in layer #2 (named head)for weight head/kernel. Weight expects shape (16, 5). "
        "Received saved weight with "
        "shape (16, 3)",
    ),
    (
        "shape-mismatch",
        "clean.weights.h5",
        "head/kernel: layers/dense_1/vars/0 = (16, 3)",
        "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match. "
        "variable.shape=(16, 5), "
        "Received: value.shape=(16, 3). Target variable: <Variable path=head/kernel, shape=(16, 5), dtype=float32>",
    ),
    (
        "lambda-not-loaded",
        "lambda.keras",
        "double: lambda-bytecode: function",
        "ValueError: Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda. This "
        "carries a potential risk of "
        "arbitrary code execution and thus it is disallowed by default.",
    ),
    (
        "vocabulary-not-loaded",
        "words_lost.h5",
        "lookup: vocabulary-missing: vocabulary",
        "FailedPreconditionError: Exception encountered when calling StringLookup.call().\n\nTable not initialized. [Op:LookupTableFindV2]",
    ),
    (
        "format-not-in-keras-3",
        "/saved_model/tf_keras-2.21.0",
        "architecture = recovered",
        "ValueError: File format not supported: filepath=tf_keras-2.21.0. Keras 3 only supports V3 `.keras` files, legacy H5 format files "
        "(`.h5` extension).",
    ),
    (
        "no-keras-object",
        "/saved_model/keras-3.15.1_export",
        "architecture = none in it",
        "AttributeError: '_UserObject' object has no attribute 'summary'",
    ),
    (
        "by-name-not-possible",
        "clean.weights.h5",
        "message = ValueError: `by_name` only supports",
        "ValueError: `by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: clean.weights.h5",
    ),
    (
        "optimizer-not-loaded",
        "clean.keras",
        "optimizer = Adam, 14 variables",
        "UserWarning: Skipping variable loading for optimizer 'adam', because it has 2 variables whereas the saved "
        "optimizer has 14 variables.",
    ),
    (
        "package-not-found",
        "torch.keras",
        "torch-module: module = 8 characters",
        "ModuleNotFoundError: No module named 'torch'",
    ),
    (
        "argument-missing",
        "custom.keras",
        'scaled: config = {"name": "scaled"',
        "TypeError: Scaled.__init__() missing 1 required positional argument: 'factor'",
    ),
    (
        "objects-not-restored",
        "clean.weights.h5",
        "slots of the optimizer = 12",
        "Value in checkpoint could not be found in the restored object: (root).optimizer._variables.3",
    ),
    (
        "h5py-3-decode",
        "/keras_h5/keras-2.3.1.h5",
        "keras_version = 2.3.1",
        "AttributeError: 'str' object has no attribute 'decode'",
    ),
    (
        "recurrent-kinds",
        "/tf2.2/states.h5",
        "reset_after = ",
        "ValueError: CuDNNGRU is not compatible with GRU(reset_after=False)",
    ),
    (
        "name-clash",
        "clean.keras",
        "message = ValueError: Unable to create group",
        "ValueError: Unable to create group (name already exists)",
    ),
    (
        "names-too-long",
        "clean.keras",
        "message = RuntimeError: Unable to create attribute",
        "RuntimeError: Unable to create attribute (object header message is too large)",
    ),
    (
        "compile-refused",
        "/keras_h5/keras-3.15.1.h5",
        "compile-rejected-by-keras-3: loss = mse",
        "ValueError: Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass",
    ),
    (
        "compile-refused",
        "/keras_h5/keras-2.0.5.h5",
        "compile-rejected-by-keras-3: optimizer_config.lr = 0.001",
        "ValueError: Argument(s) not recognized: {'lr': 0.0010000000474974513}",
    ),
    (
        "unsafe-content-refused",
        "gadget.keras",
        "gadget: layers = keras.utils.get_file",
        "ValueError: Cannot deserialize `keras.utils.get_file` because it is not a modeling function.",
    ),
    (
        "unsafe-content-refused",
        "tfsm.keras",
        "saved-model-layer: filepath",
        "ValueError: Requested the deserialization of a `TFSMLayer`, which loads an external SavedModel.",
    ),
    (
        "argument-missing",
        "/keras_h5/keras-1.2.2_theano.h5",
        "rejected-by-keras-3: written by = Keras 1.2.2",
        "TypeError: Dense.__init__() missing 1 required positional argument: 'units'",
    ),
    (
        "configuration-refused",
        "/keras_h5/keras-2.3.1.h5",
        "rejected-by-keras-3: written by = Keras 2.3.1",
        "ValueError: Input 0 with name 'None' of layer 'lstm_1' is incompatible with the layer: expected ndim=3, found ndim=4.",
    ),
    (
        "configuration-refused",
        "/keras_h5/keras-2.0.9_hard_sigmoid.h5",
        "rejected-by-keras-3: config = a list of layers",
        "TypeError: pop expected at most 1 argument, got 2",
    ),
    (
        "path-not-found",
        "clean.h5",
        "message = errno = 2",
        "FileNotFoundError: [Errno 2] Unable to synchronously open file (unable to open file: name = 'models/clean.h5', errno = 2, "
        "error message = 'No such file or directory', flags = 0, o_flags = 0)",
    ),
    (
        "weights-given-for-model",
        "/keras_h5/tf.keras-2.3.0_weights.h5",
        "architecture = none in the file",
        "ValueError: Cannot create group in read only mode.",
    ),
    (
        "saved-model-not-read",
        "clean.keras",
        "format = keras-archive",
        "OSError: SavedModel file does not exist at: clean.keras/{saved_model.pbtxt|saved_model.pb}",
    ),
    (
        "endpoint-not-found",
        "/saved_model/keras-3.15.1_export",
        "signatures = ",
        "ValueError: The endpoint 'predict' is neither an attribute of the reloaded SavedModel, nor an entry in the `signatures` field of "
        "the reloaded SavedModel. Select another endpoint via the `call_endpoint` argument.",
    ),
    (
        "name-ending-refused",
        "clean.weights.h5 as weights.hdf5",
        "new-weights-named-h5: layout = Keras 3.6 or later",
        "ValueError: Invalid filename: expected a `.keras` `.weights.h5` extension. Received: filepath=weights.hdf5",
    ),
    (
        "name-ending-refused",
        "clean.h5 as w.weights.h5",
        "legacy-named-weights-h5: layout = whole model",
        "ValueError: Invalid filename: expected a `.keras` extension. Received: filepath=w.weights.h5",
    ),
    (
        "model-not-built",
        "clean.weights.h5",
        "message = ValueError: You are loading weights into a model",
        "ValueError: You are loading weights into a model that has not yet been built. Try building the model first by calling it on some "
        "data or by using `build()`.",
    ),
    (
        "not-compiled",
        "/keras_archive/keras-3.15.1.keras",
        "training configuration = none in the file",
        "WARNING:absl:No training configuration found in the save file, so the model was *not* compiled. Compile it manually.",
    ),
    (
        "not-compiled",
        "clean.h5",
        "message = compiled metrics have yet to be built",
        "WARNING:absl:Compiled the loaded model, but the compiled metrics have yet to be built. `model.compile_metrics` will be empty "
        "until you train or evaluate the model.",
    ),
    (
        "input-of-another-shape",
        "clean.keras",
        "batch_shape = (None, 4)",
        'ValueError: Exception encountered when calling Sequential.call().\n\nInput 0 of layer "hidden" is incompatible with the layer: '
        "expected axis -1 of input shape to have value 4, but received input with shape (1, 3)",
    ),
    (
        "tensorflow-js-refused",
        "clean.keras",
        "batch_shape = (None, 4)",
        "Uncaught (in promise) Error: An InputLayer should be passed either a `batchInputShape` or an `inputShape`.",
    ),
    (
        "name-not-known",
        "custom_loss.keras",
        "loss",
        "ValueError: Unknown loss function:own_loss",
    ),
    (
        "argument-not-known",
        "/tf2.2/states.h5",
        "ragged = false",
        "TypeError: ('Unrecognized keyword arguments:', dict_keys(['ragged']))",
    ),
    (
        "variables-not-received",
        "clean.weights.h5",
        "layers of the file = ",
        "KeyError: \"Unable to synchronously open object (object 'dense_9' doesn't exist)\"",
    ),
    (
        "variables-not-received",
        "/keras_weights/keras-2.12.0.weights.h5",
        "written by = Keras 2.12 to 2.14",
        "ValueError: A total of 2 objects could not be loaded. Example error message for object <Dense name=dense_1, built=True>:",
    ),
    (
        "variables-not-received",
        "clean.h5",
        "head/kernel: model_weights/head/head/kernel = (16, 3)",
        "ValueError: You called `set_weights(weights)` on layer 'head' with a weight list of length 2, but the layer was expecting "
        "1 weights.",
    ),
    (
        "shape-mismatch",
        "clean.h5",
        "head/kernel: model_weights/head/head/kernel = (16, 3)",
        "ValueError: Layer hidden weight shape (16, 5) is not compatible with provided weight shape (16, 3).",
    ),
    (
        "lambda-not-loaded",
        "lambda.keras",
        "double: lambda-bytecode: function",
        "NameError: name 'tf' is not defined",
    ),
    (
        "by-name-not-possible",
        "clean.h5",
        "message = TypeError: load_weights()",
        "TypeError: load_weights() got an unexpected keyword argument 'exclude'",
    ),
    (
        "compile-refused",
        "/keras_h5/keras-2.0.5.h5",
        "compile-rejected-by-keras-3: optimizer_config.lr = 0.001",
        "ImportError: `keras.optimizers.legacy` is not supported in Keras 3.",
    ),
    (
        "configuration-refused",
        "clean.keras",
        "message = ValueError: Improper config format",
        "ValueError: Improper config format for {}. Expecting python dict contains `class_name` and `config` as keys",
    ),
    (
        "name-clash",
        "clean.h5",
        "message = ValueError: All layers added",
        'ValueError: All layers added to a Sequential model should have unique names. Name "dense" is already the name of a layer in this '
        "model.",
    ),
    (
        "package-not-found",
        "clean.h5",
        "message = ImportError: `load_model()` using h5 format",
        "ImportError: `load_model()` using h5 format requires h5py. Could not import h5py.",
    ),
    (
        "message-not-known",
        "clean.keras",
        "message = RuntimeError: CUDA out of memory",
        'Traceback (most recent call last):\n  File "train.py", line 3\nRuntimeError: CUDA out of memory\n',
    ),
)
