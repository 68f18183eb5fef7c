"""What the reference model looks at: synthetic fluorescence microscopy, with its ground truth.

A picture is a function of its seed and index and of nothing else, so that a training set, a
held-out set and a payload can be made again anywhere. Rules: numpy only; double precision
throughout, so that the last bit in which processors and library versions differ never reaches a
pixel of 8 bits; random numbers from a named generator (PCG64), never numpy's current default.

What makes a nucleus hard to find under a microscope is here too: brightness that differs tenfold
between neighbours, light that falls off to one side, haze from out of focus, touching outlines,
shot noise. No one threshold on brightness separates such a picture (`mask.otsu_level` tries).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 256

# How many nuclei a picture holds and how large they are. In the stage-1 pictures of the 2018 Data
# Science Bowl, which the workshop's model was trained on, 256 x 256 fields hold from about 5 to
# over 100 nuclei of some 10 to 30 pixels across. Guess from looking at them.
_NUCLEUS_COUNT_MIN, _NUCLEUS_COUNT_MAX = 12, 60
_RADIUS_PX_MIN, _RADIUS_PX_MAX = 5.5, 14.0
# How many of them are laid against a neighbour rather than anywhere.
_TOUCHING_SHARE = 0.55
# The dimmest nucleus against the brightest.
_BRIGHTNESS_MIN = 0.12

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """What the camera saw, and what was really there."""

    pixels: NDArray[np.uint8]  # [side, side, 3], red first
    mask: NDArray[np.bool_]  # [side, side], true inside a nucleus


@dataclass(frozen=True)
class _Nucleus:
    x: float
    y: float
    radius: float
    stretch: float
    angle: float
    brightness: float


def picture(seed: int, index: int) -> Picture:
    """Return one picture of 256 x 256, the same for the same seed and index."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
    glow = np.zeros((SIDE_PX, SIDE_PX))
    mask = np.zeros((SIDE_PX, SIDE_PX), dtype=np.bool_)
    for nucleus in _placed(random):
        _draw(glow, mask, nucleus, random)
    light = _light(glow, random)
    return Picture(pixels=_photographed(light, random), mask=mask)


def _placed(random: np.random.Generator) -> list[_Nucleus]:
    """Scatter nuclei, many of them against one that is already there."""
    count = int(random.integers(_NUCLEUS_COUNT_MIN, _NUCLEUS_COUNT_MAX + 1))
    usual_radius = random.uniform(_RADIUS_PX_MIN + 1.5, _RADIUS_PX_MAX - 1.5)
    placed: list[_Nucleus] = []
    # Each nucleus gets a few attempts at a place that does not bury another one.
    for _ in range(count * 4):
        if len(placed) == count:
            break
        radius = min(max(usual_radius * random.uniform(0.7, 1.35), _RADIUS_PX_MIN), _RADIUS_PX_MAX)
        x, y = random.uniform(0, SIDE_PX, 2)
        if placed and random.random() < _TOUCHING_SHARE:
            neighbour = placed[int(random.integers(len(placed)))]
            direction = random.uniform(0, 2 * math.pi)
            distance = (neighbour.radius + radius) * random.uniform(0.86, 1.02)
            x = neighbour.x + distance * math.cos(direction)
            y = neighbour.y + distance * math.sin(direction)
        if any(
            math.hypot(x - other.x, y - other.y) < 0.8 * (radius + other.radius) for other in placed
        ):
            continue
        placed.append(
            _Nucleus(
                x=x,
                y=y,
                radius=radius,
                stretch=random.uniform(1.0, 1.3),
                angle=random.uniform(0, math.pi),
                brightness=_BRIGHTNESS_MIN ** random.random(),
            )
        )
    return placed


def _draw(
    glow: Plane, mask: NDArray[np.bool_], nucleus: _Nucleus, random: np.random.Generator
) -> None:
    """Add one nucleus with an irregular outline and a texture of its own."""
    # Wobbles of 2 to 5 lobes around an ellipse make the outline; the higher the weaker.
    lobes = [
        random.uniform(0.05, 0.26) / order * np.exp(1j * random.uniform(0, 2 * math.pi))
        for order in range(2, 6)
    ]
    grain = random.uniform(-1, 1, (5, 5))
    spots = random.uniform(-0.6, 0.6, (int(random.integers(1, 5)), 2))
    reach = math.ceil(nucleus.radius * 1.7)
    left, top = max(0, int(nucleus.x) - reach), max(0, int(nucleus.y) - reach)
    right = min(SIDE_PX, int(nucleus.x) + reach + 1)
    bottom = min(SIDE_PX, int(nucleus.y) + reach + 1)
    if left >= right or top >= bottom:
        return
    across = (np.arange(left, right) - nucleus.x)[None, :] / nucleus.radius
    down = (np.arange(top, bottom) - nucleus.y)[:, None] / nucleus.radius
    cosine, sine = math.cos(nucleus.angle), math.sin(nucleus.angle)
    u = (across * cosine + down * sine) / nucleus.stretch
    v = (down * cosine - across * sine) * nucleus.stretch
    distance = np.sqrt(u * u + v * v) + 1e-9
    # The direction as a unit complex number: its powers are the lobes, without trigonometry.
    direction = (u + 1j * v) / distance
    outline = 1.0 + sum((lobe * direction**order).real for order, lobe in enumerate(lobes, start=2))
    depth = distance / outline  # 0 in the middle, 1 on the outline
    inside = depth < 1.0
    thickness = 0.5 + 0.5 * np.sqrt(np.clip(1.0 - depth * depth, 0.0, 1.0))
    texture = 1.0 + 0.35 * _stretched(grain, bottom - top, right - left)
    for spot_u, spot_v in spots:
        # Nucleoli take up little of the dye.
        texture -= 0.45 * np.exp(-((u - spot_u) ** 2 + (v - spot_v) ** 2) / 0.03)
    shine = nucleus.brightness * thickness * texture
    patch = glow[top:bottom, left:right]
    patch[inside] = np.maximum(patch, shine)[inside]
    mask[top:bottom, left:right] |= inside


