"""Files that grow, line by line, and the figures of their last lines: what a cycle finds there beside the answers to its queries.

Lives here: the file work. Must not live here: what a line says and what many samples become (`evidence`), what a figure means (the judge).
Nothing of it is kept over a restart: the file itself has the window.
"""
