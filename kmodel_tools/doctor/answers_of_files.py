"""What a file is, which explains messages about files: an answer for each kind of message, evidence and cure."""

from __future__ import annotations

import re

from kmodel_tools.doctor.answers import Answer
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, literal
from kmodel_tools.format import Container

ENDINGS = {"keras-archive": ".keras", "keras-h5": ".h5", "keras-weights": ".weights.h5"}
"""The ending by which Keras knows each format."""


def content(case: Case, match: re.Match[str]) -> Answer:
    """What the file is instead of HDF5."""
    if case.probe is None or (case.probe.container is Container.HDF5 and case.model is not None and not case.path.endswith(".keras")):
        return [], "check the path: relative ones depend on the folder that Python was started in"
    return [Evidence("", "content", case.probe.container.value)], f"kmt inspect {case.quoted}"


def without_architecture(case: Case, match: re.Match[str]) -> Answer:
    """That the file holds no architecture."""
    model = case.model
    if model is None or model.architecture is not None:
        return [], f"kmt inspect {case.quoted}"
    items = [
        Evidence("", "architecture", "none in the file"),
        Evidence("", "weights", f"{len(case.weights)}, {model.metadata.get('dialect', '')}"),
    ]
    return items, f"model.load_weights({literal(case.path)})  # of a model that is made by its code"


def another_format(case: Case, match: re.Match[str]) -> Answer:
    """Which format it is, and whether an architecture is in it."""
    model = case.model
    if model is None or model.format not in ("saved-model", "tf-checkpoint", "graph-def"):
        return [], "give it a name that ends in .keras or .h5, as its content is"
    items = [Evidence("", "format", model.format), Evidence("", "architecture", "recovered" if model.architecture else "none in it")]
    like = "" if model.architecture else " --like MODEL_OF_THE_SAME_LAYERS.keras"
    return items, f"kmt convert {case.quoted} {case.output('.keras')}{like}"


def plain_object(case: Case, match: re.Match[str]) -> Answer:
    """Whether the folder holds a Keras model, and what it offers otherwise."""
    model = case.model
    if model is None or model.format != "saved-model":
        return [], f"kmt inspect {case.quoted}"
    if model.architecture is not None:
        return [Evidence("", "architecture", "recovered")], f"kmt convert {case.quoted} {case.output('.keras')}"
    names = [signature.name for signature in model.graph.signatures] if model.graph else []
    items = [Evidence("", "architecture", "none in it"), Evidence("", "signatures", ", ".join(names) or "none")]
    return items, f"f = tf.saved_model.load({literal(case.path)}).signatures[{literal(names[0] if names else 'serving_default')}]; f(INPUT)"


def prefix(case: Case, match: re.Match[str]) -> Answer:
    """The prefix of the checkpoint."""
    from kmodel_tools.doctor.opening import checkpoint_prefix

    prefix = checkpoint_prefix(case)
    items = [] if prefix is None or prefix == case.path else [Evidence("", "prefix", prefix)]
    return items, f"model.load_weights({literal(prefix or 'PREFIX')})"


def not_there(case: Case, match: re.Match[str]) -> Answer:
    """Nothing: the file that was given here is there."""
    return [], f"os.path.exists({literal(case.path)})  # relative paths depend on the folder that Python was started in: os.getcwd()"


def member(case: Case, match: re.Match[str]) -> Answer:
    """What the archive or folder holds instead."""
    from kmodel_tools.doctor.containers import WEIGHTS, infos

    probe = case.probe
    if probe is None or probe.container not in (Container.ZIP, Container.DIRECTORY):
        return content(case, match)
    names = [info.filename for info in infos(probe)] if probe.container is Container.ZIP else sorted(probe.names)
    wanted = match["member"] or WEIGHTS
    if wanted in names:
        return [], f"kmt inspect {case.quoted}"
    items = [Evidence("", "members", ", ".join(names[:6]) + (" …" if len(names) > 6 else ""))]
    return items, "save the model again, or fetch the whole file from where it was saved"


def not_a_saved_model(case: Case, match: re.Match[str]) -> Answer:
    """What was given for the folder of a SavedModel."""
    if case.model is not None and case.model.format == "saved-model":
        return [], f"kmt inspect --verify {case.quoted}"
    if case.model is None:
        return [], f"kmt inspect {case.quoted}"
    whole = case.model.architecture is not None
    cure = f"keras.models.load_model({literal(case.path)})" if whole else f"kmt inspect {case.quoted}"
    return [Evidence("", "format", case.model.format)], cure


def endpoints(case: Case, match: re.Match[str]) -> Answer:
    """The endpoints that a SavedModel has."""
    graph = None if case.model is None else case.model.graph
    names = [signature.name for signature in graph.signatures] if graph is not None else []
    usual = "serving_default" if "serving_default" in names else names[0] if names else "ENDPOINT"
    items = [Evidence("", "signatures", ", ".join(names))] if names else []
    return items, f"keras.layers.TFSMLayer({literal(case.path)}, call_endpoint={literal(usual)})"


def ending(case: Case, match: re.Match[str]) -> Answer:
    """The ending that belongs to the content."""
    known = None if case.model is None else ENDINGS.get(case.model.format)
    if case.model is None or known is None:
        return [], "save it under a name that ends in .keras (whole), or in .weights.h5 (weights alone)"
    if case.path.endswith(known):
        return [], f"kmt inspect {case.quoted}"
    return [Evidence("", "format", case.model.format)], f"mv {case.quoted} {case.output(known)}"
