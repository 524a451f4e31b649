"""Rewrites hw_profiles/kernels/dsp.json: python benchmarks/kernel_fits/dsp.py [PUBLISHED_COUNTS.csv].

Least squares of relative errors, no coefficient negative, of published cycle counts of CMSIS-DSP's FFTs on
the butterflies, points and bins that `npuexplore.cost.fft` counts. What no count pins is a ratio, marked
assumed.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from npuexplore.cost.fft import BUTTERFLY_OPS, passes
from npuexplore.cost.front_end import BANDS_OPS, SPREAD_OPS

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "hw_profiles" / "kernels" / "dsp.json"
PUBLISHED = ROOT / "tests" / "golden" / "published_fft.csv"
SOURCE = (
    "Structure: CMSIS-DSP 1.x (arm_cfft_f32: radix 8 by 2 and by 4; arm_cfft_q31, arm_cfft_q15 and the "
    "Helium versions: radix 4 by 2; arm_rfft_fast_f32 and arm_rfft_q31: a complex FFT of half the length and "
    "a stage that splits). Cycles: fitted by benchmarks/kernel_fits/dsp.py to "
    "tests/golden/published_fft.csv, which names the source of every count; what no published count pins is "
    "assumed."
)
SPLIT_OPS = 22
"""Per bin of arm_rfft_fast_f32's last stage: six loads, 14 products and additions, two stores."""
HELIUM_IPC = 0.78
"""Instructions per cycle of the compiled radix-4 loop, 25 of them for two butterflies."""
HELIUM_RADIX_4_CYCLES = 25 / HELIUM_IPC / 2
HELIUM_STREAMED = 1 / HELIUM_IPC / 4
CALLS = ["butterfly_cycles", "reorder_cycles_per_point", "split_cycles_per_bin", "call_cycles"]
ELEMENTS = ["streamed_cycles_per_op", "gathered_cycles_per_op"]
LOG = "arithmetic of a polynomial logarithm (in fixed point: leading zeros and a table), a guess"


