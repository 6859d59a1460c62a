"""The still life set up: the room, the table, what stands on it, what everything is made of, and the light.

The origin is the middle of the table top; the table has radius 1 and the room is 6.4 wide.
"""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np

from . import interior, paintings, wares
from .brush import Picture, wood
from .chess import chess
from .clockwork import alarm_clock, gears
from .desk import block, book, knot, pencil, runner_cloth
from .meshes import Mesh, Parts, box, lathe, merge, placed, planar, quad
from .plants import apple, orange, twigs
from .vessels import basket, candlestick, teapot, vase

HALF = 3.2
FLOOR, RAIL, CEILING = -0.85, 0.0, 2.7

RED, BLUE, GREEN, OCHRE = (186, 44, 40), (36, 78, 150), (52, 116, 70), (206, 144, 40)


def setting() -> Parts:
    """Everything but the light, as (material, mesh) pairs."""
    parts: Parts = [
        *runner_cloth(),
        *placed(vase(), (0.0, 0.05, 0.006)),
        *placed(twigs(), (0.0, 0.05, 0.006)),
        *placed(teapot(), (0.47, 0.05, 0.006), turn=-38),
        *placed(candlestick(0.30, 0.30, "wax_cream"), (0.40, 0.58, 0)),
        *placed(candlestick(0.20, 0.24, "wax_red"), (0.60, 0.44, 0)),
        *placed(chess(), (-0.22, 0.58, 0), turn=14),
        *placed(alarm_clock(), (-0.66, 0.12, 0.006), turn=-72),
        *placed(book("book_blue", (0.36, 0.27, 0.06)), (-0.50, -0.44, 0), turn=-32),
        *placed(book("book_red", (0.31, 0.23, 0.05)), (-0.49, -0.43, 0.06), turn=-58),
        *placed(book("book_green", (0.25, 0.19, 0.04)), (-0.50, -0.43, 0.11), turn=-40),
        *placed(knot(), (-0.50, -0.43, 0.15), turn=20),
        *placed(basket(), (0.14, -0.55, 0), turn=12),
        *placed(orange(0.075), (0.08, -0.60, 0.03)),
        *placed(orange(0.072), (0.22, -0.62, 0.03), turn=80),
        *placed(apple(0.076), (0.20, -0.48, 0.03)),
        *placed(apple(0.07), (0.05, -0.47, 0.03), turn=120),
        *placed(orange(0.07), (0.14, -0.55, 0.115), turn=200),
        *placed(apple(0.072), (-0.20, -0.72, 0), turn=40),
        *placed(orange(0.07), (-0.13, -0.86, 0), turn=10),
        *placed(block("block_gsp"), (0.62, -0.40, 0), turn=18),
        *placed(block("block_lat"), (0.72, -0.29, 0), turn=-30),
        *placed(block("block_xyz"), (0.665, -0.345, 0.1), turn=38),
        *placed(gears(), (0.80, 0.16, 0), turn=35),
        *placed(pencil("pencil_yellow"), (-0.88, -0.17, 0), turn=24),
        *placed(pencil("pencil_green"), (-0.90, -0.10, 0), turn=-8),
    ]
    return [*parts, *_table(), *_walls()]


def _table() -> Parts:
    top = planar(lathe([(1.0, 0.0), (0.0, 0.0)], 128), 2.0)
    rim = lathe([(0.9, -0.05), (0.985, -0.05), (1.0, -0.035), (1.0, 0.0)], 128)
    column = lathe(
        [(0.34, FLOOR), (0.34, FLOOR + 0.04), (0.14, FLOOR + 0.12), (0.08, -0.5), (0.10, -0.2), (0.2, -0.05)],
        48,
    )
    carpet = planar(lathe([(2.2, FLOOR + 0.012), (0.0, FLOOR + 0.012)], 96), 4.4)
    return [("table", top), ("walnut", rim), ("walnut", column), ("rug", carpet)]


