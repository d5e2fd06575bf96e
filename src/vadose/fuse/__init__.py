"""Fusion: a satellite with gaps and a land model without them become one seamless daily record."""
