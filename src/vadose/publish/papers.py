"""What lies beside the data: how to cite it, under which terms it is, what is in the folder, and checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from vadose.publish.about import NOT_STATED, Publication, software
from vadose.publish.citing import reference
from vadose.publish.licences import terms_of
from vadose.publish.stac import citation_line
from vadose.store import replaced, sha256

CHECKSUMS = "CHECKSUMS.sha256"
CITATION, LICENCE, README = "CITATION.cff", "LICENCE.txt", "README.md"


def write_papers(folder: Path, publication: Publication, stems: Sequence[str]) -> None:
    """Write citation, licence and README.

    Parameters
    ----------
    folder
        The export.
    publication
        What it is.
    stems
        Begins of the names of its products.
    """
    has_days = (folder / f"{stems[0]}_gdal.zarr/time").is_dir()
    texts = {
        CITATION: citation_file(publication),
        LICENCE: licence_text(publication),
        README: readme(publication, stems, has_days=has_days),
    }
    for name, text in texts.items():
        with replaced(folder / name, overwrite=True) as partial:
            partial.write_text(text, encoding="utf-8")


def citation_file(publication: Publication) -> str:
    """Write the text of a ``CITATION.cff`` 1.2.0: the product, and what it was made of.

    Examples
    --------
    >>> from vadose.publish.about import Input
    >>> one = Input(("a.nc",), "free", "Ek et al. (2003), J. Soil, doi:10.1000/soil.1")
    >>> made = Publication("Soil", "soil_moisture", "", "", "", "2026-11-21", "0a1b", "", (one,))
    >>> yaml.safe_load(citation_file(made))["references"][0]["doi"]
    '10.1000/soil.1'
    """
    about = publication.about
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "Cite this product, and the data that it was made of (references).",
        "type": "dataset",
        "title": publication.title,
        "authors": [publisher_of(publication)],
        "version": publication.version[:12],
        "date-released": publication.created[:10],
        "abstract": publication.summary,
        "keywords": publication.keywords,
    }
    if about.doi is not None:
        content["doi"] = about.doi
    if publication.spdx is not None:
        content["license"] = publication.spdx
    references = [reference(text) for text in publication.citations]
    if references:
        content["references"] = references
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def publisher_of(publication: Publication) -> dict[str, str]:
    """Name the maker as CITATION.cff does: nobody has said whether it is a person."""
    about = publication.about
    said = {"name": publication.creator, "email": about.creator_email, "website": about.creator_url}
    return {key: text for key, text in said.items() if text != NOT_STATED}


def licence_text(publication: Publication) -> str:
    """List the terms of the product and of every source, with what each asks to be cited.

    Examples
    --------
    >>> from vadose.publish.about import Input
    >>> one = Input(("a.nc", "b.nc"), "free with attribution", "Ek (2003)")
    >>> made = Publication("Soil", "soil_moisture", "", "", "", "2026-11-21", "0a1b", "", (one,))
    >>> print(licence_text(made).splitlines()[3])
    The strictest of them: free with attribution. It asks: attribution.
    """
    lines = [
        publication.title,
        "",
        "This product is made of the data below, and their terms hold for it too.",
        *binding(publication),
        "",
    ]
    for one in publication.inputs:
        lines += [f"{_span(one.files)}", f"  {one.licence}", f"  {one.citation}"]
    return "\n".join(lines) + "\n"


def binding(publication: Publication) -> list[str]:
    """Say in a line or more under which terms a product is, in the end."""
    said, lines = publication.about.licence, []
    if publication.inputs:
        terms = publication.strictest
        if not terms.asks:
            unclear = [one for one in publication.inputs if not terms_of(one.licence).asks]
            names = ", ".join(_span(one.files) for one in unclear)
            lines.append(f"What it may be used for cannot be told: the terms of {names} are not")
            lines.append(
                "stated, or not in words that are understood here. Ask before passing it on."
            )
        else:
            lines.append(f"The strictest of them: {terms.text}. It asks: {', '.join(terms.asks)}.")
    if said == NOT_STATED:
        lines.append("Its makers have not said under which licence they put it.")
    else:
        lines.append(f"Its makers put it under: {said}")
    if publication.is_too_open and publication.strictest.asks:
        lines.append("That is looser than what the inputs ask, which cannot be given away here.")
    return lines


def _span(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} to {files[-1]} ({len(files)} files)"


def readme(publication: Publication, stems: Sequence[str], *, has_days: bool) -> str:
    """Say what is in the folder and how each form is opened."""
    stem, target = stems[0], publication.target
    # GDAL 3.6 takes a store of days one day at a time
    gdal = f"""gdalinfo 'ZARR:"{stem}_gdal.zarr":/{target}{":0" if has_days else ""}'"""
    gdal += "  # the first day" if has_days else ""
    rows = [(f"{one}*.nc", "CF netCDF, a file for each month") for one in stems] + [
        (f"{one}.zarr", "GeoZarr (Zarr version 3)") for one in stems
    ]
    rows += [
        (
            f"{one}_gdal.zarr",
            "the same in Zarr version 2, for GDAL up to 3.10, which reads no version 3",
        )
        for one in stems
    ]
    rows += [
        ("collection.json, days/", "STAC; a cloud-optimized GeoTIFF for each day and variable"),
        (f"{LICENCE}, {CITATION}", "terms and citation"),
        (CHECKSUMS, f"`sha256sum -c {CHECKSUMS}`"),
    ]
    table = "\n".join(f"| `{name}` | {words} |" for name, words in rows)
    notes = "".join(f"* {note}\n" for note in publication.notes)
    missing = publication.about.missing
    asks = (
        "\nNobody has said: " + ", ".join(missing) + f'. There it reads "{NOT_STATED}".\n'
        if missing
        else ""
    )
    return f"""# {publication.title}

{publication.summary}

| what | is |
| --- | --- |
{table}

```python
import xarray as xr

xr.open_zarr("{stem}.zarr", consolidated=False)["{target}"]
```

```sh
{gdal}
```

Times are UTC and mark the start of the day. Gaps are NaN, or the file's nodata; `origin` and `flags` say why.
{"" if not notes else chr(10) + "## What a reader must know" + chr(10) + chr(10) + notes}
## Terms

{chr(10).join(binding(publication))}

## Cite

{citation_line(publication)}

And what it was made of:

{"".join(f"* {text}{chr(10)}" for text in publication.citations) or "* not stated" + chr(10)}{asks}
Made by `{publication.command}` ({software()}).
"""


def write_checksums(folder: Path) -> Path:
    """Write the checksums of all files, as ``sha256sum -c`` reads them."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in files_of(folder)]
    with replaced(folder / CHECKSUMS, overwrite=True) as partial:
        partial.write_text("".join(lines), encoding="utf-8")
    return folder / CHECKSUMS


def files_of(folder: Path) -> Iterator[str]:
    """List the files of an export by name, but for the checksums and what vadose keeps for itself."""
    names = sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )
    return (name for name in names if name != CHECKSUMS and not name.startswith(".vadose"))
