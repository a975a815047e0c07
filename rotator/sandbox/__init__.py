"""A gateway that keeps the contract over real HTTP, and a launcher of a real Vault-API server."""
