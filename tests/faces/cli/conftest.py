"""The same Prometheus and daemons as the HTTP tests have."""

from tests.faces.http.conftest import bench, reading, told

__all__ = ["bench", "reading", "told"]
