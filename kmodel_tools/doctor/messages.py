"""With a message: which of the known causes of what Keras, h5py or TensorFlow said applies to this file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kmodel_tools.doctor import answers, answers_of_files
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding
from kmodel_tools.doctor.kinds import finding

LONGEST_LINE = 160
GENERAL = "configuration-refused"
"""What is told only if nothing more exact is: Keras says it around many other messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that users know.

    Attributes:
        identifier: The kind of finding.
        pattern: What is in the text.
        explain: What in the file explains it.
        others: Findings about the file that explain it too.
    """

    identifier: str
    pattern: re.Pattern[str]
    explain: Callable[[Case, re.Match[str]], answers.Answer]
    others: tuple[str, ...] = ()


def explain(case: Case, text: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield a finding for each known message in a text.

    Args:
        case: The file that it was given for.
        text: The message, or a whole traceback.
        found: What is known about the file without it.
    """
    known = {item.identifier: item for item in found}
    any_known = False
    for message in MESSAGES:
        match = message.pattern.search(text)
        if match is None or (message.identifier == GENERAL and any_known):
            continue
        any_known = True
        items, cure = message.explain(case, match)
        causes = [known[name] for name in message.others if name in known]
        items += [
            Evidence(piece.layer, f"{cause.identifier}: {piece.key}", piece.value) for cause in causes for piece in cause.evidence[:4]
        ]
        cure = causes[0].cure if causes else cure
        said = Evidence("", "message", _line(text, match))
        detail = "" if items else "This file shows no cause of it: it lies in the code, in the model, or in another file."
        sure = "certain" if items else "possible"
        yield finding(message.identifier, [said, *items], cure, sure, None if items else "note", detail)
    if not any_known:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        yield finding(
            "message-not-known", [Evidence("", "message", (lines or ["nothing"])[-1][:LONGEST_LINE])], f"kmt inspect {case.quoted}"
        )


def _line(text: str, match: re.Match[str]) -> str:
    """The line of a text in which a match starts, from the match on where it is long."""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    line = text[start : end if end >= 0 else len(text)].strip()
    return line if len(line) <= LONGEST_LINE else text[match.start() : match.start() + LONGEST_LINE].split("\n", maxsplit=1)[0]


def _known(identifier: str, pattern: str, answer: Callable[[Case, re.Match[str]], answers.Answer], *others: str) -> Message:
    return Message(identifier, re.compile(pattern, re.DOTALL), answer, others)


