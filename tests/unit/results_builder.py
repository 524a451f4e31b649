"""A results document like a study's, computed from simple rules: a fixture for the report's tests."""

import numpy as np

LAYERS = {"lstm_1": 393_216, "lstm_2": 524_288, "fc_1": 32_768, "fc_2": 16_384}
HURT = {"dense": 0.0, "weight": 0.6, "block": 1.0, "unit": 1.7}
SPEED = {"dense": 0.0, "weight": 0.15, "block": 0.92, "unit": 1.0}
TENDER = {"lstm_1": 0.9, "lstm_2": 1.2, "fc_1": 0.3, "fc_2": 0.5}
LIMITS = {"flash_bytes": 524_288.0, "sram_bytes": 262_144.0, "latency_ms": 10.0, "quality_loss_db": 1.0}


def build_results(*, with_pairs=True, with_energy=True, retrained=True):
    """A study of weight, block and unit on a 2 x LSTM 256 network with five picks."""
    rng = np.random.default_rng(7)
    front = [_front_point(index, rng) for index in range(240)]
    chosen = {"knee": "block", "weight": "weight", "unit": "unit", "smallest": "weight", "fastest": "block"}
    picks = []
    for order, (name, structure) in enumerate(chosen.items()):
        sparsity = [0.7, 0.8, 0.5, 0.9, 0.8][order]
        picks.append(_pick(name, structure, sparsity, with_pairs, with_energy, retrained))
    for point, pick in zip(front, picks, strict=False):
        point |= {name: pick[name] for name in ("plan", "estimates")}
        point |= {"pick": pick["name"], "quality_loss_db": pick["predicted"]["quality_loss_db"]}
        point["feasible"] = all(pick["fits"].values())
    return _document(front, picks, with_pairs, with_energy, retrained)


def _document(front, picks, with_pairs, with_energy, retrained):
    sets = _sets(with_pairs)
    return {
        "schema": "npuexplore.results/1",
        **_what_was_asked(),
        "environment": {"npuexplore": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "scipy": "1.17.1"},
        "seeds": {"study": 1, "search": 2},
        "engine": _engine(),
        "search": _search(),
        "objectives": ["latency_ms", "flash_bytes", "quality_loss_db"],
        "limits": dict(LIMITS),
        "assumptions": ["Energy per byte lies between two published caches", "Weights stream from flash"],
        "evaluations": sets,
        "baseline": _baseline(sets, with_energy),
        "sensitivity": _sensitivity(),
        "front": front,
        "picks": picks,
        "missing": ["No unit-sparse plan that fits stays within 0.2 dB; the best has 0.41 dB loss."],
        "agreement": {"quality_rank_correlation": 0.9} if retrained else {},
    }


def _what_was_asked():
    return {
        "study": {
            "name": "hearing-aid",
            "profile": "micronpu-block16",
            "network": "tinylstm",
            "seed": 1,
            "data": "recorded",
            "description": "The papers' network on recorded audio",
        },
        "profile": {
            "name": "micronpu-block16",
            "sources": [
                {"of": ["engine", "memories.sram"], "source": "assumed", "cite": "A small one of its class"},
                {"of": ["energy.pj_per_mac"], "source": "published", "cite": "Horowitz, ISSCC 2014"},
            ],
        },
        "network": {"name": "tinylstm"},
    }


def _engine():
    return {
        "name": "optuna",
        "sampler": "nsga2",
        "trials": 2000,
        "feasible_trials": 1422,
        "front_sha256": "ab" * 32,
        "hypervolume_frac": 0.7123,
    }


def _baseline(sets, with_energy):
    dense = _plan("dense", 0.0, (1, 16), 8)
    return {
        "checkpoint": "baseline.npz",
        "steps": 12_000,
        "quality": _quality(sets, 0.0),
        "estimates": _totals(dense, with_energy),
        "layers": _layers(dense),
        "fits": {"flash": False, "sram": True, "deadline": True},
    }


