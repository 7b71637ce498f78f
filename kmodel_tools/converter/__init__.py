"""From a file to another one in any container: what is carried, what is concluded, what is lost.

The losses are known before anything is written. What the target has no room for is refused unless the caller says that
it may go; leaving out what was not asked for (`weights_only`, `optimizer=False`) is no loss.
"""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from kmodel_tools.architecture.checkpoint_layout import layout_like
from kmodel_tools.converter.optimizer import CHECKPOINT
from kmodel_tools.converter.plan import Plan
from kmodel_tools.converter.request import Conversion as Conversion
from kmodel_tools.converter.request import Request as Request
from kmodel_tools.derived import Counted
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.format import Format
from kmodel_tools.formats import read_model, writable_format
from kmodel_tools.storage.atomic import check_destination, draft, draft_set
from kmodel_tools.tree import Model

Progress = Callable[[int, int], None]


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
    if target.name == CHECKPOINT and request.options.get("layout", "auto") == "auto":
        request = replace(request, options={**request.options, "layout": layout_like(source.metadata)})
    plan = Plan(source, target, request)
    model = plan.model()
    plan.left_out += _companions(target, path)
    if plan.lost and not request.lossy:
        raise ConversionError(
            f"{target.title} cannot hold: {'; '.join(plan.lost)}", tuple(plan.lost), path=path, cure="write it without them: --lossy"
        )
    options = dict(request.options) | ({"content": "weights"} if plan.weights_only and target.name == "keras-h5" else {})
    _write(target, _counted(model, progress) if progress else model, path, options)
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
    )


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


def _write(target: Format, model: Model, path: str, options: Mapping[str, str]) -> None:
    """Write a model and read it back before it takes the place of what is there."""
    assert target.write is not None
    files = target.files(path)
    with draft(path) if files is None else draft_set(path, files.index, files.shards) as name:
        try:
            target.write(model, name, False, options)
            _check(name, target, model)
        except KmtError as error:
            if error.path is not None and error.path.startswith(name):
                error.path = path + error.path.removeprefix(name)
            error.path = error.path or path
            raise


def _check(path: str, target: Format, model: Model) -> None:
    """Read the new file back: it must have weights of the same shapes as the model, a shared one perhaps twice; values are not read."""
    found = Counter(weight.tensor.shape for _, weight in read_model(path, target.name).weights())
    wanted = Counter(weight.tensor.shape for _, weight in model.weights())
    held = Counter(id(weight) for _, layer in model.walk() for weight in layer.weights)
    shared = bool(model.aliases()) or any(count > 1 for count in held.values())
    if wanted - found or (found != wanted and not shared):
        raise KmtError(
            "would not read back as the same weights, and was not written", path=path, cure="please report this, with the source"
        )
