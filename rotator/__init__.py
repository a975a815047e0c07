"""Keeps API keys of the APIMall gateway fresh and their plaintexts in HashiCorp Vault."""

__version__ = "0.1.0"