def _sets(with_pairs):
    sets = {
        "unseen": {
            "what": "voices and noises not trained on",
            "items": 30,
            "sdr_in_db": 5.01,
            "si_sdr_in_db": 4.86,
        },
        "pairs": {"what": "chime2", "items": 18, "sdr_in_db": 3.35, "si_sdr_in_db": 2.91},
        "calibration": {"what": "validation voices", "items": 16, "sdr_in_db": 5.2, "si_sdr_in_db": 5.0},
    }
    if not with_pairs:
        del sets["pairs"]
    return sets


def _search():
    return {
        "engine": "auto",
        "evaluations": 101_000,
        "optuna": {
            "trials": 1_000,
            "front_points": 3,
            "hypervolume_frac_before": 0.9876,
            "hypervolume_frac_after": 0.991,
        },
        "proof": {
            "reference": "tolerance",
            "reference_points": 1_535,
            "reference_eps_frac": 0.1,
            "reference_eps_db": 0.05,
            "hypervolume_frac": 0.991,
            "coverage_frac": 0.8,
            "hypervolume_frac_at_least": 0.952,
            "coverage_eps_frac": 0.03,
            "coverage_eps_db": 0.015,
            "random": {"evaluations": 101_000, "hypervolume_frac": 0.61, "coverage_frac": 0.02},
        },
    }


def _plan(structure, sparsity, block, bits, jitter=(0.0, 0.0, -0.2, -0.3)):
    layers = {}
    for name, shift in zip(LAYERS, jitter, strict=True):
        own = structure if not (structure == "unit" and name == "fc_2") else "dense"
        share = round(float(np.clip(sparsity + shift, 0.0, 0.95)), 2) if own != "dense" else 0.0
        layers[name] = {
            "structure": own if share else "dense",
            "sparsity_frac": share,
            "block": list(block) if own == "block" and share else None,
            "weight_bits": bits,
            "activation_bits": 8,
        }
    return {"layers": layers, "skip_rate_frac": 0.0}


def _layers(plan):
    rows = [{"name": "front_end", "kind": "front_end", "cycles": 31_000, "bound_by": "cpu"}]
    for name, choice in plan["layers"].items():
        sparsity, structure, bits = choice["sparsity_frac"], choice["structure"], choice["weight_bits"]
        kept = LAYERS[name] * (1 - sparsity)
        coded = kept * bits / 8 * (1.3 if structure == "weight" else 1.02)
        rows.append(
            {
                "name": name,
                "kind": name.split("_")[0].replace("fc", "dense"),
                "macs": LAYERS[name],
                "structure": structure,
                "sparsity_frac": sparsity,
                "zeros_frac": sparsity,
                "weight_bits": bits,
                "kept_weights": round(kept),
                "weight_bytes": round(coded * 0.99),
                "weight_bytes_predicted": round(coded),
                "cycles": round(LAYERS[name] * (1 - sparsity * SPEED[structure]) / 3) + 900,
                "bound_by": "memory:flash" if structure == "dense" else "decode",
            }
        )
    return rows


def _totals(plan, with_energy):
    layers = _layers(plan)
    cycles = sum(layer["cycles"] for layer in layers)
    weights = sum(layer.get("weight_bytes_predicted", 0) for layer in layers)
    latency = cycles / 200e3
    power = round(0.2 + 0.4 * latency, 4)
    return {
        "macs": sum(LAYERS.values()),
        "kept_macs": sum(layer.get("kept_weights", 0) for layer in layers),
        "cycles": cycles,
        "latency_ms": latency,
        "mean_latency_ms": latency,
        "flash_bytes": weights + 61_000,
        "sram_bytes": 24_000,
        "weight_bytes": weights,
        "energy_uj": 16 * power if with_energy else None,
        "average_power_mw": power if with_energy else None,
        "real_time_factor": latency / 10.0,
    }


