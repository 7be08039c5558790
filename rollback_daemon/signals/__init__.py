"""What can be seen: the three-valued observation, which questions must be asked, and how Prometheus and endpoints are asked."""
