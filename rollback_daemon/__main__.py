"""`python -m rollback_daemon`: the same as the command `rollbackd`."""

from rollback_daemon.faces.cli import main

main()
