"""Where the samples and, where they are there, the shared models lie."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_models"
SHARED = ROOT.parent / "shared"
CORPUS = SHARED / "corpus"
ERAS = SHARED / "eras"


def sample_files() -> list[Path]:
    """One path for each sample model, as a user would name it."""
    found = [
        *(SAMPLES / "keras_h5").glob("*.h5"),
        *(
            path
            for path in (SAMPLES / "keras_weights").glob("*.weights.*")
            if not path.name.startswith("sharded_") and path.suffix != ".txt"
        ),
        *(path for path in (SAMPLES / "keras_archive").iterdir() if path.suffix == ".keras" or path.is_dir()),
        *(path.with_suffix("") for path in (SAMPLES / "tf_checkpoint").glob("*.index")),
        *(SAMPLES / "tf_checkpoint").glob("*.ckpt"),
        *(path for path in (SAMPLES / "saved_model").iterdir() if path.is_dir()),
        *(path for path in (SAMPLES / "graph_def").iterdir() if path.suffix in (".pb", ".pbtxt")),
        *(path for path in (SAMPLES / "keras_json").iterdir() if path.suffix in (".json", ".yaml")),
        *(SAMPLES / "npz").glob("*.npz"),
        *(SAMPLES / "tfjs_layers").glob("*.json"),
        *(path for path in (SAMPLES / "safetensors").glob("*.safetensors*") if "-of-" not in path.name and path.suffix != ".txt"),
    ]
    return sorted(found)
