"""`python -m kmodel_tools`."""

from kmodel_tools.cli import run

run()
