"""Synthetic rooms: early reflections of a shoebox by the image method, then a diffuse tail.

Images: Allen and Berkley 1979; the tail is exponentially decaying noise (Polack 1988) that begins where the
early part ends and as loud. A listener two metres away in a living room hears more of the room than of the
talker; training with near talkers only leaves a network that cuts away distant ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import FloatArray

SOUND_M_PER_S = 343.0
LEAST_ROOM_M = (3.0, 2.5, 2.3)
LARGEST_ROOM_M = (8.0, 6.0, 3.5)
"""Length, width and height of rooms at home and at work (assumed)."""
FROM_WALLS_M = 0.3
EARLY_S = 0.05
"""Reflections until then are images of the source; there are some hundreds of them."""
MATCHED_S = 0.02
"""Stretch at the end of the early part whose power the tail takes up."""


def room_response(
    *, distance_m: float, t60_s: float, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Impulse response of a random room from the direct sound on, which has amplitude 1.

    distance_m : between talker and listener, as far as the room allows ; t60_s : reverberation time ;
    returns (N,) float32
    """
    room_m = rng.uniform(LEAST_ROOM_M, LARGEST_ROOM_M)
    listener_m = rng.uniform(FROM_WALLS_M, room_m - FROM_WALLS_M)
    talker_m = _away(listener_m, room_m, distance_m, rng)
    delays_s, gains = _images(room_m, listener_m, talker_m, _reflection(room_m, t60_s))
    length = int(max(t60_s, EARLY_S) * rate_hz) + 1
    response = np.zeros(length)
    at = delays_s * rate_hz
    index = at.astype(np.intp)
    np.add.at(response, index, gains * (1.0 - (at - index)))
    np.add.at(response, np.minimum(index + 1, length - 1), gains * (at - index))
    _add_tail(response, t60_s, rate_hz=rate_hz, rng=rng)
    return response.astype(np.float32)


def _away(
    listener_m: FloatArray, room_m: FloatArray, distance_m: float, rng: np.random.Generator
) -> FloatArray:
    """A place `distance_m` from the listener at about the same height, pulled into the room."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    step_m = distance_m * np.array([np.cos(angle), np.sin(angle), 0.0])
    for turned in (step_m, -step_m, step_m[[1, 0, 2]] * [-1, 1, 1], step_m[[1, 0, 2]] * [1, -1, 1]):
        place_m = listener_m + turned
        if ((place_m > FROM_WALLS_M) & (place_m < room_m - FROM_WALLS_M)).all():
            return np.asarray(place_m)
    pulled_m = np.clip(listener_m + step_m, FROM_WALLS_M, room_m - FROM_WALLS_M)
    return np.asarray(np.where(np.abs(pulled_m - listener_m).max() > 0.05, pulled_m, room_m / 2.0))


def _reflection(room_m: FloatArray, t60_s: float) -> float:
    """Amplitude that a wall sends back, by Eyring's formula; at least 0.1."""
    length, width, height = room_m
    surface_m2 = 2.0 * (length * width + length * height + width * height)
    absorbed = 1.0 - np.exp(-0.161 * length * width * height / (surface_m2 * t60_s))
    return float(np.sqrt(max(1.0 - absorbed, 0.01)))


def _images(
    room_m: FloatArray, listener_m: FloatArray, talker_m: FloatArray, reflection: float
) -> tuple[FloatArray, FloatArray]:
    """(I,) delays after the direct sound in s, below EARLY_S, and amplitudes against it, of all images."""
    direct_m = float(np.linalg.norm(talker_m - listener_m))
    reach = np.ceil((EARLY_S * SOUND_M_PER_S + direct_m) / (2.0 * room_m)).astype(int) + 1
    offsets, bounces = [], []
    for axis in range(3):
        number = np.repeat(np.arange(-reach[axis], reach[axis] + 1), 2)
        mirrored = np.tile([0, 1], 2 * reach[axis] + 1)
        place_m = 2.0 * number * room_m[axis] + (1 - 2 * mirrored) * talker_m[axis]
        offsets.append(place_m - listener_m[axis])
        bounces.append(np.abs(number - mirrored) + np.abs(number))
    along, across, up = np.ix_(*offsets)
    distance_m = np.sqrt(np.square(along) + np.square(across) + np.square(up))
    along, across, up = np.ix_(*bounces)
    count = along + across + up
    late_s = np.maximum(distance_m - direct_m, 0.0) / SOUND_M_PER_S
    heard = late_s < EARLY_S
    return late_s[heard], direct_m / distance_m[heard] * reflection ** count[heard]


def _add_tail(response: FloatArray, t60_s: float, *, rate_hz: int, rng: np.random.Generator) -> None:
    """Adds decaying noise after the early part of a response (N,), in place."""
    start, matched = int(EARLY_S * rate_hz), int(MATCHED_S * rate_hz)
    time_s = np.arange(len(response) - start) / rate_hz
    if not time_s.size:
        return
    power = float(np.square(response[start - matched : start]).mean())
    decay = 10.0 ** (-3.0 * (time_s + MATCHED_S / 2.0) / t60_s)
    response[start:] += np.sqrt(power) * decay * rng.standard_normal(time_s.size)
