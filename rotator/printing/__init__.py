"""What the process prints: the standard streams, and the log on one of them."""
