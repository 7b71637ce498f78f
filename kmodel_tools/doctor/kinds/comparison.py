"""With a second file: what in the two can change a prediction."""

from __future__ import annotations

from kmodel_tools.doctor.finding import Kind

KINDS = (
    Kind(
        "layers-differ",
        "comparison",
        "error",
        "the two models do not have the same layers",
        "A layer is there in one of them only, or is of another class. They are two models, however alike; loading one's weights "
        "into the other by order fills layers with those of their neighbours.",
    ),
    Kind(
        "weights-unmatched",
        "comparison",
        "error",
        "weights of one file have no partner in the other",
        "Loading one into the other by name leaves such weights at the values that they were made with, without a word where "
        "`by_name=True` or `skip_mismatch=True` is given.",
    ),
    Kind(
        "one-is-untrained",
        "comparison",
        "error",
        "layers are as they were made in one file, and trained in the other",
        "So the values never arrived, or were made anew after loading: a name that matched nothing, `skip_mismatch=True`, a model "
        "that was built again, or TensorFlow 1's global initializer run after loading.",
    ),
    Kind(
        "weights-of-another-layer",
        "comparison",
        "error",
        "layers have the values of other layers: swapped, or shifted by one",
        "Loading by order puts weights into the next layer that takes their shape when a layer was inserted, left out or moved, "
        "and Keras does not notice. Load by name: `kmt transfer`.",
    ),
    Kind(
        "weights-laid-out-otherwise",
        "comparison",
        "error",
        "weights have the same values in another layout: transposed or reshaped",
        "Another framework keeps kernels the other way round (PyTorch: outputs first). A square kernel fits both ways, and nothing "
        "complains.",
    ),
    Kind(
        "shapes-differ",
        "comparison",
        "error",
        "weights of the same name have different shapes",
        "The two models differ there: another number of classes, or another size of input before a `Flatten`.",
    ),
    Kind(
        "inference-settings-differ",
        "comparison",
        "warning",
        "settings differ that change what the model predicts",
        "The weights may be equal to the last bit, and the predictions not: `epsilon`, activations, padding, `data_format`, "
        "`reset_after`, the dtype policy, how layers are called.",
    ),
    Kind(
        "vocabulary-differs",
        "comparison",
        "error",
        "a vocabulary differs, or has another order",
        "Each word has a number by its place. With the words in another order (made from a `set`, or sorted otherwise) every row "
        "of an embedding belongs to another word.",
    ),
    Kind(
        "only-statistics-differ",
        "comparison",
        "warning",
        "only statistics of normalisation differ",
        "All weights that are trained are equal. The statistics went on changing, or were not loaded: a forward pass with "
        "`training=True`, or a save before the last update.",
    ),
    Kind(
        "only-rounding-differs",
        "comparison",
        "note",
        "values differ by rounding only",
        "One file holds the values of the other in a narrower type, or they differ in the last digits.",
    ),
    Kind(
        "weights-differ",
        "comparison",
        "warning",
        "weights have other values",
        "The two were trained apart, or one of them went on. Runs of one program part at the first layer that is named if their "
        "seeds, data or devices differ: `keras.utils.set_random_seed(1)` and `tf.config.experimental.enable_op_determinism()`.",
    ),
    Kind(
        "training-settings-differ",
        "comparison",
        "note",
        "settings differ that concern training alone",
        "Predictions do not change by them: losses, metrics, optimizers, initializers, regularizers, rates of dropout.",
    ),
    Kind(
        "not-compared",
        "comparison",
        "note",
        "a part could not be compared, since one file does not hold it",
        "What is not in a file can still make the difference: of weights alone nobody knows activations, epsilons and how layers "
        "are connected.",
    ),
)
