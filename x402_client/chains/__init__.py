"""What networks and tokens there are, and what may be asked of a chain."""
