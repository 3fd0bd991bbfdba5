"""People drawn by program, seen by two cameras: a data set that needs no files.

Colours come from a short palette that many people share, so that colour alone is ambiguous; what tells people apart is
fine: fabric patterns, prints, trim and bags, a few pixels wide. Pose, light, background, occlusion and camera change
from image to image. Shrinking an image therefore removes identity, as it does in photographs.

The same arguments give the same bytes on any platform, as long as numpy keeps its generator's stream: the arithmetic
is element by element with + - * /, square roots and comparisons, whose results IEEE 754 fixes exactly (no sine, power,
exponential or matrix product), and each pixel is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from annotated_types import Ge, Le
from numpy.random import Generator

from bench.plugin.base import Dataset, Photo

HEIGHT, WIDTH = 128, 48
CAMERAS = ("a", "b")
SUPERSAMPLING = 2

Array = np.ndarray
Colour = tuple[float, float, float]
Point = tuple[float, float]
Fill = Callable[[Array, Array], Array]
T = TypeVar("T")

# RGB in [0, 1]. An entry that is repeated is drawn more often.
CLOTHES: dict[str, Colour] = {
    "black": (0.10, 0.10, 0.12),
    "grey": (0.47, 0.47, 0.48),
    "white": (0.88, 0.87, 0.84),
    "navy": (0.13, 0.17, 0.34),
    "blue": (0.24, 0.40, 0.68),
    "red": (0.68, 0.15, 0.16),
    "green": (0.20, 0.42, 0.24),
    "beige": (0.68, 0.58, 0.43),
    "yellow": (0.86, 0.72, 0.24),
    "pink": (0.84, 0.50, 0.60),
}
TOPS = ("black", "black", "grey", "grey", "white", "navy", "navy", "blue", "red", "green")
BOTTOMS = ("black", "black", "navy", "navy", "blue", "grey", "beige")
SHOES = ("black", "black", "white", "grey")
BAGS = ("black", "black", "navy", "red", "beige")
SKINS: tuple[Colour, ...] = ((0.86, 0.68, 0.57), (0.80, 0.60, 0.47), (0.62, 0.44, 0.33), (0.40, 0.27, 0.20))
HAIRS: tuple[Colour, ...] = ((0.08, 0.07, 0.07), (0.20, 0.13, 0.09), (0.38, 0.26, 0.16), (0.70, 0.56, 0.34))

PATTERNS = ("plain", "stripes", "stripes", "checks", "tartan", "dots", "zigzag")
PITCHES = (2.6, 3.4, 4.4, 5.6)  # pixels at 128x48
DIRECTIONS: tuple[Point, ...] = ((0.0, 1.0), (1.0, 0.0), (0.6, 0.8), (0.6, -0.8))
PRINTS = ("none", "none", "disc", "ring", "bar", "bars", "cross", "diamond", "letters")


def _pick(rng: Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _between(rng: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())


def _chance(rng: Generator, probability: float) -> bool:
    return float(rng.random()) < probability


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` moved towards `second` by `share` in [0, 1]."""
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


