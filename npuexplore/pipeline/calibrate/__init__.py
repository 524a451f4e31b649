"""Calibration: a profile's coefficients from a board's measurements.

`table` and `measurements` read, `pricing` estimates, `identify` and `fit` find the coefficients, `left_out`
says how far to trust them, `written` and `document` are what comes out.
"""

from __future__ import annotations

from npuexplore.pipeline.calibrate.coefficients import named_coefficients
from npuexplore.pipeline.calibrate.example import EXAMPLE
from npuexplore.pipeline.calibrate.run import Calibrated, calibrate
from npuexplore.pipeline.calibrate.words import Said

__all__ = ["EXAMPLE", "Calibrated", "Said", "calibrate", "named_coefficients"]
