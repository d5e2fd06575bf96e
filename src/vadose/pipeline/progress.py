"""How a long piece of work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

#: Told steps done and steps in all, and perhaps a word on how it goes, such as a loss.
Step = Callable[..., None]


class Progress(Protocol):
    """Show how far a long piece of work has come."""

    def __call__(self, words: str) -> AbstractContextManager[Step]:
        """Open a bar; what it gives is called with steps done and steps in all."""
        ...


def quiet(words: str) -> AbstractContextManager[Step]:
    """Show nothing."""
    return nullcontext(lambda done, total, note="": None)
