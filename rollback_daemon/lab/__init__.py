"""Trying things out: throwaway real servers, and (as they come) tests of rules, backtests and imports.

Lives here: what is used at a desk or in a test. Must not live here: anything the running daemon needs; `cycle` and the
modules below it never import from here.
"""
