"""A layer as somebody writes it on a command line: JSON, or a call with literals. Nothing is evaluated but literals.

::

    {"class_name": "Rescaling", "config": {"scale": 0.5}}
    Rescaling(scale=0.5)
    keras.layers.Reshape(target_shape=(7, 7, 256))
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.upgrade.accepted import accepted
from kmodel_tools.architecture.upgrade.objects import spelled

LONGEST = 1_000_000
"""Characters of a description; no layer is longer, and parsing takes memory."""
LAYERS = "keras.layers"
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Rescaling": {"offset": 0.0},
    "Discretization": {"bin_boundaries": None},
    "TextVectorization": {"standardize": "lower_and_strip_punctuation", "split": "whitespace", "ngrams": None},
}
"""What classes want in a configuration though their constructors do without (Keras 3.15.1, `from_config` of each)."""


def layer_from_text(text: str) -> dict[str, Any]:
    """The layer of Keras 3 that a text describes, as archives hold it.

    Raises:
        ConfigError: It is no such text, or the class does not take these arguments.
    """
    if len(text) > LONGEST:
        raise ConfigError("the description of a layer is longer than 1 MB")
    return checked_layer(_json(text) if text.lstrip().startswith("{") else _call(text))


def checked_layer(node: Any) -> dict[str, Any]:
    """A layer of Keras 3 from `{"class_name": …, "config": {…}}`; a class that is not Keras's is somebody's own.

    Raises:
        ConfigError: It is none, or the class does not take these arguments.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("class_name"), str):
        raise ConfigError('a layer is {"class_name": "Rescaling", "config": {"scale": 0.5}} or Rescaling(scale=0.5)')
    kind, config = node["class_name"], node.get("config", {})
    if not isinstance(config, Mapping):
        raise ConfigError(f"the arguments of {kind} are not an object")
    registered, module = node.get("registered_name"), node.get("module")
    if isinstance(registered, str) and not str(module or "").startswith("keras"):
        return spelled(None, kind.rpartition(">")[2], dict(config), registered)
    known = accepted().get(kind)
    if known is None and (is_builtin(kind) or module == LAYERS):
        raise ConfigError(f"{kind} is no layer of Keras 3 that can be put in the place of another")
    if known is None:
        return spelled(None, kind.rpartition(">")[2], dict(config), kind)
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            raise ConfigError(f"{kind} has no argument {key!r}" + (f"; nearest: {', '.join(near)}" if near else ""))
    return spelled(LAYERS, kind, {**DEFAULTS.get(kind, {}), **config})


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the description of a layer is no JSON: {error}") from error


def _call(text: str) -> dict[str, Any]:
    """`Name(argument=literal, …)`: the name may have a module before it, which is not looked at."""
    usage = f"{text[:60]!r} is no layer; write it as Rescaling(scale=0.5), with a name and a literal for each argument"
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, (ast.Name, ast.Attribute)):
            call = ast.Call(call, [], [])
        if not isinstance(call, ast.Call) or call.args:
            raise ConfigError(usage)
        arguments = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                raise ConfigError(usage)
            arguments[keyword.arg] = _plain(ast.literal_eval(keyword.value))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(usage) from error
    named = call.func
    name = named.attr if isinstance(named, ast.Attribute) else named.id if isinstance(named, ast.Name) else None
    if name is None:
        raise ConfigError(usage)
    return {"class_name": name, "config": arguments}


def _plain(value: Any) -> Any:
    """A literal of Python as JSON has it.

    Raises:
        ValueError: JSON has no such thing: bytes, a set, a complex number.
    """
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(type(value).__name__)
