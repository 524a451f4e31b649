"""Wires the stages and owns the run directory."""
