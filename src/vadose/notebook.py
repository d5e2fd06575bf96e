"""Say at a glance what an object is, where notebooks show it as a table."""

from __future__ import annotations

import html
from collections.abc import Mapping


def as_table(title: str, rows: Mapping[str, object], *, kind: str = "") -> str:
    """Set names and values as an HTML table that takes the colours of its page.

    Parameters
    ----------
    title
        What the object is called.
    rows
        Values by name, as text; those that are empty are left out.
    kind
        What it is, behind its title.

    Returns
    -------
    str
        HTML, with nothing in it but text that is escaped.

    Examples
    --------
    >>> as_table("ours", {"grid": "36 km", "note": ""}, kind="a product").count("<tr>")
    1
    """
    cell = "text-align:left;vertical-align:top;white-space:normal"
    lines = [
        f'<tr><th scope="row" style="{cell}">{html.escape(name)}</th>'
        f'<td style="{cell}">{html.escape(str(value))}</td></tr>'
        for name, value in rows.items()
        if str(value)
    ]
    words = f" <small>{html.escape(kind)}</small>" if kind else ""
    return (
        f"<table><caption><b>{html.escape(title)}</b>{words}</caption>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def listed(names: list[str], *, most: int = 8) -> str:
    """Name the first of many, and say how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
