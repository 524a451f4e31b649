"""What worker processes do in tests; imported by the workers themselves, so it imports little."""

import importlib.metadata
import os
import signal
import sys
import time
from pathlib import Path

import npuexplore
from npuexplore.errors import BadInput, LimitsNotMet, UsageError
from npuexplore.pipeline.executors import executor_of
from npuexplore.pipeline.workers import Task

REFUSALS = {kind.__name__: kind for kind in (BadInput, LimitsNotMet, UsageError)}


def count_to(limit, send):
    for number in range(limit):
        send(number)


def tell_start_and_end(seconds, send):
    send("start")
    time.sleep(seconds)
    send("end")


def refuse(kind, send):
    raise REFUSALS[kind](f"{kind}: a sentence")


def lack_room(path, send):
    raise OSError(28, "No space left on device", path)


def want_memory(_, send):
    raise MemoryError


def have_a_bug(_, send):
    raise ZeroDivisionError("of this kind")


def die(code, send):
    os._exit(code)


def die_while_sending(_, send):
    """A message of 1 MB of which only the length arrives."""
    descriptor = send.__closure__[0].cell_contents.fileno()
    os.write(descriptor, (1_000_000).to_bytes(4, "big") + b"x")
    os._exit(1)


def interrupt_yourself(_, send):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    send("still here")


def tell_blas_threads(_, send):
    send(os.environ["OPENBLAS_NUM_THREADS"])


def sleep_long(_, send):
    send(os.getpid())
    time.sleep(60)


def sleep_and_leave_a_trace(path, send):
    send("asleep")
    time.sleep(2.0)
    with open(path, "w"):
        return


def parent_of_a_sleeper(executor):
    """Prints the process id of a sleeping worker and waits for it."""

    def tell(_, message):
        sys.stdout.write(f"{message}\n")
        sys.stdout.flush()

    executor.run([Task("sleeper", sleep_long, None)], on_message=tell)


def pretend_to_be(version):
    """Changes the version that this process has of npuexplore, or puts it right again."""
    npuexplore.__version__ = version or importlib.metadata.version("npuexplore")


def forget_npuexplore(gone):
    """Makes this process unable to import what asks it whether it can work, or able again."""
    for name in ("npuexplore", "npuexplore.pipeline", "npuexplore.pipeline.shared_folder"):
        if gone:
            FORGOTTEN[name] = sys.modules.get(name)
            sys.modules[name] = None
        elif (module := FORGOTTEN.pop(name)) is not None:
            sys.modules[name] = module
        else:
            del sys.modules[name]


FORGOTTEN: dict = {}


def mix_ahead_for_ever(connection, source):
    """Asks for one batch, tells which process mixes, and goes on."""
    import multiprocessing

    from npuexplore.pipeline import ahead

    with ahead.batches_ahead(source, start=0, stop=1_000_000) as batch_at:
        batch_at(0)
        connection.send([child.pid for child in multiprocessing.active_children()])
        time.sleep(600)


if __name__ == "__main__":
    import worker_tasks  # what other processes can import

    address, folder = sys.argv[1:] or (None, ".")
    worker_tasks.parent_of_a_sleeper(executor_of(address, workers=1, folder=Path(folder)))
