"""Tools for models: what they do, what they never do, and how frameworks and SDKs take them."""
