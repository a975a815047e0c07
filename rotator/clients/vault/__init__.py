"""HashiCorp Vault: its client, the ways to log in, the session's token, and the wire format."""
