"""How the outside sees the daemon, and speaks to it: alerts, metrics, HTTP and the command line. Nothing below imports from here."""
