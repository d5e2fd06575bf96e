"""Put everything that the documentation is made of into one folder: run from the root of the repository.

    python scripts/docs_pages.py build/docs

Pages of ``docs/`` are copied; formulas become MathML, which browsers set without scripts or fonts from
elsewhere; files of the repository that a page links to become pages of their own; tutorials are run, two at a
time; and every public package gets a page of reference. What stands there is plain Markdown, so that any maker
of sites can go on from it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pkgutil
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from docs_tutorials import make_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Public packages, from what a user meets first to what lies below.
PACKAGES = {
    "pipeline": "the verbs",
    "config": "recipes",
    "products": "data sources",
    "cubes": "onto one grid",
    "samples": "what models learn from",
    "models": "arrays in, arrays out",
    "downscale": "from coarse to fine",
    "fuse": "satellite and land model",
    "correct": "with stations",
    "validate": "scores and gains",
    "uncertainty": "intervals and errors",
    "report": "one page for a run",
    "publish": "files that others open",
    "serve": "the map",
    "synthetic": "a world with known truth",
    "store": "to and from disk",
    "grids": "where cells lie",
    "schema": "names, units and checks",
    "errors": "what went wrong",
}
#: How a file is shown, by its ending.
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".sh": "sh", ".cff": "yaml"}
_FENCE = re.compile(r"^(```+|~~~+)(\w*)[^\n]*\n(.*?)^\1\s*?$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\$`(.+?)`\$")
_LINK = re.compile(r"(?<!\\)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def main() -> None:
    """Make the folder anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder; what is in it is removed")
    parser.add_argument("--no-tutorials", action="store_true", help="leave tutorials out")
    options = parser.parse_args()
    out: Path = options.out
    if out.exists():
        shutil.rmtree(out)
    copy_pages(out)
    for name, words in PACKAGES.items():
        write(out / f"reference/{name}.md", reference(name, words))
    if not options.no_tutorials:
        run_tutorials(sorted((DOCS / "tutorials").glob("[0-9]*.py")), out / "tutorials")


def write(path: Path, text: str) -> None:
    """Write a file, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copy_pages(out: Path) -> None:
    """Copy pages with formulas set and links to the repository led to pages; other files as they are."""
    for path in sorted(DOCS.rglob("*")):
        place = path.relative_to(DOCS)
        if path.is_dir() or "__pycache__" in place.parts:
            continue
        if path.suffix == ".md":
            text = with_formulas(path.read_text(encoding="utf-8"))
            text, linked = with_links(text, path)
            write(out / place, text)
            for file in linked:
                write(out / f"files/{file}.md", file_page(file))
        else:
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / place)
    changes = ROOT / "CHANGELOG.md"
    text, linked = with_links(changes.read_text(encoding="utf-8"), changes)
    write(out / "changelog.md", text)
    for file in linked:
        write(out / f"files/{file}.md", file_page(file))


def with_formulas(text: str) -> str:
    """Set formulas, written as on GitHub: fences named ``math``, and ``$`…`$`` in a line.

    Examples
    --------
    >>> with_formulas("of $`x`$, not `x`").count("<math")
    1
    """
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts.append(_INLINE.sub(lambda found: formula(found[1]), text[end : fence.start()]))
        if fence[2] == "math":
            parts.append(f'<div class="formula">{formula(fence[3].strip(), is_block=True)}</div>')
        else:
            parts.append(fence[0])
        end = fence.end()
    parts.append(_INLINE.sub(lambda found: formula(found[1]), text[end:]))
    return "".join(parts)


def formula(latex: str, *, is_block: bool = False) -> str:
    """Turn LaTeX into MathML, with nothing in it that Markdown would take for its own.

    Raises
    ------
    SystemExit
        A command that was not understood, which would stand in the page as it is.
    """
    from latex2mathml.converter import convert

    made: str = convert(latex, display="block" if is_block else "inline")
    if "\\" in made or "<mi>&</mi>" in made:
        sys.exit(f"formula {latex!r}: found what latex2mathml does not know; write it otherwise")
    safe = made.replace("*", "&#42;").replace("_", "&#95;").replace("\n", " ")
    # at the beginning of a line Markdown would take math for a block of its own
    return safe if is_block else f"<span>{safe}</span>"


def with_links(text: str, page: Path) -> tuple[str, list[str]]:
    """Lead links that leave ``docs/`` to pages made of those files; give these files too.

    Pages from elsewhere in the repository come to lie beside those of ``docs/``.

    Raises
    ------
    SystemExit
        A link to a file that is not there.
    """
    linked: list[str] = []

    def lead(found: re.Match[str]) -> str:
        target = (page.parent / found[1]).resolve()
        if target.is_relative_to(DOCS) and page.is_relative_to(DOCS):
            return found[0]
        if not target.is_file():
            sys.exit(f"{page}: link to {found[1]}, where no file is")
        name = target.relative_to(ROOT).as_posix()
        here = page.parent.relative_to(DOCS) if page.is_relative_to(DOCS) else Path()
        if target.is_relative_to(DOCS):
            return f"]({target.relative_to(DOCS).as_posix()}{found[2] or ''})"
        if name == "CHANGELOG.md":
            return f"]({os.path.relpath('changelog.md', here)})"
        linked.append(name)
        return f"]({os.path.relpath(f'files/{name}.md', here)})"

    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(lead, text[end : fence.start()]), fence[0]]
        end = fence.end()
    parts.append(_LINK.sub(lead, text[end:]))
    return "".join(parts), linked


def file_page(name: str) -> str:
    """Show a file of the repository."""
    path = ROOT / name
    text = path.read_text(encoding="utf-8").rstrip("\n")
    return f"# {path.name}\n\n`{name}`\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n````\n"


def reference(package: str, words: str) -> str:
    """Write the page that the reference of a package is filled into: all its public modules."""
    import vadose

    root = Path(vadose.__file__).parent / package
    modules = (
        sorted(
            one.name
            for one in pkgutil.walk_packages([str(root)], prefix=f"vadose.{package}.")
            if not any(part.startswith("_") for part in one.name.split("."))
        )
        if root.is_dir()
        else []
    )
    lines = [f"# vadose.{package}: {words}", "", f"::: vadose.{package}", ""]
    for module in modules:
        lines += [f"## {module.removeprefix('vadose.')}", "", f"::: {module}", ""]
    return "\n".join(lines)


def run_tutorials(paths: list[Path], out: Path) -> None:
    """Run tutorials two at a time and write their pages; say what each took."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        at_work = {pool.submit(run_one, path, out): path for path in paths}
        for done in as_completed(at_work):
            print(f"{at_work[done].name:<22}{done.result():6.1f} s", flush=True)


def run_one(path: Path, out: Path) -> float:
    """Run a tutorial and write its page; give the seconds that it took."""
    import matplotlib as mpl

    mpl.use("Agg")
    started = time.perf_counter()
    page = make_page(path, out.resolve() / path.stem)
    write(out / f"{path.stem}.md", page)
    return time.perf_counter() - started


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
