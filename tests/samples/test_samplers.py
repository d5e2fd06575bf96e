"""Every sampler: what is taken is put back to the bit, whole or in batches, and what lacks is named."""

from __future__ import annotations
