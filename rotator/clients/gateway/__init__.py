"""The APIMall gateway: its client, its wire format, and the bearer that opens it."""
