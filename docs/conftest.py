"""Tutorials are run when their pages are made (`make site`), not collected as modules."""

collect_ignore_glob = ["tutorials/*.py"]
