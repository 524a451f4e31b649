"""Replays recorded vendor-tool figures through the estimator."""
