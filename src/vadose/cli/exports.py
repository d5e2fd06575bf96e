"""What ``vadose export`` does and shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vadose.cli.show import bar

if TYPE_CHECKING:
    from vadose.publish import Verdict

#: Exit code where a validator finds a fault.
FAULTY = 3


def export_and_check(
    run: Path, out: Path | None, *, about: Path | None, is_checked: bool, overwrite: bool
) -> None:
    """Export a run, unless only an export that is there is to be checked."""
    from vadose import pipeline
    from vadose.pipeline.exporting import EXPORT, is_export

    folder = run if is_export(run) else run / EXPORT if out is None else out
    if overwrite or not (is_checked and is_export(folder)):
        folder = pipeline.export(run, out, about=about, overwrite=overwrite, progress=bar)
        typer.echo(f"Export: {folder}")
    if not is_checked:
        typer.echo(f"Next: vadose export {folder} --check")
        return
    verdicts = pipeline.check_export(folder, progress=bar)
    show_verdicts(verdicts)
    if not all(one.passed for one in verdicts):
        raise typer.Exit(FAULTY)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Show what each validator says."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("what", no_wrap=True)
    table.add_column("validator", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("of what, or what is wrong", overflow="fold")
    for one in verdicts:
        word = "passes" if one.passed else "FAILS"
        table.add_row(one.what, one.by, word, one.detail, style="" if one.passed else "red")
    Console().print(table)
    passed = sum(one.passed for one in verdicts)
    typer.echo(f"{passed} of {len(verdicts)} validators pass.")
