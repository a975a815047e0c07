"""How a server is spoken to: exchanges, retries, signatures, and the clients of the gateway and of Vault."""
