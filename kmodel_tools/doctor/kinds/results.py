"""It opens and gives other results: weights that are not there or never changed, and what a configuration leaves open."""

from __future__ import annotations

from kmodel_tools.doctor.finding import Kind

KINDS = (
    Kind(
        "weights-missing",
        "weights",
        "error",
        "the architecture has weights that are not in the file",
        "Keras gives such a layer new random values, or refuses the file (`expected 2 variables, but received 0 variables`). "
        "Causes: saving broke off, the layer was not tracked by its model (in a nested list, before Keras 3.15), or another "
        "program wrote the file.",
    ),
    Kind(
        "shape-contradicts-configuration",
        "weights",
        "error",
        "a weight has another shape than its layer's configuration says",
        "Architecture and weights are of two models, for example with another number of classes. Keras refuses it (`Shape "
        "mismatch`, `axes don't match array`), or leaves the layer at new values with `skip_mismatch=True`.",
    ),
    Kind(
        "weights-initial",
        "weights",
        "warning",
        "all weights look as they were made, before any training",
        "Biases are zero and kernels have the bounds and moments of their initializers, layer by layer. Training moves them off "
        "within a step. So the model was saved before it was trained, or after its values were lost: built anew instead of loaded, "
        "`load_weights(…, by_name=True)` that matched nothing, or TensorFlow 1's `tf.global_variables_initializer()` run after "
        "loading.",
    ),
    Kind(
        "layers-initial",
        "weights",
        "warning",
        "some layers look as they were made, while others are trained",
        "Their biases are zero and their kernels have the bounds and moments of their initializers. A head that was never trained "
        "looks so, and a layer that found no weights when others were loaded by name: its name or shape was another one.",
    ),
    Kind(
        "batchnorm-statistics-initial",
        "weights",
        "warning",
        "statistics of BatchNormalization were never updated: mean 0 and variance 1",
        "At inference the layer then does not normalise at all, while in training it did: good accuracy in training, none "
        "afterwards. Causes: update operations that TensorFlow 1 was not told to run, training with `training=False` or a frozen "
        "layer, weights that were loaded without the statistics.",
    ),
    Kind(
        "optimizer-step-0",
        "weights",
        "note",
        "its optimizer has made no step",
        "The model was compiled and saved without `fit`. With trained weights that is all right: they came from elsewhere. "
        "Otherwise it was never trained.",
    ),
    Kind(
        "not-a-number",
        "precision",
        "error",
        "weights are NaN or infinite",
        "Training diverged (a learning rate too high, a logarithm of zero, an overflow of float16), and was saved after that. "
        "Every prediction through them is NaN. Go back to an earlier checkpoint; `keras.callbacks.TerminateOnNaN()` ends the next "
        "run in time.",
    ),
    Kind(
        "denormals",
        "precision",
        "note",
        "many weights are denormal: too small for full precision",
        "CPUs compute with them many times slower, and GPUs and `-ffast-math` take them for zero. They come from weight decay on "
        "weights that nothing uses.",
    ),
    Kind(
        "half-precision",
        "precision",
        "note",
        "weights are stored in 16 bits",
        "Predictions differ from those of the model in float32 by about one part in a thousand (float16) or in a hundred (bfloat16).",
    ),
    Kind(
        "mixed-policy",
        "precision",
        "note",
        "layers compute in 16 bits",
        "The policy is in the file: the layers compute in 16 bits wherever the model is loaded, also on a CPU, where results and "
        "speed differ from a GPU's. Values beyond 65504 overflow in float16.",
    ),
    Kind(
        "random-at-inference",
        "architecture",
        "warning",
        "a layer is called with training=True, so that predictions depend on chance or on the batch",
        "The call is part of the graph: dropout, noise or the statistics of the batch act at inference too. That is meant in Monte "
        "Carlo dropout, and a mistake elsewhere: build the model without the argument, and load the weights.",
    ),
    Kind(
        "stateful-layer",
        "architecture",
        "warning",
        "a recurrent layer is stateful: predictions depend on what was predicted before",
        "It starts each batch where the last one ended; the states are not in the file, and the batch size is fixed. Reset them "
        "before each sequence, or build the model anew with `stateful=False` and load the weights.",
    ),
    Kind(
        "vocabulary-missing",
        "architecture",
        "error",
        "a layer has lost its vocabulary, which is not in the file",
        "The words stand neither in the configuration nor in an asset. Keras says `Table not initialized` or `the layer has no "
        "vocabulary`, or every word is unknown. `.keras` holds vocabularies; `.h5` and weights alone do not always. A vocabulary "
        "has an order: one that is built anew from a `set` or by `hash()` gives each word another number.",
    ),
    Kind(
        "not-adapted",
        "architecture",
        "warning",
        "a preprocessing layer was never adapted",
        "It passes inputs on as they are (mean 0, variance 1), or fails. The layers behind it may have been trained on adapted inputs.",
    ),
    Kind(
        "hashing-without-salt",
        "architecture",
        "note",
        "a Hashing layer has no salt",
        "Its numbers are stable, and the same for everybody: collisions can be made on purpose, and a second hashing layer of the "
        "same size collides in the same words. Set `salt` before training; a trained model must keep what it has.",
    ),
    Kind(
        "custom-layer-without-arguments",
        "architecture",
        "warning",
        "a custom layer's configuration has none of the arguments that it was made with",
        "If its constructor takes arguments, its `get_config` left them out: loading fails (`missing 1 required positional "
        "argument`), or takes the defaults, silently. If it takes none, all is well.",
    ),
    Kind(
        "added-loss",
        "architecture",
        "warning",
        "losses or metrics were added inside of the model, which Keras 3 does not have",
        "`model.add_loss` of Keras 2 puts layers into the graph, which Keras 3 does not know. The cure leaves them out: predictions "
        "are the same, further training is not. What a layer adds in its code is in no file: compare `model.losses`.",
    ),
    Kind(
        "channels-first",
        "architecture",
        "note",
        "layers want channels first, and Keras here is set to channels last",
        "The layers keep what the file says. Images that Keras loads here have their channels last, and TensorFlow on a CPU cannot "
        "compute convolutions of channels first.",
    ),
    Kind(
        "other-backend",
        "architecture",
        "note",
        "it was trained with a backend that computes convolutions in another way",
        "Theano flips kernels, and pads on other sides. Keras 2 turned kernels when it loaded such a file; Keras 3 does not. `kmt "
        "convert` turns them, and says what has no equal.",
    ),
    Kind(
        "floatx-differs",
        "precision",
        "note",
        "its layers compute in another precision than Keras here is set to",
        "The layers keep what the file says; layers and inputs that are added here have another type.",
    ),
    Kind(
        "metric-guessed",
        "training",
        "note",
        'its metric is called "accuracy", and which one is guessed at each start',
        "Keras chooses among binary, categorical and sparse accuracy by the loss and by the shapes of the first targets. After "
        "loading it may choose another one, most of all with a loss of your own or labels in another form: the same predictions, "
        "and an accuracy near zero. Name the metric that you mean.",
    ),
    Kind(
        "unseeded",
        "training",
        "note",
        "nothing fixes what its random parts do",
        "The file holds no weights: they are still to be made, and initializers, dropout or random layers have no seed, so that "
        "every run gives another model. `keras.utils.set_random_seed(1)` before building fixes all of them.",
    ),
)
