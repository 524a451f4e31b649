"""A slow twin of the size of one mlw weight stream: one weight at a time, as the coder walks them."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

SECTION = 131_072
SWITCH = 40
WEIGHT_PARAMETERS = [(div, trunc) for trunc in (0, 1) for div in range(6)] + [("raw", 0)]
RUN_PARAMETERS = [(div, 0) for div in range(4)]


def stream_bytes(weights):
    """Encoded bytes of a list of integers."""
    bits = 3 + sum(section_bits(weights[at : at + SECTION]) for at in range(0, len(weights), SECTION))
    return -(-bits // 128) * 16


def section_bits(weights):
    counts = Counter(weights)
    zeros = counts.pop(0, 0)
    in_runs = sum(n for n in (len(list(run)) for value, run in groupby(weights) if value == 0) if n >= 2)
    runs_mode = in_runs >= zeros // 2 and zeros > 5 * max(counts.values(), default=0)
    codes = Counter({2 * abs(v) + (v < 0): n for v, n in counts.items()})
    if zeros and not runs_mode:
        codes[0] = zeros
    palette, palbits, raw_bits = build_palette(codes)
    offset = min([*codes, 31]) if codes else 0
    index = {}
    for v in {0, *counts}:
        code = 2 * abs(v) + (v < 0)
        index[v] = palette.index(code) if code in palette else (code or 1) + len(palette) - offset
    values, runs = [], []
    if runs_mode:
        run = 0
        for at, v in enumerate(weights):
            if v or not (counts or at):
                values.append(index[v])
                runs.append(run)
                run = 0
            else:
                run += 1
        runs.append(run)
    else:
        values = [index[v] for v in weights]
    slices = search(values, WEIGHT_PARAMETERS, raw_bits)
    run_div = search(runs, RUN_PARAMETERS, 0)[-1][0][0] if runs_mode else None
    return 13 + len(palette) * palbits + slices_bits(values, runs, slices, run_div, raw_bits)


def build_palette(codes):
    ordered = sorted(codes, key=lambda c: (codes[c], c), reverse=True)
    only = 0 < len(ordered) <= 32
    palette = ordered[:32]
    if len(palette) == 1:
        palette = [palette[0], 0]
    if sum(codes[c] for c in ordered[:32]) >= sum(codes.values()) // 2 and palette:
        top = max(palette)
    else:
        palette, top = [], max(codes, default=0)
    palbits = max(2, top.bit_length())
    raw_bits = (len(palette) - 1).bit_length() if only else 0 if palette else palbits
    return palette, palbits, raw_bits


def cost(value, parameter, raw_bits, is_run):
    """Bits of a value, or None if it cannot be coded."""
    div, trunc = parameter
    if div == "raw":
        return raw_bits or 100
    q = value >> div
    if not is_run and (q > 31 or (trunc and q > 2)):
        return None
    return (min(q + 1, 2) if trunc else q + 1) + div


def search(values, parameters, raw_bits):
    """[(parameter, end)] by the coder's greedy forward search."""
    is_run = parameters is RUN_PARAMETERS
    total = [0] * len(parameters)
    reset = [0] * len(parameters)
    codable = [False] * len(parameters)
    active, active_total, found = None, 0, []
    for at, value in enumerate(values):
        for j, parameter in enumerate(parameters):
            bits = cost(value, parameter, raw_bits, is_run)
            if bits is None:
                reset[j] = at + 1
                total[j] += SWITCH
            else:
                total[j] = (total[j] if codable[j] else active_total) + bits
            codable[j] = bits is not None
        best = min((j for j in range(len(parameters)) if codable[j]), key=lambda j: total[j])
        forced = active is None or not codable[active]
        if forced or (best != active and total[best] + SWITCH < active_total):
            if active is not None and not (total[best] < total[active] and reset[best] <= reset[active]):
                found.append((active, at))
            active = best
        active_total = total[active]
    if found and found[-1][0] == active:
        found[-1] = (active, len(values))
    else:
        found.append((active, len(values)))
    return [(parameters[j], end) for j, end in found]


def slices_bits(values, runs, slices, run_div, raw_bits):
    bits, start = 0, 0
    for (div, trunc), end in slices:
        while start < end:
            stop = min(end, start + 32_767)
            bits += 23
            part = values[start:stop]
            if div == "raw":
                bits += raw_bits * len(part)
            else:
                quotients = [v >> div for v in part]
                slots = len(part) if trunc else sum(q // 2 + 1 for q in quotients)
                second = sum(q > 0 for q in quotients) if trunc else sum((q + 1) // 2 for q in quotients)
                bits += 12 * -(-slots // 12) + second + div * len(part)
            if run_div is not None:
                part = runs[0 if start == 0 else start + 1 : stop + 1]
                length = 12 if run_div < 3 else 8
                unary = sum((r >> run_div) + 1 for r in part)
                bits += length * -(-unary // length) + run_div * len(part)
            start = stop
    return bits
