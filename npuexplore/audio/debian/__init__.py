"""Recorded speech and noise from Debian's packages: fetched, read, turned into a folder that studies use."""
