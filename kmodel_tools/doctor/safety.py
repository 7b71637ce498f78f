"""Is it safe: what a configuration or a graph would make Keras or TensorFlow do. Nothing is imported, decoded or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.operations import CODE, CUSTOM, FILES, PRINTS, noteworthy
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, evidence, literal
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.format import parse_json
from kmodel_tools.tree import join_path

Place = tuple[str, str, Any]
"""Layer, key and value of a place in a configuration."""

DISTRUST = "do not load it; have a look where the file comes from"

_GADGETS = """
    get_file enable_unsafe_deserialization load_model save_model load_weights save_weights model_from_json model_from_yaml
    deserialize_keras_object load_img save_img image_dataset_from_directory text_dataset_from_directory audio_dataset_from_directory
    clear_session load_op_library eval exec compile execfile __import__ import_module system popen spawn check_output check_call
    Popen run_path run_module runsource read_text urlopen urlretrieve open_file py_function numpy_function pickle unpickle
"""
GADGETS = frozenset(_GADGETS.split())
"""Functions that no model consists of; those of Keras are in `NON_MODELING_APIS` of Keras 3.15.1 `serialization_lib.py`."""
_MODULES = """
    os posix nt ntpath posixpath subprocess sys shutil pathlib tempfile glob io socket ssl http urllib ftplib smtplib requests webbrowser
    pickle _pickle cPickle dill cloudpickle joblib marshal shelve ctypes cffi importlib imp runpy pkgutil code codeop pty commands
    multiprocessing threading asyncio signal inspect types operator functools timeit pdb bdb trace profile cProfile platform zipfile tarfile
    ast builtins __builtin__ gc sqlite3 torch
"""
GADGET_MODULES = frozenset(_MODULES.split())
"""Modules of Python, and pickling ones, that no class of a model comes from."""
OF_MODULE_ONLY = frozenset({"open", "run", "call", "input", "getattr", "setattr", "load", "print", "breakpoint"})
"""Gadgets when they come from `builtins` or a module in `GADGET_MODULES`; of one's own, harmless names."""
ARRAYS = frozenset({"numpy", "scipy", "pandas"})
OF_ARRAYS = frozenset({"load", "fromfile", "loadtxt", "genfromtxt", "memmap", "save", "savetxt"})
"""Packages of arrays, and their functions that read and write files, pickles too."""
KERAS = frozenset({"keras", "tf_keras", "tensorflow", "keras_hub", "keras_nlp", "keras_cv", "keras_tuner", "tensorflow_addons"})
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
OF_LAMBDA = ("function", "output_shape", "mask")


def configurations(case: Case) -> Iterator[tuple[str, Any]]:
    """The configurations of a file, each with what it is called; also of a file that does not open."""
    if case.model is not None:
        compiled, whole = case.model.training_config, case.model.architecture
        told = isinstance(whole, Mapping) and whole.get("compile_config") == compiled  # archives hold it in the configuration of the model
        yield "architecture", {key: value for key, value in (whole or {}).items() if key != "compile_config"} if told else whole
        yield "compile", compiled
        yield from case.objects
    else:
        yield from case.remains


