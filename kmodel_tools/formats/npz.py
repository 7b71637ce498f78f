"""`.npz`: arrays of NumPy in a zip archive; what names and texts mean is in `_shared/named_arrays`.

::

    dense/kernel.npy          an array each; `numpy.load(path)["dense/kernel"]`
    @config.npy               texts, as bytes in an array without axes: `bytes(numpy.load(path)["@config"])`
    @dtypes.npy               {"dense/kernel": "bfloat16"}: types that NumPy has no name for; their elements are plain bytes there

`np.savez(path, *model.get_weights())` calls arrays `arr_0`, `arr_1`, …: they have an order, and no names.
Arrays of Python objects are pickles: they are never opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from kmodel_tools.errors import ConversionError, CorruptFileError, UnsupportedFeatureError
from kmodel_tools.format import Container, Format, Part, Probe, parse_json
from kmodel_tools.storage.atomic import new_file
from kmodel_tools.storage.npy import DESCRS, Array, BigEndian, header, read_array
from kmodel_tools.storage.zip import member_range, write_archive
from kmodel_tools.tensor import Buffer, DType, Tensor
from kmodel_tools.tree import Model, Note

SUFFIX = ".npy"
TEXT = "@"
SAID = frozenset({"format", "producer", "keras_version", "backend", "config", "training_config", "optimizer"})
TYPES = "dtypes"
TEXT_LIMIT = 256 << 20
_COUNTED = re.compile(r"arr_[0-9]+")
_COMPONENTS = {DType.COMPLEX64: 4, DType.COMPLEX128: 8}


def detect(probe: Probe) -> str | None:
    """Say which arrays an archive holds (named ones, or counted ones), or None where it holds anything else."""
    names = list(probe.members)
    if not names or not all(name.endswith(SUFFIX) for name in names):
        return None
    return "counted" if all(_COUNTED.fullmatch(name.removesuffix(SUFFIX)) for name in names) else "named"


def read(probe: Probe) -> Model:
    """Describe the arrays of an archive, and the model that they are of.

    Raises:
        CorruptFileError: A member is damaged, or no array.
        UnsupportedFeatureError: A member holds objects, or elements of a type that no model has.
    """
    from kmodel_tools.formats._shared.named_arrays import read_arrays  # much, of which telling a .keras from this has no need

    arrays: dict[str, Array] = {}
    said: dict[str, str] = {}
    for name, member in probe.members.items():
        plain = name.removesuffix(SUFFIX)
        found = read_array(member_range(probe.range, member), name)
        if plain.startswith(TEXT) and plain[len(TEXT) :] in SAID | {TYPES} and found.dtype is None and not found.shape:
            said[plain[len(TEXT) :]] = _text(found, probe.path, name)
        else:
            arrays[plain] = found
    types = parse_json(said.pop(TYPES, "{}"), probe.path, f"{TEXT}{TYPES}")
    known = {dtype.value: dtype for dtype in DType}
    bare = [name for name, array in arrays.items() if not array.is_named]
    unsaid = [name for name in bare if not isinstance(types, dict) or types.get(name) not in known]
    tensors = {
        name: _tensor(array, known[types[name]] if name in bare and name not in unsaid else array.dtype, probe.path, name)
        for name, array in arrays.items()
    }
    dialect = detect(probe) or ""
    if dialect == "counted":
        tensors = dict(sorted(tensors.items(), key=lambda item: int(item[0].partition("_")[2])))
    model = read_arrays(tensors, said, probe.path)
    notes = model.notes
    if unsaid:
        listed = ", ".join(unsaid[:3])
        notes = (*notes, Note("inferred", f"{len(unsaid)} arrays have elements without a type, shown as whole numbers: {listed}"))
    if dialect == "counted":
        notes = (*notes, Note("inferred", "the arrays have an order and no names: as get_weights() gives them, if that wrote them"))
    return replace(model, format=FORMAT.name, metadata={**model.metadata, "dialect": dialect}, notes=notes)


def _text(array: Array, path: str, where: str) -> str:
    if array.data.length > TEXT_LIMIT:
        raise CorruptFileError(f"a text of {array.data.length} bytes is larger than any model's", path=path, where=where)
    try:
        return array.data.read().decode()
    except UnicodeDecodeError as error:
        raise CorruptFileError("is no text in UTF-8", path=path, where=where) from error


def _tensor(array: Array, dtype: DType | None, path: str, where: str) -> Tensor:
    """The tensor of an array, in the order and the endianness that ours have."""
    if dtype is None:
        raise UnsupportedFeatureError("holds texts, which no weight is", path=path, where=where)
    if dtype.itemsize != array.width:
        raise CorruptFileError(f"has elements of {array.width} bytes, which are no {dtype.value}", path=path, where=where)
    word = _COMPONENTS.get(dtype, array.width)
    source = BigEndian(array.data, word) if array.big_endian and word > 1 else array.data
    if not array.by_columns or len(array.shape) < 2:
        return Tensor(dtype, array.shape, source)
    from kmodel_tools.rearranged import transpose

    backwards = Tensor(dtype, tuple(reversed(array.shape)), source)
    return transpose(backwards, tuple(reversed(range(len(array.shape)))))


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model.

    Raises:
        ConversionError: Two arrays would have one name, or one holds strings.
        KmtError: The file is there already, or cannot be written.
    """
    from kmodel_tools.formats._shared.named_arrays import named_arrays, texts

    arrays = named_arrays(model)
    members: list[tuple[str, int, Iterable[Buffer]]] = []
    types: dict[str, str] = {}
    for name, tensor in arrays:
        if tensor.dtype not in DESCRS and not tensor.dtype.itemsize:
            raise ConversionError(f"NumPy has no elements of type {tensor.dtype.value} without pickles, which {name} has", (name,))
        if tensor.dtype not in DESCRS:
            types[name] = tensor.dtype.value
        start = header(DESCRS.get(tensor.dtype, f"|V{tensor.dtype.itemsize}"), tensor.shape)
        members.append((name + SUFFIX, len(start) + tensor.nbytes, _behind(start, tensor)))
    said = texts(model) | ({TYPES: json.dumps(types)} if types else {})
    taken = {name for name, _ in arrays}
    for key, text in said.items():
        if TEXT + key in taken:
            raise ConversionError(f"an array is called {TEXT + key!r}, as a text is")
        data = text.encode()
        start = header(f"|S{len(data)}", ())
        members.append((TEXT + key + SUFFIX, len(start) + len(data), [start, data]))
    with new_file(path, overwrite) as file:
        write_archive(file, members)


def _behind(start: bytes, tensor: Tensor) -> Iterable[Buffer]:
    yield start
    yield from tensor.blocks()


FORMAT = Format(
    name="npz",
    title="NumPy archive (.npz)",
    suffixes=(".npz",),
    containers=frozenset({Container.ZIP}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG | Part.OPTIMIZER,
    detect=detect,
    read=read,
    write=write,
)
