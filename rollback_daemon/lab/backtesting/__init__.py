"""A whole rule file over recorded history: what it would have done, when, and how close it came. On the daemon's own judge."""
