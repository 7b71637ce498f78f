"""From a file to another one in any container: what is carried, what is concluded, what is lost.

The losses are known before anything is written. What the target has no room for is refused unless the caller says that
it may go; leaving out what was not asked for (`weights_only`, `optimizer=False`) is no loss.
"""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kmodel_tools.architecture.checkpoint_layout import is_name_based, producer_of
from kmodel_tools.architecture.custom_objects import CustomObject, custom_objects
from kmodel_tools.architecture.custom_stub import loading_stub
from kmodel_tools.architecture.envelope import Era
from kmodel_tools.converter.optimizer import CHECKPOINT, STORES
from kmodel_tools.converter.plan import Plan
from kmodel_tools.converter.planting import refuse_an_architecture_alone
from kmodel_tools.converter.request import Conversion as Conversion
from kmodel_tools.converter.request import Request as Request
from kmodel_tools.derived import Counted
from kmodel_tools.digester import digests_of
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.format import Format, Part
from kmodel_tools.formats import read_model, writable_format
from kmodel_tools.storage.atomic import check_destination, draft, draft_set
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Model, Path, join_path
from kmodel_tools.upgrader.generation import generation

Progress = Callable[[int, int], None]
TARGETS = ("keras2", "keras3")


def convert(source: Model, destination: str | os.PathLike[str], request: Request, progress: Progress | None = None) -> Conversion:
    """Write a model to a file.

    Args:
        source: The model, as read from its file.
        destination: The path to write.
        request: What to do.
        progress: Called with the bytes of weights that are written and the bytes of all of them.

    Raises:
        ConversionError: The target cannot hold something (`losses` lists it), is for another generation of Keras, or its
            layout cannot be told from the source.
        KmtError: The destination is there already, or cannot be written.
    """
    path = os.fspath(destination)
    target = writable_format(path, request.to)
    for name in request.options:
        if name not in {option.name for option in target.options}:
            raise KmtError(f"{target.title} has no option {name!r}", cure="see them with: kmt formats")
    _check_destination(target, path, request.overwrite)
    request = _aimed(request, target, source)
    if Part.WEIGHTS in target.holds:
        refuse_an_architecture_alone(source)
    plan = Plan(source, target, request)
    model = plan.model()
    plan.left_out += _companions(target, path)
    if plan.lost and not request.lossy:
        raise ConversionError(
            f"{target.title} cannot hold: {'; '.join(plan.lost)}", tuple(plan.lost), path=path, cure="write it without them: --lossy"
        )
    options = dict(request.options) | ({"content": "weights"} if plan.weights_only and target.name == "keras-h5" else {})
    plan.inferred += _write(target, _counted(model, progress) if progress else model, path, options, request.verify)
    plan.carried += ["every array was read back, and is bit-equal"] if request.verify else []
    weights = [weight for _, weight in model.weights()]
    return Conversion(
        path,
        source.format,
        target.name,
        len(weights),
        sum(weight.tensor.nbytes for weight in weights),
        tuple(plan.carried),
        tuple(plan.left_out),
        tuple(plan.inferred),
        tuple(plan.lost),
        tuple(plan.changes),
        *_custom(plan, model, path),
    )


def _aimed(request: Request, target: Format, source: Model) -> Request:
    """The request, with what it leaves open of the generation that is written for.

    Raises:
        KmtError: There is no such generation, or the format is not for it.
    """
    if request.target not in (None, *TARGETS):
        raise KmtError(f"there is no target {request.target!r}", cure=f"choose {' or '.join(TARGETS)}")
    if request.target == "keras3" and target.generation == "Keras 2":
        raise KmtError(f"{target.title} is written for what reads Keras 2 alone", cure="leave out --target, or name a .keras file")
    if request.target == "keras2" and (target.name in STORES or target.generation == "Keras 3"):
        raise KmtError(f"{target.title} is written for Keras 3 alone", cure="name a .h5 file, which Keras 2 and tf_keras load")
    if target.name != CHECKPOINT:
        return request
    options = dict(request.options)
    if options.get("layout", "auto") == "auto":
        options["layout"] = "names" if request.target is None and is_name_based(source.metadata) else "objects"
    return replace(request, options=options | {"target": request.target or producer_of(source.metadata)})


def _custom(plan: Plan, model: Model, path: str) -> tuple[tuple[CustomObject, ...], str]:
    """What the written model needs that Keras does not have, and the Python that loads it."""
    if plan.weights_only or model.architecture is None or Part.ARCHITECTURE not in plan.target.holds:
        return (), ""
    custom = custom_objects(model.architecture, model.training_config)
    if Part.WEIGHTS not in plan.target.holds:
        return custom, ""
    return custom, loading_stub(path, model.architecture, model.training_config) if generation(model) is Era.KERAS_3 else ""


def _counted(model: Model, progress: Progress) -> Model:
    total = sum(weight.tensor.nbytes for _, weight in model.weights())
    done = [0]

    def advance(count: int) -> None:
        done[0] += count
        progress(done[0], total)

    counted = replace_weights(model, lambda _, weight: replace(weight, tensor=Counted.of(weight.tensor, advance)))
    return replace(counted, inventory=model.inventory)


