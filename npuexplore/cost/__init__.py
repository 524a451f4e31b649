"""The analytic estimator: plain numpy over (P, L)."""
