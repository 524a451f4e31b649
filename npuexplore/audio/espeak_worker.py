"""Run as a program of its own: speaks lines of JSON with libespeak-ng, answers with 16-bit samples.

A process of its own because the library keeps state between utterances (random breath, flutter): only a
fresh process speaks the same bytes every time. It imports nothing of npuexplore.

Arguments: path of the library, path of its data. The first answer is the rate in Hz as a little-endian
uint32 (0: the library did not start). Each line of standard input is {"text", "voice", "words_per_minute",
"pitch", "pitch_range"}; each answer is a count of bytes as uint32 (FAILED: no such voice), then as many bytes
of mono int16 samples.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from collections.abc import Callable
from typing import Any

FAILED = 0xFFFFFFFF
OUTPUT_SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
RATE, VOLUME, PITCH, PITCH_RANGE = 1, 2, 3, 4
CHARACTERS_UTF8 = 1
BREATH_SEED = 1
"""Left alone, the library seeds its breath noise from the clock."""
VOLUME_BELOW_CLIPPING = 40
"""The default, 100, drives several voices into clipping."""


def speaker(library: str, data: str) -> tuple[int, Callable[[dict[str, Any]], bytes | None]]:
    """Start the library; returns its rate in Hz (0: not started) and a function from request to samples."""
    engine = ctypes.CDLL(library)
    pieces: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(collect)
    engine.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    engine.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    engine.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
        *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
    ]
    rate_hz = engine.espeak_Initialize(OUTPUT_SYNCHRONOUS, 0, data.encode(), DO_NOT_EXIT)

    def say(request: dict[str, Any]) -> bytes | None:
        pieces.clear()
        engine.espeak_SetSynthCallback(callback)  # named here, so that it lives as long as this function
        if engine.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return None
        engine.espeak_ng_SetRandSeed(BREATH_SEED)
        engine.espeak_SetParameter(RATE, request["words_per_minute"], 0)
        engine.espeak_SetParameter(VOLUME, VOLUME_BELOW_CLIPPING, 0)
        engine.espeak_SetParameter(PITCH, request["pitch"], 0)
        engine.espeak_SetParameter(PITCH_RANGE, request["pitch_range"], 0)
        text = request["text"].encode()
        engine.espeak_Synth(text, len(text) + 1, 0, 1, 0, CHARACTERS_UTF8, None, None)
        return b"".join(pieces)

    return max(0, rate_hz), say


def main() -> None:
    """Answer every line of standard input until it ends."""
    rate_hz, say = speaker(sys.argv[1], sys.argv[2])
    answers = sys.stdout.buffer
    answers.write(struct.pack("<I", rate_hz))
    answers.flush()
    if rate_hz == 0:
        return
    for line in sys.stdin.buffer:
        samples = say(json.loads(line))
        answers.write(struct.pack("<I", FAILED if samples is None else len(samples)) + (samples or b""))
        answers.flush()


if __name__ == "__main__":
    main()
