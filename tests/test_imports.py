"""What a command loads: promises about a quick start, kept in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import SAMPLES, sample_files

FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch", "jax"}


PROLOGUE = "import io, json, sys\nout, sys.stdout = sys.stdout, io.StringIO()\n"
EPILOGUE = "\nprint(json.dumps(sorted(sys.modules)), file=out)"


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running some code: of ours in full, of others the top level."""
    done = subprocess.run([sys.executable, "-c", PROLOGUE + code + EPILOGUE], capture_output=True, text=True, check=True)
    names = json.loads(done.stdout)
    return {name if name.startswith("kmodel_tools") else name.partition(".")[0] for name in names}


def command(*arguments: str) -> set[str]:
    return loaded(f"from kmodel_tools.cli import main\nassert main({list(arguments)!r}) == 0")


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import kmodel_tools") & {"numpy", "h5py", "click", "tabulate", *FRAMEWORKS}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_neither_numpy_nor_h5py(option: str) -> None:
    assert not command(option) & {"numpy", "h5py", "tabulate", *FRAMEWORKS}


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_inspecting_loads_no_framework(path: object) -> None:
    modules = command("inspect", str(path))
    assert not modules & FRAMEWORKS
    if any(folder in str(path) for folder in ("tf_checkpoint", "saved_model", "graph_def", "safetensors")):
        assert not modules & {"h5py", "numpy"}


def test_comparing_loads_no_framework() -> None:
    first, second = SAMPLES / "keras_h5" / "keras-3.15.1.h5", SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
    assert not command("diff", str(first), str(second)) & FRAMEWORKS


def test_only_the_modules_of_the_formats_in_question_are_loaded() -> None:
    modules = loaded(f"import kmodel_tools\nkmodel_tools.read({str(SAMPLES / 'keras_h5' / 'keras-2.3.1.h5')!r})")
    assert "kmodel_tools.formats.keras_h5" in modules
    assert not modules & {"kmodel_tools.formats.tf_checkpoint", "kmodel_tools.formats.keras_archive"}


@pytest.mark.parametrize("sample", ["keras_h5/keras-2.3.1.h5", "keras_archive/keras-3.15.1.keras", "tf_checkpoint/keras-3.15.1"])
def test_inspecting_loads_nothing_that_compares_upgrades_or_writes(sample: str) -> None:
    modules = command("inspect", str(SAMPLES / sample))
    others = (
        "differ",
        "matcher",
        "converter",
        "upgrader",
        "digester",
        "architecture.upgrade",
        "storage.hdf5_writer",
        "storage.bundle_writer",
    )
    assert not modules & {f"kmodel_tools.{name}" for name in others}


def test_the_format_to_be_written_is_told_before_any_other_is_loaded() -> None:
    modules = loaded("from kmodel_tools.formats import writable_format\nassert writable_format('a.weights.h5').name == 'keras-weights'")
    ours = {name for name in modules if name.startswith("kmodel_tools.formats.") and "_shared" not in name}
    assert ours == {"kmodel_tools.formats.keras_h5", "kmodel_tools.formats.keras_weights"}
