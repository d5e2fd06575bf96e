"""Sizes of figures that journals ask for: the widths of their columns, their type and their dots per inch.

What each number was checked against; a journal's own guide may say otherwise, and has the last word.

``elsevier``
    Columns of 90 and 190 mm and type of 7 points, no smaller than 6: "Artwork sizing", elsevier.com. The height
    of 240 mm: "ggsave_elsevier", package lehuynh, which cites that page. 500 dots per inch, of pictures with
    lines: "Guidelines for accepted papers", journals.elsevier.com.
``nature``
    Columns of 89 and 183 mm, 170 mm high so that the legend fits below, type of 5 to 7 points: "Building and
    exporting figure panels", Nature research figure guide. 450 dots per inch: "Preparing figures - our
    specifications", the same guide.
``ieee``
    Columns of 3.5 and 7.16 inches: "Size Requirements for Graphics", IEEE Author Center. 9 inches high and type
    of 8 points: "IEEE Transactions, Journals, and Letters: Guidelines for Author Supplied Electronic Text and
    Graphics". 600 dots per inch, of lines: "Resolution and Size", IEEE Author Center.
``agu``
    300 to 600 dots per inch: "Graphics Requirements", publications.agu.org. Columns of 95 and 190 mm, 230 mm high,
    and type of 8 points stand in matplotlib styles for AGU (7.48 by 9.06 and 3.74 by 4.53 inches) and, the width,
    in "figstyle" of SHTOOLS; the publisher's own page for them was not found.
``copernicus``
    A column of 83 mm: "Template for preparing your manuscript submission to Copernicus journals using RMarkdown", which
    repeats the publisher's own (and sets its figure over two columns to 120 mm). 300 dots per inch: "Submit your
    manuscript", wind-energy-science.net. The 177 mm over both columns, the height and the type were not found anywhere.

The smallest type of ``ieee``, ``agu`` and ``copernicus`` was not found either: 6 points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vadose.errors import UnknownName
from vadose.report.style import DESIGN_FONT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MILLIMETRES_PER_INCH = 25.4
#: Width in inches from which on a figure is laid out for both columns.
WIDE = 6.5
#: Families that journals like, of which the first that is installed is taken.
FAMILIES = ("Arial", "Helvetica", "Liberation Sans", "Nimbus Sans", "DejaVu Sans")


@dataclass(frozen=True)
class Journal:
    """Hold what a journal asks of figures.

    Attributes
    ----------
    single, double
        Width of one column and of both, mm.
    height
        Most that a page has room for, mm.
    font
        Size of the type, points.
    smallest
        The least of it, points.
    dots_per_inch
        Of pictures made of dots.
    """

    single: float
    double: float
    height: float
    font: float
    smallest: float
    dots_per_inch: int = 300


#: By name; ``screen`` leaves figures as they are on the page. The module says where each number is from.
STYLES: dict[str, Journal | None] = {
    "screen": None,
    "agu": Journal(95, 190, 230, 8, 6),
    "elsevier": Journal(90, 190, 240, 7, 6, 500),
    "ieee": Journal(88.9, 181.9, 228.6, 8, 6, 600),
    "nature": Journal(89, 183, 170, 7, 5, 450),
    "copernicus": Journal(83, 177, 230, 8, 6),
}


_PER = re.compile(r" (\w+?)⁻([¹²³])")


def find_style(name: str) -> Journal | None:
    """Give the sizes of a journal; None for the screen's.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> find_style("agu").double
    190
    """
    if name not in STYLES:
        raise UnknownName("style", name, STYLES)
    return STYLES[name]


def fit_to(figure: Figure, journal: Journal) -> None:
    """Bring a figure that was laid out for the screen to a journal's column, type and lines with it.

    Parameters
    ----------
    figure
        Changed in place. A narrow one is brought to one column, others to both.
    journal
        Whose sizes.
    """
    from matplotlib.text import Text

    width, height = figure.get_size_inches()
    target = (journal.double if width >= WIDE else journal.single) / MILLIMETRES_PER_INCH
    scale = target / width
    family = print_family()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)  # noqa: S101 - what was asked for
        if family != FAMILIES[-1]:
            text.set_text(without_raised_minus(text.get_text()))
        text.set_math_fontfamily("custom")
        size = float(text.get_fontsize()) * journal.font / DESIGN_FONT
        text.set_fontsize(max(min(size, journal.font + 1), journal.smallest))
        text.set_fontfamily([family, FAMILIES[-1]])
    tall = min(height * scale, journal.height / MILLIMETRES_PER_INCH)
    figure.set_size_inches(target, tall)
    figure.set_dpi(journal.dots_per_inch)


def print_family() -> str:
    """Give the first of the families that journals ask for and that is installed."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next(name for name in FAMILIES if name in installed or name == FAMILIES[-1])


def print_settings() -> dict[str, str | list[str]]:
    """Give matplotlib's settings by which formulas, and labels that are made anew, have that family too."""
    family = print_family()
    fonts = dict.fromkeys(("mathtext.rm", "mathtext.it", "mathtext.cal", "mathtext.sf"), family)
    return {
        "font.family": [family, FAMILIES[-1]],
        "mathtext.fontset": "custom",
        "mathtext.bf": f"{family}:bold",
        **fonts,
    }


def without_raised_minus(text: str) -> str:
    """Write units with a stroke: the families of journals lack the raised minus, and one of another kind would stand in.

    Examples
    --------
    >>> without_raised_minus("soil moisture (m³ m⁻³)"), without_raised_minus("mm day⁻¹")
    ('soil moisture (m³/m³)', 'mm/day')
    """
    return _PER.sub(lambda found: f"/{found[1]}{found[2].replace('¹', '')}", text)
