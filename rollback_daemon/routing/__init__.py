"""For applications: which side of a rollout a request is on, told by the flag files that the daemon changes, as an OpenFeature provider."""
