"""The local seller with its faults and its chains."""
