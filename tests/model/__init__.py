"""Money, hosts and networks."""