def _walls() -> Parts:
    parts: Parts = [
        ("parquet", quad((-HALF, -HALF, FLOOR), (2 * HALF, 0, 0), (0, 2 * HALF, 0))),
        ("plaster", quad((-HALF, HALF, CEILING), (2 * HALF, 0, 0), (0, -2 * HALF, 0))),
    ]
    for k in range(4):
        turn = 90.0 * k
        here: Parts = [
            (f"paper_{k % 2}", quad((-HALF, HALF, RAIL), (2 * HALF, 0, 0), (0, 0, CEILING - RAIL))),
            ("panel", quad((-HALF, HALF - 0.02, FLOOR), (2 * HALF, 0, 0), (0, 0, RAIL - FLOOR))),
            ("white", box((2 * HALF, 0.05, 0.07)).moved((0, HALF - 0.025, RAIL - 0.04))),
            ("white", box((2 * HALF, 0.04, 0.14)).moved((0, HALF - 0.03, FLOOR))),
        ]
        for slot, (x, width, height) in enumerate(
            ((-1.25, 1.16, 0.87), (0.45, 1.0, 0.75), (1.95, 0.92, 0.69))
        ):
            y, z = HALF - 0.03, 0.62 + 0.06 * ((k + slot) % 2)
            canvas = quad((x - width / 2, y, z - height / 2), (width, 0, 0), (0, 0, height))
            here.append((f"painting_{(3 * k + slot + k // 2) % 6}", canvas))
            frame = [
                box((width + 0.12, 0.06, 0.06)).moved((x, y, z + height / 2)),
                box((width + 0.12, 0.06, 0.06)).moved((x, y, z - height / 2 - 0.06)),
                box((0.06, 0.06, height)).moved((x - width / 2 - 0.03, y, z - height / 2)),
                box((0.06, 0.06, height)).moved((x + width / 2 + 0.03, y, z - height / 2)),
            ]
            here.append(("gilt" if (k + slot) % 2 else "walnut", merge(frame)))
        # quads were laid out for outside = -y of the wall at +y
        parts += [(material, mesh.moved(turn=turn)) for material, mesh in here]
    return parts


def _texture(picture: Picture, repeat: float = 1.0) -> dict[str, Any]:
    upright = np.ascontiguousarray(picture[::-1])  # first row at v = 0
    scale = mi.ScalarTransform3f().scale([repeat, repeat])
    return {"type": "bitmap", "bitmap": mi.Bitmap(upright), "to_uv": scale, "filter_type": "bilinear"}


def _plain(colour: tuple[int, int, int]) -> dict[str, Any]:
    return _texture(np.full((2, 2, 3), colour, dtype=np.uint8))


def _matt(reflectance: dict[str, Any]) -> dict[str, Any]:
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": reflectance}}


def _glossy(reflectance: dict[str, Any], alpha: float) -> dict[str, Any]:
    coat = {"type": "roughplastic", "diffuse_reflectance": reflectance, "alpha": alpha, "nonlinear": True}
    return {"type": "twosided", "bsdf": coat}


def _metal(tint: tuple[float, float, float], alpha: float) -> dict[str, Any]:
    colour = {"type": "rgb", "value": list(tint)}
    return {
        "type": "twosided",
        "bsdf": {
            "type": "roughconductor",
            "material": "none",
            "specular_reflectance": colour,
            "alpha": alpha,
        },
    }


