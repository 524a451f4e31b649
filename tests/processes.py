"""Looking at other processes from a test."""

import os
import time
from pathlib import Path

PATIENCE_S = 15.0
"""How long a process may take to notice that who started it is gone, on a machine with other work."""


def is_running(process_id):
    """Whether a process is there and no zombie."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()


def gone_within(process_id, seconds):
    return none_within(lambda: is_running(process_id), seconds)


def none_within(some, seconds):
    """Whether `some()` becomes false in time."""
    end = time.monotonic() + seconds
    while some():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def marked(mark):
    """Process ids (no zombies) that have `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and is_running(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