NOT_HDF5 = (
    "lfs-pointer",
    "web-page",
    "empty-file",
    "compressed-file",
    "pickle",
    "truncated",
    "zip-named-h5",
    "hdf5-named-keras",
    "missing-part",
)
MESSAGES: tuple[Message, ...] = (
    _known(
        "path-not-found",
        r"errno = 2\b|No such file or directory|Path isn't a directory|Directory doesn't exist",
        answers_of_files.not_there,
    ),
    _known(
        "not-an-hdf5-file",
        r"file signature not found|truncated file: eof|bad superblock|bad byte number"
        r"|Unable to (?:synchronously )?open file(?! \(unable to open file: name = [^)]*errno = 2\b)"
        r"|File not found: filepath=\S+ Please ensure the file is an accessible|is not a zip file|BadZipFile",
        answers_of_files.content,
        *NOT_HDF5,
        "damaged",
    ),
    _known(
        "weights-given-for-model",
        r"[Nn]o model config(?:uration)? found in the file|has no 'model_config' data|name 'model_config' doesn't exist"
        r"|Cannot create group in read.only mode|Checkpoint does not contain model configuration",
        answers_of_files.without_architecture,
    ),
    _known(
        "member-not-found",
        r"no item named '(?P<member>[^']+)' in the archive|Expected a model\.weights\.h5 or model\.weights\.npz file",
        answers_of_files.member,
        "missing-part",
        "compressed-file",
        "bomb",
    ),
    _known(
        "saved-model-not-read",
        r"Cannot parse file b?'?[^'\n]*saved_model\.pb|SavedModel file does not exist at|Invalid SavedModel (?:directory|bundle)",
        answers_of_files.not_a_saved_model,
        "lfs-pointer",
        "missing-part",
        "truncated",
        "web-page",
        "empty-file",
        "compressed-file",
        "damaged",
        "not-a-model",
    ),
    _known("endpoint-not-found", r"The endpoint '[^']*' is neither an attribute|KeyError: 'serving_default'", answers_of_files.endpoints),
    _known(
        "name-ending-refused",
        r"Invalid file(?:name|path)(?: extension for saving)?[:.]\s+(?:expected a|Please add)|Invalid `filepath` argument:\s+expected a"
        r"|The filename must end in `\.weights",
        answers_of_files.ending,
        "zip-named-h5",
        "hdf5-named-keras",
        "new-weights-named-h5",
        "legacy-named-weights-h5",
    ),
    _known(
        "layer-count",
        r"Layer count mismatch|trying to load a weight file containing \d+ layers",
        answers.layer_count,
        "new-weights-named-h5",
    ),
    _known(
        "argument-not-known",
        r"Unrecognized keyword arguments? passed to (?P<kind>\w+): \{[^}]*\}?|Unrecognized keyword arguments?: \[[^\]]*\]"
        r"|Unrecognized keyword arguments?:', dict_keys\(\[[^\]]*\]"
        r"|Keyword argument not understood:\D{0,5}'\w+'|Keyword argument not understood: (?P<key>\w+)"
        r"|(?<!load_weights\(\) got an )unexpected keyword argument '\w+'",
        answers.argument,
    ),
    _known(
        "name-not-known",
        r"Unknown (?:layer|object|initializer|regularizer|constraint|optimizer|metric function|loss function"
        r"|activation function|metric|loss|activation)[^:\n]{0,30}: ?'?\"?([\w>.<]+)"
        r"|Could not (?:locate|interpret|deserialize) \w+ '([^']+)'"
        r"|Could not interpret [\w ]+ identifier: .{0,120}'config': '(\w+)'|Could not interpret [\w ]+ identifier: '?([\w>.]+)"
        r"|Cannot deserialize object of type `([\w>.]+)`",
        answers.name,
    ),
    _known(
        "variables-not-received",
        r"Layer '(?P<layer>[^']+)' expected \d+ variables?, but received \d+ variables? during loading|objects could not be loaded"
        r"|KeyError: .{0,40}'model_weights'|object '(?P<object>[^']+)' doesn't exist|can't locate attribute: '(?:layer|weight)_names'"
        r"|was never built and thus it doesn't have any variables|Skipping nested container at"
        r"|Key '[^']*' not found in any of the shards|on layer '(?P<given>[^']+)' with a weight list of length",
        answers.not_received,
        "legacy-named-weights-h5",
        "new-weights-named-h5",
        "weights-missing",
        "saving-broke-off",
        "missing-part",
    ),
    _known(
        "shape-mismatch",
        r"Shape mismatch|axes don't match array|[Ww]eight expects shape|must be equal, but are|shape of the target variable"
        r"|Cannot assign value|not compatible with provided weight shape|due to mismatch in number of weights"
        r"|was found to correspond to layer"
        r"|has shape \([^)]*\), but the saved weight has shape|Shapes? \([^)]*\) and \([^)]*\) are incompatible|Weight count mismatch",
        answers.shape,
        "shape-contradicts-configuration",
    ),
    _known(
        "lambda-not-loaded",
        r"bad marshal data|Requested the deserialization of a (?:`?Lambda`?|Python lambda)|marshal data too short|unknown opcode"
        r"|could not automatically infer the (?:output )?shape of the Lambda|name '(?:tf|K|np|keras|backend|tensorflow)' is not defined",
        answers.lambdas,
        "lambda-bytecode",
    ),
    _known(
        "vocabulary-not-loaded",
        r"Table not initialized|[Tt]he layer has no vocabulary",
        answers.nothing,
        "vocabulary-missing",
        "vocabulary-path",
    ),
    _known("h5py-3-decode", r"'str' object has no attribute 'decode'", answers.h5py),
    _known("names-too-long", r"object header message is too large|cannot be saved to HDF5 file because they are larger", answers.too_long),
    _known(
        "name-clash",
        r"name already exists|model should have unique names|All layer names should be unique",
        answers.nothing,
        "duplicate-layer-names",
        "saving-broke-off",
    ),
    _known(
        "checkpoint-not-found",
        r"not an sstable|bad magic number|Unsuccessful TensorSliceReader|Failed to find any matching files|Couldn't find 'checkpoint' file"
        r"|No valid checkpoints found in",
        answers_of_files.prefix,
        "missing-part",
        "checkpoint-moved",
        "checkpoint-file-named",
    ),
    _known("format-not-in-keras-3", r"File format not supported: filepath=", answers_of_files.another_format),
    _known(
        "by-name-not-possible",
        r"`by_name` only supports|Invalid keyword arguments: \{'(?:by_name|exclude)'"
        r"|load_weights\(\) got an unexpected keyword argument '(?:by_name|exclude|skip_mismatch)'",
        answers.nothing,
    ),
    _known(
        "model-not-built",
        r"model that has not yet been built|subclassed Model which has not created its variables|ha(?:s|ve) not yet been (?:built|created)"
        r"|has no defined (?:input|output)s?\b|has never been called",
        answers.unbuilt,
    ),
    _known(
        "not-compiled",
        r"No training configuration found in|compiled metrics have yet to be built|must compile your model|must call `compile\(\)` before",
        answers.uncompiled,
    ),
    _known(
        "input-of-another-shape",
        r"Invalid input shape for input|expected shape=\([^)]*\), found shape=\(|expected axis -?\d+ of input shape to have value",
        answers.inputs,
    ),
    _known("tensorflow-js-refused", r"InputLayer should be passed either a `?batchInputShape", answers.tensorflow_js),
    _known(
        "optimizer-not-loaded",
        r"Skipping variable loading for optimizer|loading the saved optimizer state|legacy Keras optimizer"
        r"|Error when creating the weights of optimizer",
        answers.optimizer,
        "optimizer-step-0",
    ),
    _known(
        "no-keras-object", r"'_UserObject' object has no attribute|'AutoTrackable' object has no attribute", answers_of_files.plain_object
    ),
    _known(
        "objects-not-restored",
        r"had attributes which were not restored|Unresolved object in checkpoint|Value in checkpoint could not be found",
        answers.unrestored,
    ),
    _known(
        "argument-missing",
        r"\b(?P<kind>\w+)\.__init__\(\) missing \d+ required",
        answers.missing_argument,
        "custom-layer-without-arguments",
        "rejected-by-keras-3",
    ),
    _known("recurrent-kinds", r"CuDNN(?:GRU|LSTM) is not compatible|is not compatible with (?:GRU|LSTM|CuDNN)", answers.recurrent),
    _known(
        "compile-refused",
        r"Could not deserialize 'keras\.metrics\.\w+'|Argument\(s\) not recognized: \{|Invalid value for argument `reduction`"
        r"|`keras\.optimizers\.legacy` is not supported",
        answers.compiled,
        "compile-rejected-by-keras-3",
        "rejected-by-keras-3",
    ),
    _known(
        "unsafe-content-refused",
        r"Requested the deserialization of a `(?:TFSMLayer|torch)|because it is not a modeling function"
        r"|Not allowed: (?:H5|ZIP|archive)|decompression(?:/shape)? bomb|Invalid asset path: |Malformed HDF5 dataset"
        r"|too large to load safely"
        r"|Invalid (?:path in )?H5 file[:,] ",
        answers.unsafe,
        "saved-model-layer",
        "torch-module",
        "gadget",
        "outside-hdf5",
        "bomb",
        "path-traversal",
        "symbolic-link",
    ),
    _known(
        "package-not-found",
        r"No module named '(?P<name>[\w.]+)'|requires (?:the )?(?P<needed>h5py)|(?P<needed_2>h5py) must be installed",
        answers.package,
        "torch-module",
    ),
    _known(
        GENERAL,
        r"pop expected at most 1 argument, got 2|Expected 'config' to be a dict for Sequential|could not be deserialized properly"
        r"|Error when deserializing class|must be fully-defined|Kernel shape must have the same length|unsupported operand type\(s\) for"
        r"|Invalid Functional model configuration|is incompatible with the layer|Cannot convert '.*' to a shape"
        r"|Saved configuration not understood|expects a dictionary, not a list|not a valid Keras configuration|Improper config format"
        r"|Sequential model configuration must be a dictionary|invalid config data|node index out of bounds|Unable to revive model"
        r"|Expected `trainable` to be a boolean|Could not parse config|Unknown `config` as a `dict`|Could not interpret serialized"
        r"|Expected 'config' to be a |Unexpected object from deserialization|missing a `from_config\(\)`|had a build config, but"
        r"|does not use registered names",
        answers.refused,
        "rejected-by-keras-3",
        "custom-objects",
    ),
)
