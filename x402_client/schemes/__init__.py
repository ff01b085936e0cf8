"""One file per payment scheme: an offer to a signed payload. Schemes are flows, so each is written once."""
