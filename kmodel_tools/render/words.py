"""Small pieces of text that every rendering shares."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.custom_objects import CustomObject

WIDTH = 80
"""Columns of text that does not go to a terminal."""
LONGEST_SETTING = 60
"""Characters of a setting that are shown; bytecode and vocabularies are longer."""
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(text: str) -> str:
    r"""A name from a file, safe for a terminal: control, bidirectional and unassigned characters become \x.. or \u...."""
    return "".join(_escaped(character) if unicodedata.category(character)[0] == "C" else character for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def byte_size(count: int) -> str:
    """A number of bytes for people: `1 byte`, `4.8 KiB`."""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    size = float(count)
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            return f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit always returns")


def progress_text(done: int, total: int, seconds: float) -> str:
    """How far something is, and how long the rest will take at the same speed: ` 43 %  440.0 MiB of 1.0 GiB, 3 s left`.

    Args:
        done: Bytes that are done.
        total: All of them.
        seconds: How long that took; nothing is told of the rest in the first second.
    """
    text = f"{100 * done // max(1, total):3d} %  {byte_size(done)} of {byte_size(total)}"
    if seconds < 1 or not done or done >= total:
        return text
    left = round(seconds * (total - done) / done)
    return f"{text}, {left // 60} min {left % 60} s left" if left >= 60 else f"{text}, {left} s left"


def counted(count: int, noun: str) -> str:
    """`1 layer`, `1,234 layers`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Keras prints it: `(3, 3, 3, 32)`, `()` for a scalar."""
    return f"({', '.join(str(size) for size in shape)}{',' if len(shape) == 1 else ''})"


def number(value: float | None) -> str:
    """A statistic in at most ten characters."""
    return "" if value is None else f"{value:.4g}"


def trainable_text(flag: bool | None) -> str:
    """`yes`, `no`, or nothing where the file does not say."""
    return {True: "yes", False: "no", None: ""}[flag]


def compiled_text(config: Mapping[str, Any] | None) -> str | None:
    """What a training configuration comes to: `Adam, loss mse, metrics accuracy`."""
    if not config:
        return None
    optimizer = config.get("optimizer_config", config.get("optimizer"))
    name = plain_class(optimizer.get("class_name")) if isinstance(optimizer, Mapping) else optimizer
    parts = [name] if isinstance(name, str) and name else []
    parts += [f"{key} {names}" for key in ("loss", "metrics") if (names := _names_in(config.get(key)))]
    return ", ".join(parts) or None


def custom_text(item: CustomObject, shown: int) -> str:
    """Something that Keras does not have, and the layers that use it."""
    where = f", used by {', '.join(item.used_by[:shown])}" + (" …" if len(item.used_by) > shown else "") if item.used_by else ""
    return ("Lambda with Python bytecode" if item.kind == "lambda" else f"{item.kind} {item.name}") + where


def settings_text(config: Mapping[str, Any]) -> str:
    """A layer's configuration on one line, without what is not set: `units 3, activation relu, kernel_initializer Zeros`."""
    return ", ".join(f"{key} {setting_text(value)}" for key, value in config.items() if value is not None and key != "name")


def setting_text(value: Any) -> str:
    """One setting for people: an object by its class and what is set in it, a policy by its name."""
    if isinstance(value, Mapping):
        kind = value.get("class_name")
        if kind is None:
            return "{" + ", ".join(f"{key} {setting_text(item)}" for key, item in value.items() if item is not None) + "}"
        inner = value.get("config")
        if kind == "DTypePolicy" and isinstance(inner, Mapping):
            return str(inner.get("name"))
        if not isinstance(inner, Mapping):
            return str(kind)
        if isinstance(inner.get("name"), str):  # a layer inside of a wrapper: it has a row of its own
            return f"{kind} {inner['name']}"
        text = ", ".join(f"{key} {setting_text(item)}" for key, item in inner.items() if item is not None)
        return f"{kind}({text})" if text else str(kind)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(setting_text(item) for item in value) + "]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST_SETTING else f"{text[:LONGEST_SETTING]}…"


def plain_class(name: Any) -> str | None:
    """A class name without the prefix that Keras 2.11 and later give to their own optimizers: `Custom>Adam`."""
    return name.removeprefix("Custom>") if isinstance(name, str) else None


def _names_in(value: Any) -> str:
    """The names in a loss or metrics entry: a string, an object, or lists and dictionaries of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if "class_name" in value:
            inner = value.get("config")
            if value["class_name"] == "function" and isinstance(inner, str):
                return inner
            wrapped = inner.get("fn", inner.get("name")) if isinstance(inner, Mapping) else None
            return _names_in(wrapped) or str(value["class_name"])
        found = [_names_in(item) for item in value.values()]
    elif isinstance(value, (list, tuple)):
        found = [_names_in(item) for item in value]
    else:
        return ""
    return ", ".join(dict.fromkeys(name for name in found if name))
