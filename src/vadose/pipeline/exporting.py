"""The verb that exports: the published product of a run, or a fused record, as archives and others want it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadose.config import parse_recipe
from vadose.config.fusion import parse_fusion
from vadose.config.reading import checked, read_text
from vadose.errors import FileProblem, RunProblem
from vadose.pipeline.folder import RunFolder
from vadose.store import open_cube, open_windows, owned, partials, replaced

if TYPE_CHECKING:
    from vadose.publish import About, Publication, Verdict

#: Folder of an export in that of its run, unless another is named.
EXPORT = "export"
#: What may be exported, by the begin of the files' names.
PRODUCTS = ("product", "product_corrected", "fused")
#: In an unfinished export: digest of what is exported, so that only the same goes on.
KEY = ".vadose.export.json"

_HALF = re.compile(r"\..+\.(partial|previous)-[0-9a-f]{8}")

Step = Callable[..., None]


def is_export(path: Path) -> bool:
    """Tell whether a folder is a finished export."""
    return (path / "collection.json").is_file() and (path / "CHECKSUMS.sha256").is_file()


def export_run(
    path: Path,
    out: Path,
    *,
    about: Path | None = None,
    overwrite: bool = False,
    step: Step = lambda *_: None,
) -> Path:
    """Export a run, or go on with an export that was stopped.

    Parameters
    ----------
    path
        Folder of a run whose product is written, or of a fusion.
    out
        Folder of the export. Until it is complete it has a hidden name beside it.
    about
        YAML that says who publishes, see `vadose.publish.About`.
    overwrite
        Replace an export that is there, once the new one is complete.
    step
        Told steps done, in all, and a word.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    RunProblem, FileProblem
        No product, or a folder that is taken.
    RecipeProblem
        What `about` says cannot be understood.
    """
    from vadose.publish import (
        write_cf_months,
        write_checksums,
        write_days,
        write_geozarr,
        write_papers,
        write_stac,
    )

    stems, publication = looked_at(path, out, about=about, overwrite=overwrite)
    work = out.with_name(f".{out.name}.unfinished")
    _begin(work, _key(path, stems, publication.about))
    with owned(work):
        parts = {stem: open_cube(path / f"{stem}.zarr") for stem in stems}
        files: dict[str, list[Path]] = {}
        for stem, cube in parts.items():
            step(0, 1, f"{stem}: netCDF")
            files[stem] = write_cf_months(cube, work, stem, publication)
            step(0, 1, f"{stem}: Zarr")
            files[stem].append(write_geozarr(cube, work / f"{stem}.zarr", publication))
            old = work / f"{stem}_gdal.zarr"
            files[stem].append(write_geozarr(cube, old, publication, version=2))
            windows = open_windows(path / f"{stem}.zarr")
            write_days(windows, work, stem, publication, step)
        write_stac(parts, work, publication, files)
        write_papers(work, publication, stems)
        write_checksums(work)
    for note in work.glob(".vadose*"):
        note.unlink()
    with replaced(out, overwrite=overwrite) as partial:
        work.rename(partial)
    for left in partials(out):  # a process that died in the instant of the swap has left its own
        shutil.rmtree(left)
    return out


def looked_at(
    path: Path, out: Path, *, about: Path | None, overwrite: bool
) -> tuple[list[str], Publication]:
    """Find what is wrong with a wish to export before anything is made; else products and what they are.

    Raises
    ------
    RunProblem, FileProblem, RecipeProblem
        As from `export_run`.
    """
    from vadose.publish import About

    said = About()
    if about is not None:
        text = read_text(about, "who publishes (YAML)")
        said = checked(About, text, source=str(about), example="creator and institution")
    stems = products_of(path)
    publication = publication_of(RunFolder(path), said)
    if out.exists():
        if not is_export(out):
            raise FileProblem(out, found="other files", expected="an export or nothing")
        if not overwrite:
            raise FileProblem(
                out,
                found="an earlier export",
                expected="a free place",
                remedy="Choose another with --out, say --overwrite, or look at it with --check.",
            )
    return stems, publication


def products_of(path: Path) -> list[str]:
    """List the products of a folder.

    Raises
    ------
    RunProblem
        When there is none.
    """
    folder = RunFolder(path)
    is_known = folder.state  # raises when it is no run
    stems = [stem for stem in PRODUCTS if (path / f"{stem}.zarr/zarr.json").is_file()]
    if "product_corrected" in stems and "correct" not in is_known["stages"]:
        stems.remove("product_corrected")  # left by an earlier state of the run
    if not stems:
        raise RunProblem(
            path,
            found="no product",
            expected="product.zarr, or fused.zarr",
            remedy=f"Run first: vadose downscale {path}",
        )
    return stems


def publication_of(folder: RunFolder, about: About) -> Publication:
    """Say what a run's product is, from its records."""
    from vadose.publish import Publication
    from vadose.publish.about import inputs_of, software

    state = folder.state
    rows = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    stem = products_of(folder.path)[0]
    attributes: dict[str, Any] = open_cube(folder / f"{stem}.zarr").attrs
    is_fused = stem == "fused"
    recipe: Any = (parse_fusion if is_fused else parse_recipe)(state["recipe"])
    target = "soil_moisture" if is_fused else recipe.target
    words = target.replace("_", " ")
    if is_fused:
        summary = str(attributes.get("summary", f"A record of {words} without gaps."))
    else:
        title = recipe.methods[recipe.publish].title
        summary = f"Fine-scale {words}, downscaled from a coarse product. Method: {title}."
    names = sorted([str(row["name"]), str(row.get("sha256", ""))] for row in rows)
    version = hashlib.sha256(
        json.dumps([state["recipe"], state["vadose"], names]).encode()
    ).hexdigest()
    return Publication(
        title=recipe.title,
        target=target,
        summary=summary,
        source=str(attributes.get("source") or software()),
        history=str(attributes.get("history", f"vadose {state['vadose']}")),
        created=state["started"],
        version=version,
        command=str(state["command"]).split(" --out ")[0],  # where it was is nobody's business
        inputs=inputs_of(rows),
        notes=() if is_fused else tuple(_words(note) for note in recipe.notes),
        about=about,
        made_by="gap filling" if is_fused else "downscaling",
    )


def _words(note: str) -> str:
    return " ".join(note.split())


def _key(path: Path, stems: list[str], about: About) -> str:
    """Give the digest of all that decides what the export holds."""
    digest = hashlib.sha256(json.dumps([RunFolder(path).state, about.model_dump()]).encode())
    for stem in stems:
        digest.update((path / f"{stem}.zarr/zarr.json").read_bytes())
    return digest.hexdigest()


def _begin(work: Path, key: str) -> None:
    """Take up what was made of the same product before; anything else that was left goes."""
    note = work / KEY
    if work.exists():
        try:
            is_same = json.loads(note.read_text(encoding="utf-8")) == key
        except (OSError, ValueError):
            is_same = False
        with owned(work):  # nobody is at work there
            pass
        if is_same:
            _sweep(work)
            return
        shutil.rmtree(work)
    if not work.parent.is_dir():
        raise FileProblem(work.parent, found="no such folder", remedy="Create it first.")
    work.mkdir()
    note.write_text(json.dumps(key), encoding="utf-8")


def _sweep(work: Path) -> None:
    """Remove the halves of files that a killed export left, which would else be exported too."""
    for left in [path for path in work.rglob(".*") if _HALF.match(path.name)]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def check(path: Path, step: Step = lambda *_: None) -> list[Verdict]:
    """Run every validator on an export."""
    from vadose.publish import check_export

    return check_export(path, step)
