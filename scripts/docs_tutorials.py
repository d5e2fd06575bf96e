"""Run a tutorial and write down what it showed, as a page.

A tutorial is a Python file in cells, as editors and Jupyter know them: ``# %% [markdown]`` begins words, which
stand behind ``#``, and ``# %%`` begins code. What a cell prints, the value of its last line and the figures
it leaves open stand below it on the page. A cell that fails stops the build and is named.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import os
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What begins a cell.
MARK = "# %%"


@dataclass(frozen=True)
class Cell:
    """Hold a part of a tutorial.

    Attributes
    ----------
    text
        Words in Markdown, or code.
    is_code
        Which of both.
    line
        Where it begins in the file, from 1.
    """

    text: str
    is_code: bool
    line: int


class TutorialFailed(Exception):
    """A cell of a tutorial raised an error."""


def cells(source: str) -> list[Cell]:
    r"""Cut a file into its cells.

    Examples
    --------
    >>> cells("# %% [markdown]\n# # Rain\n# %%\n1 + 1\n")
    [Cell(text='# Rain', is_code=False, line=1), Cell(text='1 + 1', is_code=True, line=3)]
    """
    found: list[tuple[int, bool, list[str]]] = []
    for number, line in enumerate(source.splitlines(), start=1):
        if line.startswith(MARK):
            found.append((number, "[markdown]" not in line, []))
        elif found:
            found[-1][2].append(line)
        elif line.strip():
            raise TutorialFailed(f"line {number}: found {line!r}, expected {MARK} first")
    return [
        Cell("\n".join(lines if is_code else map(_uncommented, lines)).strip("\n"), is_code, number)
        for number, is_code, lines in found
    ]


def _uncommented(line: str) -> str:
    return line.removeprefix("#").removeprefix(" ")


def make_page(path: Path, pictures: Path) -> str:
    """Run a tutorial in an empty folder and give its page.

    Parameters
    ----------
    path
        The tutorial.
    pictures
        Folder for its figures, made if there are any; its name is how the page refers to them.

    Raises
    ------
    TutorialFailed
        Names the cell and what it raised.
    """
    path, pictures = path.resolve(), pictures.resolve()
    space: dict[str, Any] = {"__name__": "__main__"}
    parts = []
    with tempfile.TemporaryDirectory() as empty, _within(Path(empty)):
        for number, cell in enumerate(cells(path.read_text(encoding="utf-8"))):
            if not cell.is_code:
                parts.append(cell.text)
                continue
            try:
                shown = _run(cell, space, path)
            except Exception as error:
                raise TutorialFailed(
                    f"{path.name}, cell at line {cell.line}: {type(error).__name__}: {error}"
                ) from error
            parts += [f"```python\n{cell.text}\n```", *shown, *_figures(pictures, number)]
    parts.append(
        f'!!! note "Run it yourself"\n    What stands on this page is what [`{path.name}`]({path.name}) showed when '
        "the page was built."
    )
    return "\n\n".join(parts) + "\n"


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _run(cell: Cell, space: dict[str, Any], path: Path) -> list[str]:
    """Run a cell; give what it printed and the value of its last line, ready for the page."""
    tree = ast.parse("\n" * cell.line + cell.text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, path.name, "exec"), space)  # noqa: S102 - our own tutorial
        if last is not None:
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), space)  # noqa: S307
    shown = [_as_text(printed.getvalue())] if printed.getvalue().strip() else []
    if value is None or type(value).__module__.startswith("matplotlib"):
        return shown
    return [*shown, _as_shown(value)]


def _as_shown(value: Any) -> str:
    """Show a value as a notebook does; cubes as text, since their tables need scripts of their own."""
    is_cube = type(value).__module__.startswith("xarray")
    if not is_cube and hasattr(value, "_repr_html_"):
        table = "".join(line.strip() for line in value._repr_html_().splitlines())
        return f'<div class="shown" markdown="0">{table}</div>'
    return _as_text(repr(value))


def _as_text(words: str) -> str:
    lines = textwrap.dedent(words.strip("\n"))
    kind = "shown" if "\n" in lines else "shown sentence"
    return f'<pre class="{kind}"><code>{html.escape(lines)}</code></pre>'


def _figures(pictures: Path, cell: int) -> list[str]:
    """Save the figures that are open, and close them."""
    import matplotlib.pyplot as plt

    shown = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        name = f"{cell:02d}_{number}.png"
        pictures.mkdir(parents=True, exist_ok=True)
        figure.savefig(pictures / name, dpi=110, bbox_inches="tight", metadata={"Software": None})
        words = figure.get_suptitle() or "; ".join(axes.get_title() for axes in figure.axes)
        shown.append(f"![{words.strip('; ')}]({pictures.name}/{name})")
        plt.close(figure)
    return shown
