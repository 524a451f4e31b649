"""Weights as Arm's lossless mlw coder stores them: the exact size of real ones, the expected one of plans."""
