"""What is imported when; imports are what start-up time is made of."""

import subprocess
import sys

import pytest

HEAVY = {
    "scipy",
    "optuna",
    "autograd",
    "plotly",
    "pandas",
    "soundfile",
    "soxr",
    "sqlalchemy",
    "espeakng_loader",
}
PROGRAM = """
import sys
sys.argv = ["npuexplore", *{arguments}]
from npuexplore.cli.app import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
sys.stderr.write("MODULES " + " ".join({{name.partition(".")[0] for name in sys.modules}}))
"""


def imported_by(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.partition("MODULES ")[2].split())


def test_help_imports_neither_numpy_nor_pydantic():
    modules = imported_by(PROGRAM.format(arguments=["--help"]))
    assert "npuexplore" in modules
    assert not modules & (HEAVY | {"numpy", "pydantic", "yaml"})


@pytest.mark.parametrize("output", [["--json"], []])
def test_an_estimate_imports_nothing_that_is_slow_to_load(output):
    arguments = ["estimate", "-p", "micronpu-block16", "-n", "tinylstm", *output]
    modules = imported_by(PROGRAM.format(arguments=arguments))
    assert {"numpy", "pydantic"} <= modules
    assert not modules & HEAVY


def test_the_estimator_alone_needs_no_terminal_and_no_trainer():
    rooms = ("hardware.load", "workload.load", "compression.plan", "cost.estimate", "cost.document")
    lines = [f"import npuexplore.{room}" for room in rooms]
    report = 'import sys; sys.stderr.write("MODULES " + " ".join({n.partition(".")[0] for n in sys.modules}))'
    assert not imported_by("; ".join([*lines, report])) & (HEAVY | {"typer", "rich"})
