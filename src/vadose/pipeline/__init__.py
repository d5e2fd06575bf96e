"""The verbs: each is a function of a run folder and a sub-command of ``vadose``.

``build`` makes the cubes, ``fit`` learns, ``downscale`` predicts, ``validate`` scores and ``report`` tells;
``run`` does all of them and ``demo`` does so on the bundled sample. A stage knows of the one before it
only what stands in the folder.
"""

from __future__ import annotations

from vadose.pipeline.progress import Progress, Step, quiet
from vadose.pipeline.stages import correct, downscale, fit, fuse_run, judge, plan, validate
from vadose.pipeline.studies import MAX_MEM, build, demo, finished, fuse, fuse_named, run
from vadose.pipeline.tellings import check_export, explain, export, report, serve

__all__ = [
    "MAX_MEM",
    "Progress",
    "Step",
    "build",
    "check_export",
    "correct",
    "demo",
    "downscale",
    "explain",
    "export",
    "finished",
    "fit",
    "fuse",
    "fuse_named",
    "fuse_run",
    "judge",
    "plan",
    "quiet",
    "report",
    "run",
    "serve",
    "validate",
]
