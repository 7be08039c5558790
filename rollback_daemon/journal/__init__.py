"""The durable, hash-chained record from which the daemon's state is rebuilt.

`journal` appends, reads and verifies; `canonical` is how a record is written down; `database` is the only place that
knows SQLite; `spill` keeps what the database would not take; `lease` says which daemon may act. Nothing is imported
here: a verb pays only for what it needs.
"""
