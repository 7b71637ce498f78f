"""`python -m tests`: everything that has to be clean before a change lands; arguments go to pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (
    ("ruff", "check"),
    ("ruff", "format", "--check", "--quiet"),
    ("mypy",),
)


def main() -> int:
    """Run the checks, then the tests; stop at the first that fails."""
    steps = [[sys.executable, "-m", *step] for step in STEPS]
    steps.append([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"])
    steps.append([sys.executable, "-m", "pytest", "-n", "auto", *sys.argv[1:]])
    for step in steps:
        print("$", " ".join(Path(part).name for part in step), flush=True)  # noqa: T201  # this is a command
        status = subprocess.run(step, cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
