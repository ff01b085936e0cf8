"""What each HTTP library does of its own: couriers, bodies, hops; and that all of them keep the promises."""
