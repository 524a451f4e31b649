"""Figures and the one offline page."""
