"""Evidence that comes by itself: files laid into a folder, and commands that make it on a schedule.

Nothing here decides: what comes is handed in as a person would hand it in (`taking`), and the judge says what it is worth. Each look and each run
has a thread of its own that a rollback never waits for. Must not live here: formats (`evidence`), files that grow (`signals`).
"""
