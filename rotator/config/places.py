"""Where a value came from, in the words of who wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rotator.config.paths import Path, dotted
from rotator.config.yaml_nodes import Node


@dataclass(frozen=True)
class Places:
    """The origin of every value: a line of the file or a variable."""

    file: str
    root: Node
    variables: Mapping[Path, str]

    def of(self, path: Path) -> str:
        """Return the place of the value at `path`, or, where none is, of the block that lacks it."""
        for end in range(len(path), 0, -1):
            if variable := self.variables.get(path[:end]):
                return f"environment {variable}" + (f" {dotted(path)}" if end < len(path) else "")
        node = self.root.nearest(path)
        return f"{self.file}:{node.line}:{node.column} {dotted(path)}"
