"""How many threads a library may take."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    """Keep loops of OpenMP to the calling thread.

    The steps of boosting are short and each waits for all threads. On cores that others use, those that wait spin
    beside those that cannot run: the same trees take ten times as long, and more processor time too. On free
    cores one thread takes up to as many times longer as there are cores, which is seconds. The result has the
    same bits.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> import sklearn.ensemble  # brings OpenMP
    >>> with one_thread():
    ...     {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
    {1}
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="openmp")
    return limits
