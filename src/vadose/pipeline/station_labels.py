"""Score pairs apart by all labels that stations, stamps and the run's maps give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from vadose.errors import ValueProblem
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.parts import learned_parts
from vadose.schema import ORIGIN
from vadose.store import open_cube
from vadose.validate import strata
from vadose.validate.aggregate import score_strata


def score_labels(folder: RunFolder, pairs: xr.Dataset) -> pd.DataFrame:
    """Score apart by all labels that the run and the stations give."""
    labels = [strata.season(pairs), strata.month(pairs), strata.year(pairs)]
    labels.append(strata.wetness(pairs))
    if "network" in pairs.coords:
        labels.append(pairs["network"])
    labels += _labels_from_maps(folder, pairs)
    tables = []
    for label in labels:
        try:
            scored = score_strata(pairs, label)
        except ValueProblem:  # a label that no pair has
            continue
        frame = scored.drop_vars("without_stratum").to_dataframe().reset_index()
        frame.insert(0, "label", str(label.name))
        frame["stratum"] = frame["stratum"].astype(str)
        some = frame[frame["view"] == "pooled"].groupby("stratum")["n"].transform("max") > 0
        kept = set(frame.loc[some[some].index, "stratum"])
        tables.append(frame[frame["stratum"].isin(kept)])
    return pd.concat(tables, ignore_index=True)


def _labels_from_maps(folder: RunFolder, pairs: xr.Dataset) -> list[xr.DataArray]:
    labels = []
    fine = open_cube(folder / "fine.zarr")
    for name in ("land_cover", "soil_texture", "climate_class"):
        if name in fine:
            labels.append(strata.label_from_map(fine[name], pairs).rename(name))
    if "elevation" in fine:
        height = strata.label_from_map(fine["elevation"], pairs)
        known = height.values[np.isfinite(height.values)]
        if len(np.unique(known)) >= 3:
            edges = [float(one) for one in np.quantile(known, [1 / 3, 2 / 3]).round(1)]
            if edges[0] < edges[1]:
                labels.append(strata.elevation_band(height, edges).rename("elevation"))
    published = open_cube(folder / f"predictions/{folder.recipe.publish}.zarr")
    if "origin" in published:
        origin = strata.label_from_map(published["origin"], pairs)
        labels.append(origin.rename("origin").assign_attrs(ORIGIN.attributes()))
    for name in learned_parts(folder.recipe, folder.recipe.publish):
        predicted = open_cube(folder / f"predictions/{name}.zarr")
        if "is_applicable" in predicted:
            area = strata.label_from_map(predicted["is_applicable"], pairs)
            flags = {"flag_values": [0, 1], "flag_meanings": "outside inside"}
            labels.append(area.rename(f"area_of_applicability_of_{name}").assign_attrs(flags))
    return labels
