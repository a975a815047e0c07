"""The program's entry."""

import gc
import os
import signal

from rotator import SIGNALS
from rotator.printing import streams


def main() -> None:
    """Run the command line and exit with its code. SIGNALS are blocked until a command takes them."""
    # Process 1 of a container is not sent a signal that nobody handles yet. One that is blocked waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    gc.set_threshold(100_000)  # 50,000 objects are imported and stay: do not look through them 140 times
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # one would be shown each plaintext that is checked
    streams.take_over()
    from rotator.commands.root import cli

    try:
        cli(prog_name="rotator")
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what is left is a moment's work
        if why := streams.unprinted():
            from rotator.commands.options import say_unprinted

            say_unprinted(why)
        gc.freeze()  # nor once more at the exit, which frees them all


if __name__ == "__main__":
    main()
