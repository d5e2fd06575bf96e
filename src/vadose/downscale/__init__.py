"""Cubes in, cube out: baselines, downscalers around a model, and closure around any of them."""
