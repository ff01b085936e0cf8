"""The parts of the HTTP faces: the exchange that all share, and what each library needs of its own."""
