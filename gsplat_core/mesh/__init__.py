"""Triangle meshes: made of a scene, cleaned, simplified, measured, read and written.

Needs the packages of `pip install gsplat-core[mesh]` for everything but making them.
"""

from gsplat_core.mesh.files import load_mesh as load_mesh
from gsplat_core.mesh.files import save_mesh as save_mesh
from gsplat_core.mesh.mesh import Mesh as Mesh