def places(node: Any, key: str = "") -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every mapping of a configuration, with the name of the layer around it and the key that it stands under."""
    stack: list[tuple[Any, str, str]] = [(node, "", key)]
    while stack:
        item, layer, under = stack.pop()
        if isinstance(item, list):
            stack.extend((element, layer, under) for element in reversed(item))
        elif isinstance(item, Mapping):
            here = _layer_name(item) or layer
            yield here, under, item
            stack.extend((value, here, str(name)) for name, value in reversed(list(item.items())))
        elif isinstance(item, str) and (inner := _written_out(item)) is not None:
            stack.append((inner, layer, under))


def _written_out(text: str) -> Any:
    """A configuration in a string, as classes of somebody's own keep a model's `to_json()`."""
    if '"class_name"' not in text or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return parse_json(text, "")
    except CorruptFileError:
        return None


def _layer_name(item: Mapping[str, Any]) -> str | None:
    inner = item.get("config")
    kind = item.get("class_name")
    if isinstance(kind, str) and "inbound_nodes" in item and isinstance(item.get("name"), str) and not isinstance(inner, Mapping):
        return str(item["name"])
    if not isinstance(kind, str) or not isinstance(inner, Mapping) or isinstance(inner.get("layers"), list):
        return None
    name = inner.get("name") or item.get("name")
    return name if isinstance(name, str) else None


def lambdas(case: Case) -> Iterator[Finding]:
    """Bytecode of Python functions, at any depth."""
    found: list[Place] = []
    sources: set[str] = set()
    for source, config in configurations(case):
        for layer, key, item in places(config):
            held = [(layer, name, text) for name, text in _bytecode(layer, key, item)]
            found += held
            sources |= {source} if held else set()
    if not found:
        return
    names = [layer for layer, _, _ in found if layer]
    name = next((join_path(path) for path, spec in case.layers if spec.name in names and spec.class_name == "Lambda"), None)
    if name is not None:
        cure = f"{case.carried('_without_lambda')} --replace-layer {_quoted(f'{name}=Rescaling(scale=1.0)')}"
        yield finding("lambda-bytecode", evidence(found), cure, detail=EXAMPLE)
    elif sources == {"compile"}:
        yield finding("lambda-bytecode", evidence(found), case.uncompiled)
    else:
        yield finding("lambda-bytecode", evidence(found), "do not load it; build the model with your code, and load its weights alone")


EXAMPLE = "The layer in the cure is an example: put what the lambda did in its place."


def _bytecode(layer: str, key: str, item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    inner = item.get("config")
    kind = item.get("class_name")
    if kind == "__lambda__":
        code = inner.get("code") if isinstance(inner, Mapping) else inner
        closed = isinstance(inner, Mapping) and inner.get("closure")
        yield key or "function", f"marshalled code, {len(str(code))} characters{', with a closure' if closed else ''}"
    if not isinstance(kind, str) or kind.rpartition(">")[2] != "Lambda" or not isinstance(inner, Mapping):
        return
    for name in OF_LAMBDA:
        function, how = inner.get(name), inner.get(f"{name}_type")
        listed = isinstance(function, list) and bool(function) and isinstance(function[0], str) and how in (None, "lambda")
        if listed and (name == "function" or how == "lambda"):
            closed = isinstance(function, list) and len(function) > 2 and bool(function[2])
            yield name, f"marshalled code, {len(function[0])} characters{', with a closure' if closed else ''}"  # type: ignore[index]
        elif isinstance(function, str) and how == "lambda":
            yield name, f"marshalled code, {len(function)} characters"


def gadgets(case: Case) -> Iterator[Finding]:
    """Functions and modules that no model consists of."""
    found: list[Place] = []
    for _, config in configurations(case):
        for layer, key, item in places(config):
            if (name := _gadget(item)) is not None:
                found.append((layer, key or "class_name", name))
    if found:
        yield finding("gadget", evidence(found), DISTRUST)


def _gadget(item: Mapping[str, Any]) -> str | None:
    module = item.get("module") if isinstance(item.get("module"), str) else ""
    top = str(module).partition(".")[0]
    kind, inner = item.get("class_name"), item.get("config")
    function = inner if kind == "function" and isinstance(inner, str) else item.get("function_name")
    named = [name for name in (kind, function) if isinstance(name, str) and name != "function"]
    if "class_name" not in item and not ("module" in item and "config" in item):
        return None
    for name in named:
        last = name.rpartition(".")[2].rpartition(">")[2]
        where = name.rpartition(".")[0].partition(".")[0] or top
        outside = where in GADGET_MODULES and where not in ("builtins", "torch") and not name.startswith("__")
        if last in GADGETS or outside or (where in GADGET_MODULES and last in OF_MODULE_ONLY) or (where in ARRAYS and last in OF_ARRAYS):
            return f"{module}.{name}" if module else name
    return None


def modules(case: Case) -> Iterator[Finding]:
    """Modules outside Keras that somebody's own classes come from."""
    found: list[Place] = []
    for _, config in configurations(case):
        for layer, key, item in places(config):
            module = item.get("module")
            if not isinstance(module, str) or "class_name" not in item or _gadget(item) is not None:
                continue
            if module.partition(".")[0] in KERAS or module in ("builtins", "__main__"):
                continue
            inner = item.get("config")
            name = inner if item["class_name"] == "function" and isinstance(inner, str) else item["class_name"]
            found.append((layer, key, f"{module}.{name}"))
        found += [(layer, "module", item["module"]) for layer, item in _lambda_modules(config)]
    if found:
        names = sorted({str(value).partition(".")[0] for _, _, value in found})
        yield finding("module-outside-keras", evidence(found), f"look at, and then import yourself before loading: {', '.join(names)}")


