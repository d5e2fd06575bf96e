"""Colours that pages and figures share, so that a thing looks the same wherever it is shown."""

from __future__ import annotations

OCEAN, LAND, NO_DATA, COAST, BORDER = "#e3e8ec", "#f7f6f3", "#bdb8b0", "#3d4a54", "#7d858c"
#: Okabe and Ito's colours, which the colour-blind can tell apart, by meaning of the origin code; what is
#: masked for a reason is darker than what is just not there.
ORIGIN_COLOURS = {
    "missing": NO_DATA,
    "observed": "#0072b2",
    "downscaled": "#56b4e9",
    "filled": "#e69f00",
    "extrapolated": "#d55e00",
    "masked": "#7f776c",
    "fused": "#009e73",
}
