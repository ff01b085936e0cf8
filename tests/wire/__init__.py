"""402s read, and payments written; ``terms`` has 402s as sellers write them."""