def _lambda_modules(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Layers Lambda of Keras 2 with a function by name, which say the module that it was made in."""
    for layer, _, item in places(config):
        module = item.get("module")
        is_lambda = "function_type" in item and isinstance(module, str) and "class_name" not in item
        if is_lambda and str(module).partition(".")[0] not in KERAS | {"builtins", "__main__"}:
            yield layer, item


def layers_that_load(case: Case) -> Iterator[Finding]:
    """Layers that bring something from outside: TFSMLayer, TorchModuleWrapper, vocabularies by path."""
    models: list[Place] = []
    torches: list[Place] = []
    vocabularies: list[Place] = []
    for _, config in configurations(case):
        for layer, _, item in places(config):
            kind, inner = item.get("class_name"), item.get("config")
            plain = kind.rpartition(">")[2] if isinstance(kind, str) else ""
            settings = inner if isinstance(inner, Mapping) else {}
            if plain == "TFSMLayer":
                models.append((layer, "filepath", settings.get("filepath", "")))
            elif plain == "TorchModuleWrapper":
                torches.append((layer, "module", f"{len(str(settings.get('module', '')))} characters"))
            elif plain in LOOKUPS and isinstance(settings.get("vocabulary"), str) and settings["vocabulary"]:
                vocabularies.append((layer, "vocabulary", settings["vocabulary"]))
    if models:
        yield finding("saved-model-layer", evidence(models), f"kmt doctor {_quoted(models[0][2])}")
    if torches:
        yield finding("torch-module", evidence(torches), DISTRUST)
    if vocabularies:
        hostile = any(_leads_away(str(value)) for _, _, value in vocabularies)
        cure = f"model.get_layer({literal(vocabularies[0][0])}).set_vocabulary(WORDS)  # before saving, so that the words are in the file"
        yield finding("vocabulary-path", evidence(vocabularies), cure, severity="error" if hostile else None)


def _quoted(value: Any) -> str:
    import shlex

    return shlex.quote(str(value))


def _leads_away(path: str) -> bool:
    """Whether a path is absolute, an address, or climbs out of its folder."""
    return path.startswith(("/", "\\", "~")) or "://" in path or path[1:2] == ":" or ".." in path.replace("\\", "/").split("/")


def operations(case: Case) -> Iterator[Finding]:
    """Operations of a graph that reach out of it, or are none of TensorFlow's."""
    graph = None if case.model is None else case.model.graph
    if graph is None:
        return
    try:
        counts = graph.source.operations().counts
    except CorruptFileError:
        return
    found = noteworthy(counts)
    reaching = [Evidence("", name, f"{counts[name]} times: {what}") for name, what in found.items() if what != CUSTOM]
    grave = any(what == CODE or (what == FILES and not name.startswith(TABLES)) for name, what in found.items())
    if reaching:
        prints = any(found[item.key] == PRINTS for item in reaching)
        severity = "error" if grave else "warning" if prints else "note"
        yield finding("dangerous-operation", reaching, "load it in a sandbox, or not at all", severity=severity, detail=_of_tables(grave))
    own = [Evidence("", name, f"{counts[name]} times") for name, what in found.items() if what == CUSTOM]
    if own:
        yield finding("custom-operation", own, "tf.load_op_library('LIBRARY.so')  # or import the package that has the operation")


TABLES = "InitializeTableFromTextFile"


def _of_tables(grave: bool) -> str:
    return "" if grave else "Tables that are filled from the files in the model's own assets are usual in models with a vocabulary."


CHECKS = (gadgets, lambdas, layers_that_load, operations, modules)
