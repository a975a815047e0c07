"""HashiCorp Vault: its client and its wire format."""
