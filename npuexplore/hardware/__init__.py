"""Profiles of microNPUs and Cortex-M parts."""
