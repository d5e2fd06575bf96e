"""The map in the browser: a read-only server on this machine, with a page that loads nothing from elsewhere.

Its libraries come with the extra ``serve``; they are imported when the application is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vadose.errors import MissingExtra

if TYPE_CHECKING:
    from vadose.serve.app import create_app
    from vadose.serve.guard import Limits
    from vadose.serve.server import serve_app

__all__ = ["Limits", "create_app", "serve_app"]

_WHERE = {"create_app": "app", "Limits": "guard", "serve_app": "server"}


def __getattr__(name: str) -> Any:
    """Import what was asked for.

    Raises
    ------
    MissingExtra
        When a library of the extra ``serve`` is not installed.
    """
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"vadose.serve.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), extra="serve") from error
