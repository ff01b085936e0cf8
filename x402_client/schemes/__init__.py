"""Payment schemes, one file each: they make a signed payload of an offer. Each is written once for sync and async."""
