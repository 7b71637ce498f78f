"""Is it safe: what a file can do to the machine of whoever opens it with Keras or TensorFlow."""

from __future__ import annotations

from kmodel_tools.doctor.finding import Kind

KINDS = (
    Kind(
        "pickle",
        "safety",
        "error",
        "it is, or holds, a Python pickle, which runs code when it is opened",
        "Unpickling calls whatever the file names. Keras before 3 never reads one as a model; `model.weights.npz` in an archive "
        "and files of PyTorch are pickles. `kmt` never opens one. Open it only where it comes from somebody you trust, in a "
        "container; then save it as `.keras` or `.safetensors`.",
    ),
    Kind(
        "gadget",
        "safety",
        "error",
        "its configuration names a function that reaches out of the model",
        "No model needs `get_file`, `eval`, `os.system` or `enable_unsafe_deserialization`. Keras before 3.9 imports and calls "
        "what a configuration names, `safe_mode` or not (CVE-2025-1550); before 3.11 some functions of Keras itself can be misused "
        "so (CVE-2025-8747, CVE-2025-9906). Take such a file for an attack: do not load it.",
    ),
    Kind(
        "lambda-bytecode",
        "safety",
        "error",
        "it holds the bytecode of a Python lambda, which loading runs",
        "A `Lambda` layer that was given a lambda or a nested function is saved as marshalled bytecode. Whoever wrote the file "
        "decides what it does. Keras 3 refuses it unless `safe_mode=False`; in `.h5` files Keras before 3.11.3 and every Keras 2 "
        "run it unasked (CVE-2024-3660, CVE-2025-9905). Bytecode also belongs to one version of Python: another says `bad marshal "
        "data` or crashes, and what the function took from around it (a closure, a global) may be gone. `kmt` never decodes it. "
        "Put a layer of Keras in its place, or write the function into your own code.",
    ),
    Kind(
        "torch-module",
        "safety",
        "error",
        "it holds a TorchModuleWrapper, whose module is a pickle",
        "Keras 3.11.0 to 3.11.2 unpickle it even with `safe_mode` (CVE-2025-49655); later ones only with `safe_mode=False`.",
    ),
    Kind(
        "saved-model-layer",
        "safety",
        "error",
        "a TFSMLayer loads another SavedModel when the file is opened, and runs its graph",
        "The layer is nothing but the path or address of a SavedModel, which may be anybody's. Earlier releases of Keras 3 load it "
        "with `safe_mode` too (CVE-2026-1462). Look at what the path leads to with `kmt doctor`; without that folder the model "
        "does not open at all.",
    ),
    Kind(
        "vocabulary-path",
        "safety",
        "warning",
        "a vocabulary is a path or address that loading reads",
        "`StringLookup`, `IntegerLookup` and `TextVectorization` take the path of a file for a vocabulary, and earlier releases of "
        "Keras 3 read it when the configuration says so: any file of the machine, or an address (CVE-2025-12058). It also means "
        "that the words are not in the model's file, and another machine has others or none.",
    ),
    Kind(
        "module-outside-keras",
        "safety",
        "warning",
        "its configuration names modules that are not Keras's",
        "Keras before 3.9 imports such a module, which runs its code. Of a model of your own they are your own; of a model from "
        "elsewhere look at each name. Keras 3.9 and later import none: you import the module and pass what it holds as "
        "`custom_objects`.",
    ),
    Kind(
        "dangerous-operation",
        "safety",
        "error",
        "its graph has operations that read or write files, or run Python code",
        "A SavedModel is a program. TensorFlow runs these operations with your rights, some of them as soon as it is loaded. `kmt` "
        "only counts them. Do not load or serve it outside of a sandbox unless you know why they are there.",
    ),
    Kind(
        "custom-operation",
        "opening",
        "warning",
        "its graph has operations that TensorFlow does not have",
        "The operation comes with a library that has to be loaded first (`tf.load_op_library`, or the package that has it); "
        "without it TensorFlow says `Op type not registered`.",
    ),
    Kind(
        "outside-hdf5",
        "safety",
        "error",
        "its HDF5 part links to, or takes values from, other files",
        "External links, external storage and virtual datasets let a file show what is in other files of the machine as weights; "
        "earlier releases of Keras follow them (CVE-2026-1669). Keras writes none of them, nor soft links.",
    ),
    Kind(
        "path-traversal",
        "safety",
        "error",
        "it names files outside of its own folder",
        "Unpacking or loading it could write or read anywhere. Keras writes no such name.",
    ),
    Kind(
        "symbolic-link",
        "safety",
        "error",
        "a part of it is a symbolic link",
        "Loading would follow it to a file of the machine. Keras writes none.",
    ),
    Kind(
        "bomb",
        "safety",
        "error",
        "it claims far more data than it stores",
        "A few bytes that unpack to gigabytes exhaust the memory of whoever loads them (CVE-2026-0897). Trained weights do not "
        "compress so.",
    ),
)
