"""What of a source is converted, and under which names: `--map`, `--rename`, `--extract`, `--select` and `--drop`.

Each step says whether what is left is a whole model, with its architecture, or weights alone, and why.
"""

from __future__ import annotations

from dataclasses import replace

from kmodel_tools.architecture.editing.names import kept_keys
from kmodel_tools.converter.planned import Planned
from kmodel_tools.editor import select
from kmodel_tools.editor.naming import new_paths, rename_layers
from kmodel_tools.editor.parts import extract, without_last_layers
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.format import Part as FilePart
from kmodel_tools.renaming import path_changer, rename
from kmodel_tools.tree import Model, join_path

LEGACY = "keras-h5"


def named(plan: Planned, source: Model) -> Model:
    """The model under the names of the map, then of the rules; what the map leaves out is left out as asked for."""
    model = source if plan.request.mapping is None else _mapped(plan, source)
    if not plan.request.rename:
        return model
    new_path = new_paths(model, plan.request.rename)
    if model.architecture is not None and plan.request.like is None:
        try:
            renamed, count = rename_layers(model, new_path)
        except ConversionError:
            if not plan.request.weights_only:
                raise
        else:
            plan.carried.append(f"{_layers(count)} under other names, as asked for")
            plan.changes += _kept_keys(model, renamed)
            return renamed
    mapping = {join_path(path): join_path(new) for path, _ in model.weights() if (new := new_path(path)) != path}
    if not mapping:
        raise KmtError("--rename changes the path of no weight", cure="see the paths with: kmt inspect")
    plan.carried.append(f"{len(mapping)} of the weights under other names, as asked for")
    return rename(model, mapping)[0]


def _mapped(plan: Planned, source: Model) -> Model:
    """The model under the names of the map: a whole one if the map changes names of layers alone."""
    assert plan.request.mapping is not None
    why = "they know the names that were, not those of the map"
    if (
        source.architecture is not None
        and plan.request.like is None
        and (new_path := path_changer(source, plan.request.mapping)) is not None
    ):
        try:
            renamed, count = rename_layers(source, new_path)
        except KmtError as error:
            why = f"{why} ({error.problem})"
        else:
            plan.carried.append(f"{_layers(count)} under the names of the map")
            plan.changes += _kept_keys(source, renamed)
            return renamed
    renamed, unnamed = rename(source, plan.request.mapping)
    before, after = (sum(1 for _ in model.weights()) for model in (source, renamed))
    plan.carried.append(f"{before - len(unnamed)} of the weights are named by the map, {len(unnamed)} keep their paths")
    if after < before:
        plan.left_out.append(f"{before - after} weights: as the map says")
    if renamed.architecture is None and source.architecture is not None and plan.request.like is None:
        plan.left_out.append(f"architecture and training configuration: {why}")
    return renamed


def _kept_keys(model: Model, renamed: Model) -> list[str]:
    return kept_keys(model.architecture, renamed.architecture) if model.architecture and renamed.architecture else []


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def extracted(plan: Planned, source: Model) -> Model:
    """The nested model or the layer that was asked for."""
    if plan.request.extract is None:
        return source
    part = extract(source, plan.request.extract)
    plan.changes += part.said
    plan.left_out += part.left_out
    plan.lost += part.lost
    plan.cut = True
    plan.part = not part.is_whole
    if plan.part and FilePart.WEIGHTS not in plan.target.holds:
        raise ConversionError(f"{plan.target.title} holds architectures of models, and {plan.request.extract} is a layer")
    if plan.part and plan.target.name == "keras-archive" and plan.request.like is None:
        why = f"{plan.target.title} holds whole models, and {plan.request.extract} is a layer"
        raise ConversionError(why, cure="write its weights: NAME.h5")
    return replace(part.model, optimizer=None) if plan.part else part.model


def chosen(plan: Planned, source: Model) -> Model:
    """The model without its last layers, where they are those that are dropped; else the weights that were chosen.

    Of a legacy file these come with the architecture that tells their order.
    """
    request = plan.request
    if not request.select and not request.drop:
        return source
    why, stands_in_the_way = "the chosen weights are no whole model", None
    if source.architecture is not None and not (request.select or request.weights_only or plan.part):
        try:
            part = without_last_layers(source, request.drop)
        except ConversionError as error:
            why, stands_in_the_way = f"what is left is no whole model: {error.problem}", error
            if plan.target.name == "keras-archive" or FilePart.WEIGHTS not in plan.target.holds:
                raise ConversionError(f"{plan.target.title} holds whole models, and {why}", cure="write the weights: NAME.h5") from error
        else:
            plan.changes += part.said
            plan.left_out += part.left_out
            plan.cut = True
            return part.model
    try:
        found = select(source, request.select, request.drop)
    except KmtError as error:
        if stands_in_the_way is None:
            raise
        raise ConversionError(f"{why}; and of the weights alone: {error.problem}", cure=error.cure) from error
    plan.left_out += [] if plan.part else [f"architecture, training configuration and optimizer: {why}"]
    plan.part = True
    if plan.target.name == LEGACY:
        return replace(found, architecture=source.architecture)  # says what is frozen, and so the order; it is not written
    if plan.counts_layers():
        plan.inferred.append("the layers are counted among those that were chosen: only a model of just these finds them")
    return found
