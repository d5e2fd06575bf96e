"""Make, judge and publish high-resolution, gap-free soil moisture.

Importing the package does nothing but name its version; see ``vadose.pipeline`` for the verbs and
``docs/conventions.md`` for the names, units and signs used everywhere.
"""

__version__ = "0.1.0.dev0"
