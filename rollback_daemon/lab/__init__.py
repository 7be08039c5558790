"""Trying things out: tests of rules, backtests, imports, and the throwaway real servers that they and the tests run on."""
