"""A deep residual cycle GAN that makes a land model's fields into what a satellite would have seen.

`Scene` is what it learns from and fills, `DrcGAN` the model; neither imports torch before it is needed.
"""

from vadose.models.drcgan.model import DrcGAN
from vadose.models.drcgan.scenes import Scene

__all__ = ["DrcGAN", "Scene"]
