"""A gateway that keeps the contract over real HTTP, a launcher of a real Vault-API server, their story."""
