"""Files of meshes, by trimesh: .ply, .obj and .glb, with colours of vertices or a texture."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.atomic import atomic_folder, write_bytes
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package
from gsplat_core.mesh.texture import Texture

ENDINGS = (".ply", ".obj", ".glb")
TEXTURED = (".glb", ".obj")
_GREY = 200


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending of a mesh's name.

    Raises:
        UsageError: no mesh is called so.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{os.fspath(path)}: meshes are written as {', '.join(ENDINGS)}; name the file so.")
    return ending


def check_textured(path: str | os.PathLike[str]) -> str:
    """The ending of a textured mesh's name.

    Raises:
        UsageError: no mesh is called so, or it holds no texture.
    """
    ending = check_ending(path)
    if ending not in TEXTURED:
        raise UsageError(f"{os.fspath(path)}: {ending} holds no texture; write {' or '.join(TEXTURED)}.")
    return ending


def save_mesh(path: str | os.PathLike[str], mesh: Mesh, texture: Texture | None = None) -> None:
    """Writes a mesh in the format that the name's ending says, each file whole or not at all.

    A texture takes the place of the vertices' colours. In .glb it is inside; beside name.obj there are
    name.mtl and name.png.

    Raises:
        UsageError: there is no such format, it holds no texture, or trimesh is not installed.
        ResourceError: the file cannot be written.
    """
    ending = check_ending(path) if texture is None else check_textured(path)
    trimesh = package("trimesh")
    if texture is None:
        made = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    else:
        visual = trimesh.visual.TextureVisuals(texture.uv, material=_material(texture, ending))
        made = trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False)
    if texture is None or ending != ".obj":
        content = made.export(file_type=ending[1:])
        write_bytes(path, content.encode() if isinstance(content, str) else content)
        return
    path = Path(path)
    # Names with spaces end at the first one for many readers.
    library = path.with_name(re.sub(r"\s", "_", path.stem)).name
    made.visual.material.name = library
    content, further = trimesh.exchange.obj.export_obj(made, return_texture=True, mtl_name=f"{library}.mtl")
    # The mesh comes last: where it is, so is what it names.
    with atomic_folder(path.parent, path.name) as folder:
        for name, part in {**further, path.name: content.encode()}.items():
            (folder / name).write_bytes(part)


def _material(texture: Texture, ending: str) -> Any:
    image, visual = Image.fromarray(texture.image), package("trimesh.visual.material")
    if ending == ".obj":
        return visual.SimpleMaterial(
            image=image, diffuse=[255] * 4, ambient=[255] * 4, specular=[0, 0, 0, 255]
        )
    return visual.PBRMaterial(baseColorTexture=image, metallicFactor=0.0, roughnessFactor=1.0)


def load_mesh(path: str | os.PathLike[str]) -> Mesh:
    """Reads a mesh; one without colours is grey, and of a texture its vertices have the colours. All meshes
    of a file become one.

    Raises:
        UsageError: the ending is none of a mesh, or trimesh is not installed.
        DataError: the file is not there, is damaged, has no faces, or a coordinate that is not finite.
    """
    return load_textured(path)[0]


def load_textured(path: str | os.PathLike[str]) -> tuple[Mesh, Texture | None]:
    """`load_mesh`, and the mesh's texture if it has one.

    Raises:
        UsageError, DataError: as of `load_mesh`.
    """
    ending = check_ending(path)
    trimesh = package("trimesh")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    near = trimesh.resolvers.FilePathResolver(path)
    try:
        loaded = trimesh.load_mesh(
            trimesh.util.wrap_as_stream(content), file_type=ending[1:], resolver=near, process=False
        )
    except Exception as error:  # of damaged files trimesh says whatever its parsers run into
        raise DataError(
            path, f"is not a readable {ending} mesh ({error})", remedy="Export it again."
        ) from error
    faces = np.asarray(getattr(loaded, "faces", ()))
    if not faces.size:
        raise DataError(
            path,
            "has no faces",
            remedy="A file of splats or points is no mesh; `gsplat-core mesh` makes one.",
        )
    try:
        mesh = Mesh(np.asarray(loaded.vertices, np.float32), faces.astype(np.int32), _colors(loaded))
        return mesh, _texture(loaded)
    except (ValueError, OSError) as error:  # the latter of images that are cut off
        raise DataError(path, str(error), remedy="Export the mesh again.") from error


def _colors(loaded: Any) -> np.ndarray:
    visual = loaded.visual
    if visual.kind == "texture" and _image(visual) is not None and visual.uv is not None:
        visual = visual.to_color()
    if visual.kind != "vertex":
        return np.full((len(loaded.vertices), 3), _GREY, np.uint8)
    return np.array(visual.vertex_colors[:, :3], np.uint8)


def _texture(loaded: Any) -> Texture | None:
    visual = loaded.visual
    if visual.kind != "texture" or _image(visual) is None or visual.uv is None:
        return None
    return Texture(np.asarray(visual.uv, np.float32), np.array(_image(visual).convert("RGB")))


def _image(visual: Any) -> Any:
    material = visual.material
    return getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
