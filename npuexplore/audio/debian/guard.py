"""Run as a program of its own: runs a command and ends it, with all that it started, when its asker is gone.

Arguments: the command. Standard input is a pipe that the asker holds open; a killed asker lets go of it. It
imports nothing of npuexplore.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

CANNOT_RUN = 126
"""Exit code for a command that cannot be started, as shells give it."""


def main() -> int:
    """Exit code of the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        sys.stderr.flush()
        return CANNOT_RUN

    def watch() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    os._exit(main())
