"""Whether the metrics of a single pass can be left where the config says. No pass fails for them."""

import os
from collections.abc import Iterator
from pathlib import Path

from rotator.check.findings import Finding, note, ok


def textfile(path: str) -> Iterator[Finding]:
    """Say whether the file can be written, without writing it: it is put there by a rename."""
    directory = Path(path).parent
    if not directory.is_dir():
        wrong = "is not a directory" if directory.exists() else "does not exist"
    elif not os.access(directory, os.W_OK | os.X_OK):
        wrong = "cannot be written by this user"
    else:
        yield ok(f"{path} can be written")
        return
    yield note(
        f"metrics.textfile: {directory} {wrong}", "create the directory, and let this user write to it"
    )
