"""The tests of x402_client: a folder for each room of the package, and promises, real, soak and repo beside them."""