def _check_destination(target: Format, path: str, overwrite: bool) -> None:
    """Make sure that a file, or a set of files, may be written.

    Raises:
        KmtError: It is there already and may not be replaced, or cannot be made.
    """
    files = target.files(path)
    if files is None:
        check_destination(path, overwrite)
        return
    if os.path.isdir(path):
        raise KmtError("is a folder", path=path, cure=f"name what its files shall start with: {os.path.join(path, 'model')}")
    check_destination(files.index, overwrite)
    folder = os.path.dirname(os.path.realpath(path))
    if not overwrite and (found := fnmatch.filter(os.listdir(folder), files.shards)):
        raise KmtError(f"{min(found)} is there already", path=path, cure="--force replaces it")


def _companions(target: Format, path: str) -> list[str]:
    """What a set of files would have beside it, and what is there already for others."""
    files = target.files(path)
    folder = os.path.dirname(os.path.realpath(path))
    there = [name for name in files.companions if os.path.lexists(os.path.join(folder, name))] if files else []
    return [f"the file {name}: there is one in this folder, and it stays as it is" for name in there]


def _write(target: Format, model: Model, path: str, options: Mapping[str, str], verify: bool) -> list[str]:
    """Write a model and read it back before it takes the place of what is there; return what there is to say of that."""
    assert target.write is not None
    if verify and options.get("quantize", "none") != "none":
        raise KmtError("there is nothing to verify where values are rounded on purpose", cure="leave out --verify, or quantize")
    files = target.files(path)
    with draft(path) if files is None else draft_set(path, files.index, files.shards) as name:
        try:
            target.write(model, name, False, options)
            if verify:
                _compare(name, target, model)
            return _check(name, target, model)
        except KmtError as error:
            if error.path is not None and error.path.startswith(name):
                error.path = path + error.path.removeprefix(name)
            error.path = error.path or path
            raise


def _check(path: str, target: Format, model: Model) -> list[str]:
    """Read the new file back: it must have weights of the same shapes as the model, a shared one perhaps twice.

    Values are not read, unless names alone tell what a weight is and some changed: then none may lie under another one's name.

    Returns:
        Which weights go by other paths in the file, where the model has no architecture that would say what they are.
    """
    back = dict(read_model(path, target.name).weights())
    ours = dict(model.weights())
    found = Counter(weight.tensor.shape for weight in back.values())
    wanted = Counter(weight.tensor.shape for weight in ours.values())
    held = Counter(id(weight) for _, layer in model.walk() for weight in layer.weights)
    shared = bool(model.aliases()) or any(count > 1 for count in held.values())
    cure = "please report this, with the source"
    if wanted - found or (found != wanted and not shared):
        raise KmtError("would not read back as the same weights, and was not written", path=path, cure=cure)
    missing = [path_of for path_of in ours if path_of not in back]
    if model.architecture is not None or not missing or Part.NAMES not in target.holds:
        return []
    for path_of, weight in ours.items():
        if path_of in back and not _same(weight.tensor, back[path_of].tensor):
            raise KmtError(f"{join_path(path_of)} would read back as another weight, and was not written", path=path, cure=cure)
    new = [path_of for path_of in back if path_of not in ours]
    return [f"{len(missing)} weights are read back under other paths: {_some(missing)} as {_some(new)}"]


def _compare(path: str, target: Format, model: Model) -> None:
    """Read all of the new file: every weight of the model, and the optimizer's state for it, must be there with its bytes.

    Raises:
        KmtError: One is not.
    """
    ours, back = _arrays(model), read_model(path, target.name)
    there = list(back.tensors())
    values = dict(zip((id(tensor) for _, tensor in there), digests_of([tensor for _, tensor in there]), strict=True))
    left = Counter(values.values())
    named = {join_path(path_of): values.get(id(weight.tensor)) for path_of, weight in back.weights()} if Part.NAMES in target.holds else {}
    lost = []
    for (name, _), value in zip(ours, digests_of([tensor for _, tensor in ours]), strict=True):
        left[value] -= 1
        lost += [name] if left[value] < 0 or named.get(name, value) not in (value, None) else []
    if lost:
        raise KmtError(
            f"of {len(ours)} arrays {len(lost)} read back with other values, and nothing was written",
            path=path,
            where=lost[0],
            cure="try again; if it happens again, the disk or the memory is faulty, or please report this",
        )


def _arrays(model: Model) -> list[tuple[str, Tensor]]:
    """The weights by their paths, each once, and the optimizer's arrays for them."""
    found: dict[int, tuple[str, Tensor]] = {}
    for path, weight in model.weights():
        found.setdefault(id(weight), (join_path(path), weight.tensor))
    slots = model.optimizer.slots if model.optimizer is not None else ()
    return [*found.values(), *((f"{slot.name} of {found[id(slot.weight)][0]}", slot.tensor) for slot in slots)]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype is other.dtype and one.read().tobytes() == other.read().tobytes()


def _some(paths: Sequence[Path]) -> str:
    return ", ".join(join_path(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