def _loss(plan):
    return sum(
        TENDER[name] * HURT[choice["structure"]] * choice["sparsity_frac"] ** 2 * 0.55
        + (0.04 if choice["weight_bits"] == 4 else 0.0)
        for name, choice in plan["layers"].items()
    )


def _front_point(index, rng):
    structure = ["weight", "block", "unit"][index % 3]
    jitter = rng.choice([-0.2, -0.1, 0.0, 0.1], size=4)
    plan = _plan(
        structure, float(rng.choice([0.3, 0.5, 0.7, 0.8, 0.9])), (1, 16), int(rng.choice([4, 8])), jitter
    )
    loss, totals = _loss(plan), _totals(plan, True)
    return {
        "id": f"plan-{index}",
        "plan": plan,
        "estimates": totals,
        "quality_loss_db": loss,
        "feasible": loss <= LIMITS["quality_loss_db"] and totals["flash_bytes"] <= LIMITS["flash_bytes"],
        "knee": False,
        "pick": None,
    }


def _quality(sets, loss):
    gains = {"unseen": 7.4, "pairs": 3.3, "calibration": 7.6}
    found = {}
    for name, described in sets.items():
        gain, si_gain = 0.8 * gains[name] - loss, gains[name] - loss
        found[name] = {
            "sdr_in_db": described["sdr_in_db"],
            "sdr_out_db": described["sdr_in_db"] + gain,
            "sdr_improvement_db": gain,
            "si_sdr_in_db": described["si_sdr_in_db"],
            "si_sdr_out_db": described["si_sdr_in_db"] + si_gain,
            "si_sdr_improvement_db": si_gain,
        }
    return found


def _pick(name, structure, sparsity, with_pairs, with_energy, retrained):
    plan = _plan(structure, sparsity, (1, 16), 4 if name == "smallest" else 8)
    totals, layers = _totals(plan, with_energy), _layers(plan)
    predicted = _loss(plan)
    sets = {
        "unseen": {"sdr_in_db": 5.01, "si_sdr_in_db": 4.86},
        "pairs": {"sdr_in_db": 3.35, "si_sdr_in_db": 2.91},
    }
    if not with_pairs:
        del sets["pairs"]
    achieved = {
        "quality": _quality(sets, 0.8 * predicted),
        "quality_loss_db": 0.8 * predicted,
        "weight_bytes": sum(layer.get("weight_bytes", 0) for layer in layers),
        "zeros_frac": 1 - totals["kept_macs"] / totals["macs"],
    }
    return {
        "name": name,
        "why": f"Of the plans that are mostly {structure}-sparse the fastest within 1 dB of predicted loss.",
        "structure": structure,
        "plan": plan,
        "estimates": totals,
        "fits": {"flash": totals["flash_bytes"] <= LIMITS["flash_bytes"], "sram": True, "deadline": True},
        "layers": layers,
        "predicted": {"quality_loss_db": predicted, "weight_bytes": totals["weight_bytes"]},
        "achieved": achieved if retrained else {},
        "steps": 3_000,
        "checkpoint": f"picks/{name}.npz",
    }


def _sensitivity():
    rows = []
    for name, tender in TENDER.items():
        rows.append(_sensitivity_row(name, "dense", None, 0.0, 0.01))
        for structure, block in (("weight", None), ("block", [1, 16]), ("unit", None)):
            if structure == "unit" and name == "fc_2":
                continue
            for sparsity in (0.3, 0.5, 0.7, 0.8, 0.9):
                loss = tender * HURT[structure] * sparsity**2 * 2.2
                rows.append(_sensitivity_row(name, structure, block, sparsity, loss))
    return rows


def _sensitivity_row(layer, structure, block, sparsity, loss):
    return {
        "layer": layer,
        "structure": structure,
        "block": block,
        "sparsity_frac": sparsity,
        "weight_bits": 8,
        "activation_bits": 8,
        "one_shot_loss_db": loss,
    }
