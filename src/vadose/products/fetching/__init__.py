"""Download what a recipe asks for: the only part of vadose that touches the network.

Archives are asked through their own clients (extra ``access``), imported when a download begins.
"""

from __future__ import annotations

from vadose.products.fetching.base import FetchProblem, LoginProblem, Offer, Policy, Wanted
from vadose.products.fetching.manifest import origin_of
from vadose.products.fetching.planning import Planned, plan
from vadose.products.fetching.running import Failure, Fetched, fetch
from vadose.products.fetching.servers import Servers

__all__ = [
    "Failure",
    "FetchProblem",
    "Fetched",
    "LoginProblem",
    "Offer",
    "Planned",
    "Policy",
    "Servers",
    "Wanted",
    "fetch",
    "origin_of",
    "plan",
]
