"""Clients of httpx, httpx2 and requests over real sockets: one file per topic, each check with every driver."""
