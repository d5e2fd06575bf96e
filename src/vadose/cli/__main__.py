"""Run the command line as ``python -m vadose.cli``."""

from vadose.cli import main

main()
