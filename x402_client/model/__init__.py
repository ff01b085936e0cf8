"""The records that all rooms share: money, hosts, networks, offers, holds, budgets."""
