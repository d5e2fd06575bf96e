from vadose.config import parse_recipe as parse_recipe
from vadose.config import read_recipe as read_recipe
from vadose.correct import CORRECTORS as CORRECTORS
from vadose.errors import VadoseError as VadoseError
from vadose.fuse import FILLERS as FILLERS
from vadose.grids import grid_of as grid_of
from vadose.grids import named_grid as named_grid
from vadose.models import MODELS as MODELS
from vadose.pipeline.folder import RunFolder as RunFolder
from vadose.products import PRODUCTS as PRODUCTS
from vadose.schema import VARIABLES as VARIABLES
from vadose.schema import check_cube as check_cube
from vadose.store import open_cube as open_cube
from vadose.store import write_cube as write_cube
from vadose.synthetic import world as world

__version__: str
