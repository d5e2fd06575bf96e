"""A diffusion model that downscales with members: noise schedule, loss and sampler around any denoiser.

`Diffusion` is the model of rows and `DiffusionMaps` that of maps; of the rest only `schedules` and `conditions` can be imported without torch.
"""

from vadose.models.diffusion.conditions import find_conditions
from vadose.models.diffusion.maps import DiffusionMaps
from vadose.models.diffusion.model import Diffusion

__all__ = ["Diffusion", "DiffusionMaps", "find_conditions"]