class _Canvas:
    """An RGB image in floats at `SUPERSAMPLING` times the final size.

    Shapes are given in body coordinates (pixels of an upright person 112 high, x from the middle of the body to the
    right, y down from the top of the image); `frame` says where the body lies. Every shape is filled with a colour or
    with a function of its own coordinates (u, v), which carries a pattern along with the limb it is on.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros((HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING, 3))
        self.frame((0.0, 0.0), 1.0)

    def frame(self, origin: Point, scale: float) -> None:
        """Put body coordinate (0, 0) at `origin` (final pixels), with `scale` final pixels to a unit."""
        self._x = ((np.arange(WIDTH * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - origin[0]) / scale
        self._y = ((np.arange(HEIGHT * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - origin[1]) / scale

    def downsampled(self) -> Array:
        """The mean over each final pixel, float (128, 48, 3)."""
        steps = range(SUPERSAMPLING)
        total = sum(self.pixels[i::SUPERSAMPLING, j::SUPERSAMPLING] for i in steps for j in steps)
        return np.asarray(total) / SUPERSAMPLING**2

    def _window(self, x0: float, y0: float, x1: float, y1: float) -> tuple[Array, Array, Array]:
        columns = slice(*self._x.searchsorted((x0, x1)))
        rows = slice(*self._y.searchsorted((y0, y1)))
        return self.pixels[rows, columns], self._x[None, columns], self._y[rows, None]

    @staticmethod
    def _paint(view: Array, mask: Array, fill: Colour | Fill, u: Array, v: Array, shade: Array | None = None) -> None:
        if callable(fill):
            colour = fill(np.broadcast_to(u, mask.shape)[mask], np.broadcast_to(v, mask.shape)[mask])
        else:
            colour = np.array(fill)
        view[mask] = colour if shade is None else colour * shade[mask][:, None]

    def ellipse(self, centre: Point, radii: Point, fill: Colour | Fill, hole: float = 0.0) -> None:
        """An ellipse, darker towards its rim; `hole` is the part of its radius left open."""
        (cx, cy), (rx, ry) = centre, radii
        view, x, y = self._window(cx - rx, cy - ry, cx + rx, cy + ry)
        u, v = x - cx, y - cy
        distance = (u / rx) * (u / rx) + (v / ry) * (v / ry)
        mask = (distance <= 1.0) & (distance >= hole * hole)
        self._paint(view, mask, fill, u, v, 1.0 - 0.18 * distance)

    def limb(self, start: Point, end: Point, radii: Point, fill: Colour | Fill) -> None:
        """A rounded, tapering stroke; u runs across it, v along it, both from `start`."""
        (x0, y0), (x1, y1), r = start, end, max(radii)
        view, x, y = self._window(min(x0, x1) - r, min(y0, y1) - r, max(x0, x1) + r, max(y0, y1) + r)
        dx, dy = x1 - x0, y1 - y0
        length = float(np.sqrt(dx * dx + dy * dy))
        dx, dy = dx / length, dy / length
        v = (x - x0) * dx + (y - y0) * dy
        u = (x - x0) * dy - (y - y0) * dx
        along = np.minimum(np.maximum(v, 0.0), length)
        radius = radii[0] + (radii[1] - radii[0]) * (along / length)
        distance = (u * u + (v - along) * (v - along)) / (radius * radius)
        self._paint(view, distance <= 1.0, fill, u, v, 1.0 - 0.22 * distance)

    def polygon(self, corners: Sequence[Point], fill: Colour | Fill, squeeze: float = 1.0, darken: float = 0.0) -> None:
        """A convex polygon, corners clockwise on the screen. u is x / `squeeze`; `darken` is what |u| = 10 loses."""
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        view, x, y = self._window(min(xs), min(ys), max(xs), max(ys))
        mask = np.ones(view.shape[:2], bool)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            mask &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0.0
        u = x / squeeze
        shade = np.broadcast_to(1.0 - darken * (u / 10.0) * (u / 10.0), mask.shape)
        self._paint(view, mask, fill, u, y, shade if darken else None)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour | Fill) -> None:
        """An axis-aligned rectangle."""
        view, x, y = self._window(x0, y0, x1, y1)
        if callable(fill):
            self._paint(view, np.ones(view.shape[:2], bool), fill, x, y)
        else:
            view[...] = fill


@dataclass(frozen=True)
class _Fabric:
    """A cloth of two colours; `pitch` in pixels, `share` of the second colour in [0, 1]."""

    base: Colour
    second: Colour
    pattern: str = "plain"
    pitch: float = 4.0
    share: float = 0.5
    direction: Point = (0.0, 1.0)

    def __call__(self, u: Array, v: Array) -> Array:
        """Colours (n, 3), or one colour (3,), at the coordinates u, v (n,)."""
        if self.pattern == "plain":
            return np.array(self.base)
        c, s = self.direction
        across, along = (u * c + v * s) / self.pitch + 100.0, (u * s - v * c) / self.pitch + 100.0
        first, other = across - np.floor(across), along - np.floor(along)
        if self.pattern == "stripes":
            amount = (first < self.share) * 1.0
        elif self.pattern == "checks":
            amount = ((first < 0.5) ^ (other < 0.5)) * 1.0
        elif self.pattern == "tartan":
            amount = ((first < self.share) * 1.0 + (other < self.share)) / 2.0
        elif self.pattern == "dots":
            amount = ((first - 0.5) * (first - 0.5) + (other - 0.5) * (other - 0.5) < self.share / 3.0) * 1.0
        else:
            wave = across + np.abs(other - 0.5)
            amount = (wave - np.floor(wave) < self.share) * 1.0
        base, second = np.asarray(self.base), np.asarray(self.second)
        return base + amount[:, None] * (second - base)


@dataclass(frozen=True)
class _Person:
    """What stays the same from image to image."""

    build: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    hat_band: Colour
    glasses: bool
    top: _Fabric
    sleeves: str
    jacket: bool
    shirt: _Fabric
    collar: Colour
    cuffs: Colour
    hem: Colour
    print_shape: str
    print_colour: Colour
    print_at: Point
    print_size: float
    belt: Colour
    legwear: str
    bottom: _Fabric
    side_stripe: Colour
    shoes: Colour
    soles: Colour
    socks: Colour
    bag: str
    bag_fabric: _Fabric
    strap: Colour


def _fabric(rng: Generator, base: str, plain: float) -> _Fabric:
    """A cloth of colour `base`, plain with probability `plain` or, as a pattern among patterns, by chance."""
    second = _pick(rng, [name for name in CLOTHES if name != base])
    cloth = _Fabric(
        base=CLOTHES[base],
        second=CLOTHES[second],
        pattern=_pick(rng, PATTERNS),
        pitch=_pick(rng, PITCHES),
        share=_pick(rng, (0.3, 0.5)),
        direction=_pick(rng, DIRECTIONS),
    )
    return _Fabric(cloth.base, cloth.base) if _chance(rng, plain) else cloth


def _person(identity: int, seed: int) -> _Person:
    rng = np.random.default_rng([seed, identity, 0])

    def clothes() -> Colour:
        return CLOTHES[_pick(rng, tuple(CLOTHES))]

    top, bottom = _pick(rng, TOPS), _pick(rng, BOTTOMS)
    plain_top, plain_bottom = CLOTHES[top], CLOTHES[bottom]
    return _Person(
        build=_between(rng, 0.88, 1.10),
        skin=_pick(rng, SKINS),
        hair=_pick(rng, HAIRS),
        hair_style=_pick(rng, ("short", "short", "long", "bun", "bald")),
        hat=_pick(rng, ("none", "none", "none", "cap", "beanie")),
        hat_colour=clothes(),
        hat_band=clothes(),
        glasses=_chance(rng, 0.3),
        top=_fabric(rng, top, plain=0.25),
        sleeves=_pick(rng, ("long", "long", "short", "none")),
        jacket=_chance(rng, 0.25),
        shirt=_fabric(rng, _pick(rng, tuple(CLOTHES)), plain=0.5),
        collar=clothes() if _chance(rng, 0.5) else plain_top,
        cuffs=clothes() if _chance(rng, 0.5) else plain_top,
        hem=clothes() if _chance(rng, 0.4) else plain_top,
        print_shape=_pick(rng, PRINTS),
        print_colour=clothes(),
        print_at=(_pick(rng, (-4.0, 0.0, 4.0)), _pick(rng, (36.0, 41.0, 46.0))),
        print_size=_pick(rng, (1.8, 2.6, 3.6)),
        belt=clothes() if _chance(rng, 0.5) else plain_bottom,
        legwear=_pick(rng, ("trousers", "trousers", "trousers", "shorts", "skirt")),
        bottom=_fabric(rng, bottom, plain=0.55),
        side_stripe=clothes() if _chance(rng, 0.35) else plain_bottom,
        shoes=CLOTHES[_pick(rng, SHOES)],
        soles=clothes(),
        socks=clothes(),
        bag=_pick(rng, ("none", "none", "backpack", "shoulder", "hand")),
        bag_fabric=_fabric(rng, _pick(rng, BAGS), plain=0.5),
        strap=clothes(),
    )


@dataclass(frozen=True)
class _View:
    """What changes from image to image. Swings are tangents of half the angle from straight down."""

    origin: Point
    scale: float
    turn: float  # 0 facing the camera, 1 in profile
    side: int  # -1 or +1: towards the left or right of the image
    back: bool
    legs: tuple[float, float]
    knees: tuple[float, float]
    arms: tuple[float, float]
    elbows: tuple[float, float]


def _view(rng: Generator, camera: str) -> _View:
    back = _chance(rng, 0.0 if camera == "a" else 0.2)
    turn = _between(rng, 0.0, 0.6) if camera == "a" else _between(rng, 0.2, 0.95)
    stride = 0.06 + 0.14 * turn
    return _View(
        origin=(WIDTH / 2 + _between(rng, -2.5, 2.5), _between(rng, -2.0, 4.0)),
        scale=_between(rng, 0.94, 1.04),
        turn=turn,
        side=1 if _chance(rng, 0.3 if camera == "a" else 0.7) else -1,
        back=back,
        legs=(_between(rng, -stride, stride), _between(rng, -stride, stride)),
        knees=(_between(rng, 0.0, stride), _between(rng, 0.0, stride)),
        arms=(_between(rng, -0.05, 0.24), _between(rng, -0.05, 0.24)),
        elbows=(_between(rng, -0.05, 0.35), _between(rng, -0.05, 0.35)),
    )


def _swing(start: Point, length: float, half_tangent: float) -> Point:
    """The end of a limb that hangs from `start`, turned by 2 atan(`half_tangent`) to the right."""
    t = half_tangent
    sine, cosine = 2.0 * t / (1.0 + t * t), (1.0 - t * t) / (1.0 + t * t)
    return start[0] + length * sine, start[1] + length * cosine


def _between_points(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _draw_leg(canvas: _Canvas, person: _Person, view: _View, sign: int) -> None:
    which = (sign + 1) // 2
    width = person.build * (1.0 - 0.45 * view.turn)
    hip = (sign * 4.6 * width, 64.0)
    knee = _swing(hip, 26.0, view.legs[which])
    ankle = _swing(knee, 25.0, view.legs[which] - view.side * view.knees[which])
    canvas.limb(hip, knee, (5.2 * person.build, 4.4 * person.build), person.skin)
    canvas.limb(knee, ankle, (4.2 * person.build, 2.9 * person.build), person.skin)
    toe = view.side * 3.0 * view.turn
    canvas.ellipse((ankle[0] + toe, ankle[1] + 4.2), (3.6 + 1.4 * view.turn, 2.0), person.soles)
    canvas.ellipse((ankle[0] + toe, ankle[1] + 3.2), (3.4 + 1.4 * view.turn, 2.2), person.shoes)
    if person.legwear == "trousers":
        canvas.limb(knee, ankle, (4.9 * person.build, 3.9 * person.build), person.bottom)
        canvas.limb(hip, knee, (5.8 * person.build, 4.9 * person.build), person.bottom)
        edge = sign * 3.4 * person.build * (1.0 - 0.8 * view.turn)
        for start, end in ((hip, knee), (knee, ankle)):
            canvas.limb((start[0] + edge, start[1]), (end[0] + edge, end[1]), (0.8, 0.8), person.side_stripe)
    else:
        canvas.limb(_between_points(knee, ankle, 0.7), ankle, (3.4, 3.2), person.socks)
    if person.legwear == "shorts":
        canvas.limb(hip, knee, (6.0 * person.build, 5.4 * person.build), person.bottom)


def _draw_arm(canvas: _Canvas, person: _Person, view: _View, sign: int) -> None:
    which = (sign + 1) // 2
    width = person.build * (1.0 - 0.45 * view.turn)
    shoulder = (sign * 10.0 * width, 32.0)
    outwards = sign if view.turn < 0.5 else view.side
    elbow = _swing(shoulder, 16.5, outwards * view.arms[which])
    wrist = _swing(elbow, 14.5, outwards * view.arms[which] + view.side * view.turn * view.elbows[which])
    canvas.limb(shoulder, elbow, (3.4, 2.9), person.skin)
    canvas.limb(elbow, wrist, (2.7, 2.2), person.skin)
    canvas.ellipse(_swing(wrist, 2.0, 0.0), (2.3, 2.7), person.skin)
    if person.sleeves == "long":
        canvas.limb(elbow, wrist, (3.3, 2.9), person.top)
        canvas.limb(_between_points(elbow, wrist, 0.88), wrist, (2.9, 2.9), person.cuffs)
        canvas.limb(shoulder, elbow, (4.2, 3.4), person.top)
    elif person.sleeves == "short":
        sleeve_end = _between_points(shoulder, elbow, 0.6)
        canvas.limb(_between_points(shoulder, elbow, 0.5), sleeve_end, (4.0, 3.9), person.cuffs)
        canvas.limb(shoulder, _between_points(shoulder, elbow, 0.45), (4.3, 4.1), person.top)


def _draw_print(canvas: _Canvas, person: _Person, width: float) -> None:
    x, y, size, colour = person.print_at[0] * width, person.print_at[1], person.print_size, person.print_colour
    across = size * width
    if person.print_shape == "disc":
        canvas.ellipse((x, y), (across, size), colour)
    elif person.print_shape == "ring":
        canvas.ellipse((x, y), (across, size), colour, hole=0.6)
    elif person.print_shape == "bar":
        canvas.box(-8.6 * width, y - size / 3, 8.6 * width, y + size / 3, colour)
    elif person.print_shape == "bars":
        for offset in (-size, 0.0, size):
            canvas.box(-8.6 * width, y + offset - 0.5, 8.6 * width, y + offset + 0.5, colour)
    elif person.print_shape == "cross":
        canvas.box(x - across, y - 0.7, x + across, y + 0.7, colour)
        canvas.box(x - 0.7 * width, y - size, x + 0.7 * width, y + size, colour)
    elif person.print_shape == "diamond":
        canvas.polygon([(x, y - size), (x + across, y), (x, y + size), (x - across, y)], colour)
    elif person.print_shape == "letters":
        for offset in (-5.4, -2.7, 0.0, 2.7):
            canvas.box((offset + 0.4) * width, y - size / 2, (offset + 2.2) * width, y + size / 2, colour)


def _draw_torso(canvas: _Canvas, person: _Person, view: _View) -> None:
    width = person.build * (1.0 - 0.40 * view.turn)

    def trapezium(y0: float, half0: float, y1: float, half1: float, fill: Colour | Fill) -> None:
        left, right = -half0 * width, half0 * width
        corners = [(left, y0), (right, y0), (half1 * width, y1), (-half1 * width, y1)]
        canvas.polygon(corners, fill, squeeze=width, darken=0.2)

    if person.legwear == "skirt":
        trapezium(60.0, 9.2, 84.0, 12.0 / (1.0 - 0.25 * view.turn), person.bottom)
    else:
        trapezium(58.0, 8.6, 70.0, 9.6, person.bottom)
    trapezium(27.0, 7.0, 31.0, 10.8, person.top)
    trapezium(31.0, 10.8, 48.0, 8.8, person.top)
    trapezium(48.0, 8.8, 64.0, 9.4, person.top)
    if not view.back:
        _draw_print(canvas, person, width)
    if person.jacket and not view.back:
        shift = view.side * 4.0 * view.turn * width
        corners = [(shift - 2.2 * width, 27.0), (shift + 2.2 * width, 27.0)]
        canvas.polygon([*corners, (shift + 4.0 * width, 64.0), (shift - 4.0 * width, 64.0)], person.shirt)
    trapezium(62.4, 9.4, 64.0, 9.4, person.hem)
    trapezium(64.0, 9.3, 66.0, 9.3, person.belt)
    trapezium(26.0, 3.8, 28.6, 5.2, person.collar)


def _draw_head(canvas: _Canvas, person: _Person, view: _View) -> None:
    ahead = view.side * view.turn * 1.6 * (-1.0 if view.back else 1.0)
    x, y = ahead, 17.0
    if person.hair_style == "long":
        canvas.ellipse((x - ahead, 20.0), (6.4, 9.5), person.hair)
    canvas.limb((0.0, 22.0), (0.0, 27.0), (2.8, 3.2), person.skin)
    canvas.ellipse((x, y), (5.0, 7.0), person.skin)
    if not view.back:
        for eye in (-2.0, 2.0):
            canvas.ellipse((x + ahead + eye, 17.0), (0.8, 0.6), (0.12, 0.10, 0.10))
        canvas.box(x + ahead - 1.4, 20.6, x + ahead + 1.4, 21.3, _mix(person.skin, (0.5, 0.1, 0.1), 0.5))
        if person.glasses:
            canvas.box(x + ahead * 1.3 - 4.2, 16.4, x + ahead * 1.3 + 4.2, 18.0, (0.07, 0.07, 0.08))
    if person.hair_style != "bald":
        canvas.ellipse((x - ahead, 13.6), (5.5, 5.0), person.hair)
        canvas.box(x - ahead - 5.4, 13.0, x - ahead - 3.9, 18.5, person.hair)
        canvas.box(x - ahead + 3.9, 13.0, x - ahead + 5.4, 18.5, person.hair)
        if not view.back:
            canvas.ellipse((x + ahead, 16.0), (4.0 - 0.8 * view.turn, 2.6), person.skin)
            canvas.box(x + ahead - 2.6, 16.6, x + ahead + 2.6, 17.2, _mix(person.skin, (0.1, 0.1, 0.1), 0.6))
        else:
            canvas.ellipse((x, y - 1.0), (5.2, 6.4), person.hair)
        if person.hair_style == "bun":
            canvas.ellipse((x - ahead * 2, 8.4), (2.6, 2.4), person.hair)
    if person.hat != "none":
        canvas.ellipse((x - ahead * 0.5, 12.0), (6.0, 4.8 if person.hat == "cap" else 5.6), person.hat_colour)
        canvas.box(x - ahead * 0.5 - 5.8, 12.4, x - ahead * 0.5 + 5.8, 14.6, person.hat_band)
        if person.hat == "cap" and not view.back:
            canvas.ellipse((x + ahead * 2.5, 14.8), (4.6, 1.3), person.hat_colour)


def _draw_bag(canvas: _Canvas, person: _Person, view: _View, behind: bool) -> None:
    """The part of the bag behind the body, or the part before it."""
    width = person.build * (1.0 - 0.40 * view.turn)
    if person.bag == "backpack":
        if behind and not view.back:
            offset = -view.side * (3.0 + 8.0 * view.turn) * person.build
            canvas.polygon([(offset - 6, 31), (offset + 6, 31), (offset + 6, 55), (offset - 6, 55)], person.bag_fabric)
        elif view.back and not behind:
            canvas.polygon([(-7 * width, 31), (7 * width, 31), (7 * width, 56), (-7 * width, 56)], person.bag_fabric)
            canvas.box(-5 * width, 45, 5 * width, 46.2, person.strap)
        elif not behind:
            for sign in (-1, 1):
                x = sign * 6.0 * width + view.side * 2.0 * view.turn
                canvas.limb((x, 28.5), (x + sign * 0.8, 46.0), (1.1, 1.1), person.strap)
    elif person.bag == "shoulder" and not behind:
        flip = -1 if view.back else 1
        canvas.limb((-6.0 * width * flip, 28.5), (9.0 * width * flip, 60.0), (1.0, 1.0), person.strap)
        x = 10.5 * width * flip
        canvas.polygon([(x - 4.5, 59), (x + 4.5, 59), (x + 4.5, 70), (x - 4.5, 70)], person.bag_fabric)
    elif person.bag == "hand" and not behind:
        flip = -1 if view.back else 1
        x = 13.0 * width * flip
        canvas.limb((x - 2.0, 64.0), (x, 70.0), (0.8, 0.8), person.strap)
        canvas.polygon([(x - 4.5, 70), (x + 4.5, 70), (x + 5.5, 82), (x - 5.5, 82)], person.bag_fabric)


def _draw_body(canvas: _Canvas, person: _Person, view: _View) -> None:
    canvas.frame(view.origin, view.scale)
    far = -view.side
    _draw_bag(canvas, person, view, behind=True)
    _draw_arm(canvas, person, view, far)
    _draw_leg(canvas, person, view, far)
    _draw_leg(canvas, person, view, -far)
    _draw_torso(canvas, person, view)
    _draw_head(canvas, person, view)
    _draw_bag(canvas, person, view, behind=False)
    _draw_arm(canvas, person, view, -far)
    if view.turn < 0.5:
        _draw_arm(canvas, person, view, far)
    canvas.frame((0.0, 0.0), 1.0)


def _dull(rng: Generator, low: float = 0.2, high: float = 0.8) -> Colour:
    """A colour near grey."""
    grey = _between(rng, low, high)
    red, green, blue = (grey + _between(rng, -0.07, 0.07) for _ in range(3))
    return red, green, blue


def _draw_park(canvas: _Canvas, rng: Generator, horizon: float) -> None:
    canvas.box(0, 0, WIDTH, horizon, (0.20, 0.30, 0.16))
    canvas.box(0, horizon, WIDTH, HEIGHT, _mix(_dull(rng, 0.35, 0.6), (0.45, 0.42, 0.30), 0.5))
    for _ in range(16):
        green = _mix((0.12, 0.20, 0.09), (0.45, 0.52, 0.28), _between(rng, 0.0, 1.0))
        centre = (_between(rng, 0, WIDTH), _between(rng, 0, horizon))
        canvas.ellipse(centre, (_between(rng, 3, 9), _between(rng, 3, 8)), green)
    for _ in range(10):
        centre = (_between(rng, 0, WIDTH), _between(rng, horizon, HEIGHT))
        canvas.ellipse(centre, (_between(rng, 1, 4), 0.8), _mix((0.40, 0.25, 0.12), (0.6, 0.5, 0.3), rng.random()))


def _draw_shop(canvas: _Canvas, rng: Generator, horizon: float) -> None:
    canvas.box(0, 0, WIDTH, horizon, _dull(rng))
    canvas.box(0, 0, WIDTH, 10, CLOTHES[_pick(rng, tuple(CLOTHES))])
    for x in (1.0, 18.0, 35.0):
        canvas.box(x, 14, x + 14, horizon - 6, _dull(rng, 0.1, 0.7))
        for _ in range(3):
            left, top = x + _between(rng, 0, 9), _between(rng, 18, horizon - 20)
            goods = _mix(CLOTHES[_pick(rng, tuple(CLOTHES))], (0.5, 0.5, 0.5), 0.3)
            canvas.box(left, top, left + _between(rng, 2, 5), top + _between(rng, 3, 12), goods)
    paving = _Fabric(_dull(rng, 0.4, 0.7), _dull(rng, 0.3, 0.6), "checks", _between(rng, 8.0, 16.0))
    canvas.box(0, horizon, WIDTH, HEIGHT, paving)


def _draw_hall(canvas: _Canvas, rng: Generator, horizon: float) -> None:
    canvas.box(0, 0, WIDTH, horizon, _dull(rng, 0.5, 0.85))
    x = _between(rng, -4, 36)
    canvas.box(x, 8, x + 16, horizon, _dull(rng, 0.15, 0.6))
    canvas.box(0, horizon - 5, WIDTH, horizon, _dull(rng, 0.1, 0.4))
    tiles = _Fabric(_dull(rng, 0.5, 0.8), _dull(rng, 0.3, 0.6), "tartan", _between(rng, 7.0, 12.0), 0.12, (0.6, 0.8))
    canvas.box(0, horizon, WIDTH, HEIGHT, tiles)


SCENES = {"a": (_draw_park,), "b": (_draw_shop, _draw_hall)}


def _draw_background(canvas: _Canvas, rng: Generator, camera: str) -> None:
    _pick(rng, SCENES[camera])(canvas, rng, _between(rng, 62.0, 88.0))
    for _ in range(int(rng.integers(3))):
        x, half = _between(rng, 0, WIDTH), _between(rng, 0.6, 2.0)
        canvas.box(x - half, 0, x + half, _between(rng, 70, 120), _dull(rng, 0.1, 0.7))


def _draw_passer_by(canvas: _Canvas, rng: Generator) -> None:
    """Someone small, farther off."""
    x, y = _between(rng, 3, 45), _between(rng, 20, 40)
    canvas.limb((x, y + 26), (x, y + 46), (3.0, 2.0), CLOTHES[_pick(rng, BOTTOMS)])
    canvas.limb((x, y + 10), (x, y + 24), (4.2, 3.8), CLOTHES[_pick(rng, TOPS)])
    canvas.ellipse((x, y + 3), (2.4, 3.2), _pick(rng, SKINS))


def _draw_obstacle(canvas: _Canvas, rng: Generator) -> None:
    """A post, a trolley or a shoulder between the camera and the person."""
    kind = int(rng.integers(3))
    if kind == 0:
        x = _between(rng, 8, 40)
        canvas.box(x - 1.6, 0, x + 1.6, HEIGHT, _dull(rng))
    elif kind == 1:
        x, y = _between(rng, -8, 26), _between(rng, 84, 104)
        canvas.box(x, y, x + 30, HEIGHT, _Fabric(_dull(rng), _dull(rng), "tartan", 5.0, 0.25))
    else:
        x = _pick(rng, (-2.0, 50.0))
        canvas.limb((x, _between(rng, 45, 70)), (x, 140.0), (9.0, 11.0), CLOTHES[_pick(rng, TOPS)])


@dataclass(frozen=True)
class _Camera:
    """How a camera records light: rows of `mix` give R, G, B; `blur` is the weight of each neighbour."""

    mix: tuple[Colour, Colour, Colour]
    offset: float
    blur: float
    noise: float


RESPONSE = {
    "a": _Camera(((1.10, 0.03, -0.05), (0.02, 1.00, -0.01), (-0.02, 0.04, 0.80)), 0.0, 0.04, 0.02),
    "b": _Camera(((0.80, 0.08, 0.02), (0.04, 0.87, 0.06), (0.03, 0.07, 1.02)), 0.05, 0.09, 0.04),
}


def _lit(image: Array, rng: Generator) -> Array:
    """`image` under a light of random strength, contrast, colour and direction."""
    x = (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
    y = (np.arange(HEIGHT) + 0.5) / HEIGHT - 0.5
    slope = 1.0 + _between(rng, -0.35, 0.35) * x[None, :] + _between(rng, -0.25, 0.25) * y[:, None]
    gain = _between(rng, 0.75, 1.20)
    tint = np.array([_between(rng, 0.93, 1.07) for _ in range(3)])
    bend = _between(rng, -0.30, 0.35)  # a curve through 0 and 1, in place of a power
    light = image * (gain * slope)[:, :, None] * tint
    light = np.minimum(np.maximum(light, 0.0), 1.0)
    return light + bend * light * (1.0 - light)


def _blurred(image: Array, weight: float) -> Array:
    rows = np.concatenate([image[:1], image, image[-1:]])
    image = image * (1.0 - 2.0 * weight) + (rows[:-2] + rows[2:]) * weight
    columns = np.concatenate([image[:, :1], image, image[:, -1:]], axis=1)
    return image * (1.0 - 2.0 * weight) + (columns[:, :-2] + columns[:, 2:]) * weight


def _recorded(image: Array, camera: str, rng: Generator) -> Array:
    response = RESPONSE[camera]
    image = _blurred(image, response.blur)
    red, green, blue = image[:, :, 0], image[:, :, 1], image[:, :, 2]
    image = np.stack([red * r + green * g + blue * b for r, g, b in response.mix], axis=2) + response.offset
    uniform = rng.random((3, HEIGHT, WIDTH, 3))
    noise = 2.0 * (uniform[0] + uniform[1] + uniform[2]) - 3.0  # variance 1, near enough to a normal
    return image + response.noise * noise


def draw_person(identity: int, camera: str, shot: int = 0, seed: int = 0) -> Array:
    """One image of a person, uint8 RGB (128, 48, 3).

    Depends on the arguments alone. `identity`, `shot` and `seed` are integers >= 0; `camera` is "a" or "b". Images of
    the same `identity` and `seed` show the same person; each (`camera`, `shot`) is another pose, light and scene.
    """
    person = _person(identity, seed)
    rng = np.random.default_rng([seed, identity, 1 + CAMERAS.index(camera), shot])
    canvas = _Canvas()
    _draw_background(canvas, rng, camera)
    if _chance(rng, 0.3):
        _draw_passer_by(canvas, rng)
    _draw_body(canvas, person, _view(rng, camera))
    if _chance(rng, 0.15):
        _draw_obstacle(canvas, rng)
    image = _recorded(_lit(canvas.downsampled(), rng), camera, rng)
    return np.minimum(np.maximum(np.floor(image * 255.0 + 0.5), 0.0), 255.0).astype(np.uint8)


class Synthetic(Dataset):
    """Drawn people seen by two cameras, camera a shrunk by 1/2, 1/3 or 1/4; needs no image files.

    identities: people, labelled 0000, 0001, ...; images_per_camera: 128x48 images of each person in each camera;
    seed: another seed draws other people; one_camera: camera a records both sides, which shows what the difference
    between cameras costs.
    """

    name = "synthetic"
    version = 1
    low_resolution = "simulated"
    probe_camera = "a"
    note = "people drawn by program, a check of the way through; its ranks say nothing about photographs"
    small = "identities=24"
    profile = "smoke"
    no_training = "trained on a few drawn people they tell little, and take long; name them with -m to run them"
    variants = ("srcnn+l2[steps=0]", "srcnn+nfst[steps=0]", "srcnn+xqda[steps=0]")

    def __init__(
        self,
        identities: Annotated[int, Ge(8), Le(10_000)] = 300,
        images_per_camera: Annotated[int, Ge(1), Le(20)] = 1,
        seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
        one_camera: bool = False,
    ) -> None:
        self.identities = identities
        self.images_per_camera = images_per_camera
        self.seed = seed
        self.one_camera = one_camera

    def read(self, root: Path) -> Iterator[Photo]:
        """Draw the images, person by person; `root` is not used."""
        for identity in range(self.identities):
            for side in CAMERAS:
                camera = CAMERAS[0] if self.one_camera else side
                first = self.images_per_camera if camera != side else 0
                for shot in range(first, first + self.images_per_camera):
                    image = draw_person(identity, camera, shot, self.seed)
                    yield Photo(image, identity=f"{identity:04d}", camera=side)
