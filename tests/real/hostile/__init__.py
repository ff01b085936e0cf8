"""A public battery of hostile facilitators, a seller that settles through one, and our buyer that pays there once."""
