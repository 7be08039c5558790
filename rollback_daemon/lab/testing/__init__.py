"""Unit tests of rule files: series in promtool's notation, people who act, and what the daemon's own judge must make of both.

The series are loaded into a throwaway real Prometheus, so that PromQL means what Prometheus means by it.
"""
