"""Thin typer verbs."""
