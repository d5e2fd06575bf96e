"""Settings of the tests that must stand before any library is loaded."""

import os

# several test processes share the processor: threads that spin while they wait would stop one another
os.environ.setdefault("OMP_NUM_THREADS", "1")
