"""rollbackd: takes a feature-flag rollout back when Prometheus says it hurts.

This module holds the version and nothing else; importing the package must stay free of cost.
"""

__version__ = "0.1.0"
