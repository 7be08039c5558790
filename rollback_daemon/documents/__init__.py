"""Files that people write, as values with places: one mistake is one sentence with file, line and column.

What rule files and the daemon's configuration are read through. Must not live here: what any key means.
"""

from rollback_daemon.documents.document import Document, examine, parse, path_of, read, read_all, validate
from rollback_daemon.documents.yaml_nodes import Step, Trail

__all__ = ["Document", "Step", "Trail", "examine", "parse", "path_of", "read", "read_all", "validate"]
