"""A product as others open it: CF netCDF, GeoZarr, GeoTIFF for each day, a STAC collection, and its terms.

Each module writes one form of a cube into a folder, day by day or month by month; `checks` reads the folder
again with the validators of those who made the formats.
"""

from vadose.publish.about import NOT_STATED, About, Input, Publication
from vadose.publish.checks import Verdict, check_export
from vadose.publish.cog import cog_variables, write_days
from vadose.publish.geozarr import write_geozarr
from vadose.publish.netcdf import write_cf_months
from vadose.publish.papers import CHECKSUMS, write_checksums, write_papers
from vadose.publish.stac import COLLECTION, write_stac

__all__ = [
    "CHECKSUMS",
    "COLLECTION",
    "NOT_STATED",
    "About",
    "Input",
    "Publication",
    "Verdict",
    "check_export",
    "cog_variables",
    "write_cf_months",
    "write_checksums",
    "write_days",
    "write_geozarr",
    "write_papers",
    "write_stac",
]