def features(kind: str, length: int, *, base: int) -> dict[str, float]:
    """What one call takes of every coefficient; butterflies without twiddles in shares of those with them."""
    if kind in ("bands", "spread"):
        return {"gathered": length * (BANDS_OPS if kind == "bands" else SPREAD_OPS)}
    points = length if kind == "cfft" else length // 2
    found = {"points": points, "bins": length // 2 + 1 if kind == "rfft" else 0, "calls": 1}
    for step in passes(points, base=base) or []:
        whole, plain = BUTTERFLY_OPS[step.radix]
        name = f"radix{step.radix}"
        found[name] = found.get(name, 0.0) + step.twiddled + step.plain * plain / whole
    return found


def features_of(calls: str, *, base: int) -> dict[str, float]:
    """The same of `2*cfft:512+1*rfft:1024`."""
    total: dict[str, float] = {}
    for item in calls.split("+"):
        times, _, call = item.partition("*")
        kind, _, length = call.partition(":")
        for name, count in features(kind, int(length), base=base).items():
            total[name] = total.get(name, 0.0) + int(times) * count
    return total


def fit(
    rows: list[dict[str, str]], *, base: int, unknown: list[str], known: dict[str, float] | None = None
) -> dict[str, float]:
    """Coefficients by name, those known included."""
    given = known or {}
    cases = [features_of(row["calls"], base=base) for row in rows]
    measured = np.array([float(row["cycles"]) for row in rows])
    left = measured - [sum(cycles * case.get(name, 0.0) for name, cycles in given.items()) for case in cases]
    matrix = np.array([[case.get(name, 0.0) for name in unknown] for case in cases])
    found, _ = nnls(matrix / measured[:, None], left / measured)
    return given | dict(zip(unknown, found.tolist(), strict=True))


def butterflies(coefficients: dict[str, float], *, base: int) -> dict[str, float]:
    """Cycles of every radix: fitted, or by operations from the base."""
    rate = coefficients[f"radix{base}"] / BUTTERFLY_OPS[base][0]
    return {
        str(radix): coefficients.get(f"radix{radix}", rate * ops) for radix, (ops, _) in BUTTERFLY_OPS.items()
    }


def rounded(value: Any) -> Any:
    """Six significant digits."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def kernel(
    core: str,
    arithmetic: str,
    coefficients: dict[str, float],
    *,
    base: int,
    log_cycles: float,
    sources: list[dict[str, Any]],
) -> dict[str, Any]:
    """One row of the table."""
    by_ops = coefficients[f"radix{base}"] / BUTTERFLY_OPS[base][0]
    streamed = coefficients.get("streamed", by_ops)
    figures = {
        "butterfly_cycles": butterflies(coefficients, base=base),
        "reorder_cycles_per_point": coefficients.get("points", 0.0),
        "split_cycles_per_bin": coefficients.get("bins", SPLIT_OPS * by_ops),
        "call_cycles": coefficients.get("calls", 0.0),
        "streamed_cycles_per_op": streamed,
        "gathered_cycles_per_op": coefficients.get("gathered", streamed),
        "log_cycles": log_cycles,
    }
    return {"core": core, "arithmetic": arithmetic, "radix": base, **rounded(figures), "sources": sources}


def source(of: list[str], kind: str, cite: str) -> dict[str, Any]:
    """Where some figures of a kernel come from."""
    return {"of": of, "source": kind, "cite": cite}


def scaled(row: dict[str, Any], ratio: float, *, core: str, log_cycles: float, cite: str) -> dict[str, Any]:
    """A core without counts of its own: another core's cycles times a ratio."""
    figures = {
        name: {radix: cycles * ratio for radix, cycles in value.items()}
        if isinstance(value, dict)
        else value * ratio
        for name, value in row.items()
        if name in (*CALLS, *ELEMENTS)
    }
    kept = {"core": core, "arithmetic": row["arithmetic"], "radix": row["radix"]}
    sources = [source([*CALLS, *ELEMENTS], "assumed", cite), source(["log_cycles"], "assumed", LOG)]
    return kept | rounded(figures | {"log_cycles": log_cycles}) | {"sources": sources}


def scalar_float(core: str, rows: list[dict[str, str]], *, log_cycles: float, cite: str) -> dict[str, Any]:
    """A core with an FPU, radix 8."""
    found = fit(rows, base=8, unknown=["radix8", "radix4", "radix2", "points", "calls"])
    others = [name for name in CALLS if name != "split_cycles_per_bin"]
    sources = [
        source(others, "published", cite),
        source(
            ["split_cycles_per_bin", *ELEMENTS],
            "assumed",
            "instructions at the rate of the fitted radix-8 butterfly's",
        ),
        source(["log_cycles"], "assumed", LOG),
    ]
    return kernel(core, "float32", found, base=8, log_cycles=log_cycles, sources=sources)


def m0plus(rows: list[dict[str, str]], arithmetic: str, *, log_cycles: float) -> dict[str, Any]:
    """An RP2040: real FFTs, bit reversal within the split."""
    base = 8 if arithmetic == "float32" else 4
    unknown = [f"radix{radix}" for radix in (8, 4, 2) if radix <= base] + ["bins", "calls"]
    cite = (
        "arm_rfft on an RP2040 at 125 MHz, github.com/jptrainor/cmsis-sandbox; bit reversal, magnitudes and "
        "waiting for external flash are in it"
    )
    sources = [
        source(CALLS, "published", cite),
        source(ELEMENTS, "assumed", "instructions at the rate of the fitted butterfly's"),
        source(["log_cycles"], "assumed", LOG),
    ]
    found = fit(rows, base=base, unknown=unknown)
    return kernel("m0plus", arithmetic, found, base=base, log_cycles=log_cycles, sources=sources)


def m3_float(rows: list[dict[str, str]], model: dict[str, Any], *, log_cycles: float) -> dict[str, Any]:
    """An STM32F103 without FPU: the Cortex-M0+'s butterflies times the ratio of the counts."""
    base = model["radix"]
    taken = {f"radix{radix}": cycles for radix, cycles in model["butterfly_cycles"].items()}
    ratio = statistics.median(
        float(row["cycles"]) / sum(taken.get(name, 0.0) * count for name, count in case.items())
        for row in rows
        for case in [features_of(row["calls"], base=base)]
    )
    cite = (
        "arm_cfft_f32 on an STM32F103 at 64 MHz, github.com/PY1CX/Cortex-M-FFT; shares of the parts as on an "
        "RP2040"
    )
    found = scaled(model, ratio, core="m3", log_cycles=log_cycles, cite="")
    found["sources"] = [
        source(CALLS, "published", cite),
        source(ELEMENTS, "assumed", "instructions at the rate of the fitted butterfly's"),
        source(["log_cycles"], "assumed", LOG),
    ]
    return found


def helium(rows: list[dict[str, str]], *, log_cycles: float) -> dict[str, Any]:
    """A Cortex-M55 with Helium: the loop's instructions per cycle, and AudioMark's totals for the rest."""
    radix_2 = HELIUM_RADIX_4_CYCLES * BUTTERFLY_OPS[2][0] / BUTTERFLY_OPS[4][0]
    known = {"radix4": HELIUM_RADIX_4_CYCLES, "radix2": radix_2, "calls": 150.0, "streamed": HELIUM_STREAMED}
    found = fit(rows, base=4, unknown=["points", "bins", "gathered"], known=known)
    arm = "Arm-Examples/Helium-Optimization, ml-dsp-front-end-optimization-with-helium.md"
    sources = [
        source(
            CALLS,
            "published",
            f"{arm}: 0.78 instructions per cycle in the radix-4 loop, AudioMark's FFT totals",
        ),
        source(
            ["gathered_cycles_per_op"],
            "published",
            f"{arm}: filterbank_compute_bank32 and _psd16, not vectorised",
        ),
        source(
            ["streamed_cycles_per_op"],
            "assumed",
            "vector instructions of four numbers at the FFT loop's rate",
        ),
        source(["log_cycles"], "assumed", LOG),
    ]
    return kernel("m55", "float32", found, base=4, log_cycles=log_cycles, sources=sources)


def table(published: Path) -> dict[str, Any]:
    """The document."""
    with published.open() as stream:
        rows = list(csv.DictReader(stream))

    def of(core: str, arithmetic: str = "float32") -> list[dict[str, str]]:
        return [row for row in rows if (row["core"], row["arithmetic"]) == (core, arithmetic)]

    zero = {
        "float32": m0plus(of("m0plus"), "float32", log_cycles=900.0),
        "q31": m0plus(of("m0plus", "q31"), "q31", log_cycles=150.0),
        "q15": m0plus(of("m0plus", "q15"), "q15", log_cycles=150.0),
    }
    m4 = scalar_float(
        "m4",
        of("m4"),
        log_cycles=80.0,
        cite="arm_cfft_f32 on an MK64F at 120 MHz (NXP community) and an STM32F405 at 168 MHz "
        "(PY1CX/Cortex-M-FFT), from flash behind their caches",
    )
    m7 = scalar_float(
        "m7",
        of("m7"),
        log_cycles=60.0,
        cite="arm_cfft_f32 on an i.MX RT1024 at 500 MHz, code in ITCM (NXP community)",
    )
    m55 = helium(of("m55"), log_cycles=20.0)
    fixed = (
        "{} times the Cortex-M0+'s cycles without its first wait for external flash: long multiplications in "
        "hardware and richer instructions; a guess"
    )
    warm = {name: row | {"call_cycles": 0.0} for name, row in zero.items()}
    kernels = [
        *zero.values(),
        m3_float(of("m3"), warm["float32"], log_cycles=500.0),
        scaled(warm["q31"], 0.4, core="m3", log_cycles=60.0, cite=fixed.format(0.4)),
        scaled(warm["q15"], 0.5, core="m3", log_cycles=60.0, cite=fixed.format(0.5)),
        m4,
        m7,
        scaled(
            m4,
            1.0,
            core="m33",
            log_cycles=80.0,
            cite="the Cortex-M4's cycles; CMSIS-NN's kernels agree within 2 %",
        ),
        m55,
        scaled(m55, 0.8, core="m85", log_cycles=16.0, cite="0.8 times the Cortex-M55's cycles; a guess"),
    ]
    return {"schema": "npuexplore.dsp/1", "unit": "CPU cycles", "source": SOURCE, "kernels": kernels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "published", type=Path, nargs="?", default=PUBLISHED, help="counts with their sources"
    )
    text = json.dumps(table(parser.parse_args().published), indent=1) + "\n"
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
