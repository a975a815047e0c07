"""How a server is spoken to: exchanges, retries, and the clients of the gateway and of Vault."""