def _light(glow: Plane, random: np.random.Generator) -> Plane:
    """Return the light that reaches the camera: haze, stray signal, uneven lamps, a lens."""
    haze = random.uniform(0.2, 0.5) * _blurred(glow, 9.0)
    stray = random.uniform(0.04, 0.14) * (1.0 + 0.8 * _clouds(random, 6))
    ghosts = np.zeros_like(glow)
    for _ in range(int(random.integers(0, 5))):
        # Nuclei far out of focus: large, soft, and not to be marked.
        x, y = random.uniform(0, SIDE_PX, 2)
        size = random.uniform(9, 20)
        ghosts += random.uniform(0.05, 0.22) * _spot(x, y, size)
    lamp = np.clip(1.0 + 0.55 * _clouds(random, 2), 0.35, None)
    sharp = _blurred(glow, random.uniform(0.7, 1.7))
    dust = np.zeros_like(glow)
    for _ in range(int(random.integers(0, 14))):
        x, y = random.uniform(0, SIDE_PX, 2)
        dust += random.uniform(0.1, 0.5) * _spot(x, y, random.uniform(0.7, 1.4))
    return (sharp + haze + stray + ghosts + dust) * lamp


def _photographed(light: Plane, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a noisy camera makes of the light, in false colour as viewers show it."""
    gain = random.uniform(170, 320)
    shot = 0.05 * np.sqrt(light) * random.standard_normal(light.shape)
    read = 0.018 * random.standard_normal(light.shape)
    grey = (light + shot + read) * gain
    tint = np.array([random.uniform(0.25, 1.0), random.uniform(0.55, 1.0), 1.0])
    speckle = 1.5 * random.standard_normal((*light.shape, 3))
    coloured = grey[:, :, None] * tint + speckle + random.uniform(2, 9)
    pixels: NDArray[np.uint8] = np.clip(np.rint(coloured), 0, 255).astype(np.uint8)
    return pixels


def _spot(x: float, y: float, size: float) -> Plane:
    """Return a round glow of height 1."""
    pixels = np.arange(SIDE_PX)
    return np.outer(
        np.exp(-((pixels - y) ** 2) / (2 * size * size)),
        np.exp(-((pixels - x) ** 2) / (2 * size * size)),
    )


def _clouds(random: np.random.Generator, cells: int) -> Plane:
    """Return slow variations over the picture between -1 and 1, about `cells` of them across."""
    return _stretched(random.uniform(-1, 1, (cells + 1, cells + 1)), SIDE_PX, SIDE_PX)


def _stretched(grid: Plane, height: int, width: int) -> Plane:
    """Return a coarse grid drawn out smoothly over `height` x `width` pixels."""
    return _drawn_out(_drawn_out(grid, height).T, width).T


def _drawn_out(rows: Plane, count: int) -> Plane:
    place = np.linspace(0, len(rows) - 1, count)
    lower = np.minimum(place.astype(np.intp), len(rows) - 2)
    part = (place - lower)[:, None]
    ease = part * part * (3.0 - 2.0 * part)
    smooth: Plane = rows[lower] * (1.0 - ease) + rows[lower + 1] * ease
    return smooth


def _blurred(plane: Plane, sigma_px: float) -> Plane:
    """Return the plane under a Gaussian blur, its edges drawn outwards."""
    reach = math.ceil(3 * sigma_px)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma_px * sigma_px))
    taps /= taps.sum()
    return _blurred_down(_blurred_down(plane, taps).T, taps).T


def _blurred_down(plane: Plane, taps: Plane) -> Plane:
    reach = len(taps) // 2
    padded = np.pad(plane, ((reach, reach), (0, 0)), mode="edge")
    blurred = np.zeros_like(plane)
    for offset, tap in enumerate(taps):
        blurred += tap * padded[offset : offset + len(plane)]
    return blurred