def materials() -> dict[str, dict[str, Any]]:
    t = _texture
    walnut = wood(101, (256, 512), (132, 84, 52), (86, 50, 32))
    table = {
        "table": _glossy(t(interior.table_top()), 0.16),
        "walnut": _glossy(t(walnut), 0.2),
        "rug": _matt(t(interior.rug())),
        "parquet": _glossy(t(interior.parquet(), 3), 0.3),
        "plaster": _matt(t(interior.plaster(), 4)),
        "paper_0": _matt(t(interior.wallpaper(1, (150, 170, 140), (224, 222, 190)), 1.5)),
        "paper_1": _matt(t(interior.wallpaper(2, (150, 166, 182), (226, 224, 212)), 1.5)),
        "panel": _matt(t(interior.panelling(), 4)),
        "white": _matt(_plain((232, 228, 216))),
        "gilt": _metal((0.86, 0.66, 0.34), 0.35),
    }
    things = {
        "porcelain": _glossy(t(wares.porcelain()), 0.06),
        "glaze": _glossy(_plain((232, 236, 240)), 0.06),
        "bark": _matt(t(wares.bark())),
        "leaf": _matt(t(wares.leaf())),
        "berry": _glossy(_plain((186, 26, 30)), 0.1),
        "copper": _metal((0.93, 0.60, 0.46), 0.09),
        "brass": _metal((0.88, 0.72, 0.40), 0.16),
        "steel": _metal((0.72, 0.74, 0.78), 0.2),
        "ebony": _glossy(_plain((44, 38, 36)), 0.15),
        "ivory": _glossy(_plain((238, 224, 190)), 0.15),
        "maple": _matt(_plain((224, 190, 138))),
        "straw": _matt(t(wares.straw(), 4)),
        "orange": _glossy(t(wares.orange_peel(103)), 0.25),
        "apple": _glossy(t(wares.apple_skin(105)), 0.12),
        "wax_cream": _glossy(_plain((240, 226, 190)), 0.3),
        "wax_red": _glossy(_plain((170, 36, 36)), 0.3),
        "lacquer": _glossy(_plain((30, 110, 112)), 0.08),
        "clock": _matt(t(wares.clock_face())),
        "book_blue": _matt(
            t(wares.book("GAUSSIAN\nSPLATS", "A. Volume", (40, 62, 110), (232, 200, 116), 0, 107))
        ),
        "book_red": _matt(
            t(wares.book("LIGHT &\nSHADOW", "P. Tracer", (140, 34, 38), (240, 214, 150), 2, 109))
        ),
        "book_green": _matt(t(wares.book("CURVES", "S. Pline", (44, 92, 66), (236, 222, 180), 1, 111))),
        "pages": _matt(t(wares.pages())),
        "glaze_violet": _glossy(_plain((122, 58, 158)), 0.05),
        "checkers": _glossy(t(wares.checkers(113)), 0.18),
        "block_gsp": _matt(t(wares.letter_block("GSPGSP", (RED, BLUE, GREEN), 115))),
        "block_lat": _matt(t(wares.letter_block("LATLAT", (BLUE, OCHRE, RED), 117))),
        "block_xyz": _matt(t(wares.letter_block("XYZ3DK", (GREEN, RED, BLUE), 119))),
        "pencil_yellow": _glossy(_plain((232, 176, 40)), 0.15),
        "pencil_green": _glossy(_plain((40, 120, 70)), 0.15),
        "cloth": _matt(t(interior.runner())),
        "linen": _matt(_plain((226, 212, 186))),
    }
    pictures = {f"painting_{k}": _matt(t(paint())) for k, paint in enumerate(paintings.ALL)}
    return {**table, **things, **pictures}


def _lamp(
    at: tuple[float, float, float], size: tuple[float, float], radiance: tuple[float, float, float]
) -> dict[str, Any]:
    """A soft box that looks at the table."""
    frame = mi.ScalarTransform4f().look_at(origin=list(at), target=[0, 0, 0.1], up=[0, 0, 1])
    shape = frame @ mi.ScalarTransform4f().scale([size[0] / 2, size[1] / 2, 1])
    return {
        "type": "rectangle",
        "to_world": shape,
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": list(radiance)}},
    }


def lights() -> dict[str, dict[str, Any]]:
    """A warm key from one corner, a cool fill from the other, a weak one above so that nothing is black."""
    return {
        "key": _lamp((-1.7, -1.9, 2.45), (1.1, 0.9), (24.0, 21.4, 18.0)),
        "fill": _lamp((2.2, 1.7, 2.4), (1.6, 1.2), (2.2, 2.6, 3.2)),
        "top": _lamp((0.02, 0.0, 2.65), (2.6, 2.6), (0.8, 0.8, 0.78)),
    }


def _shape(mesh: Mesh, bsdf: Any) -> Any:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    faces = mesh.faces[area > 1e-12]
    props = mi.Properties()
    props["mesh_bsdf"] = bsdf
    shape = mi.Mesh(
        "mesh",
        len(mesh.vertices),
        len(faces),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=props,
    )
    params = mi.traverse(shape)
    params["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    params["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
    params["vertex_texcoords"] = mesh.uvs.astype(np.float32).ravel()
    params["faces"] = faces.astype(np.uint32).ravel()
    params.update()
    return shape


def build() -> Any:
    """The mitsuba scene (without a sensor); one mesh for each material."""
    by_material: dict[str, list[Mesh]] = {}
    for name, mesh in setting():
        by_material.setdefault(name, []).append(mesh)
    made = materials()
    shapes = {name: _shape(merge(meshes), mi.load_dict(made[name])) for name, meshes in by_material.items()}
    return mi.load_dict({"type": "scene", **shapes, **lights()})
