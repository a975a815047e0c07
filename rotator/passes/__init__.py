"""Making passes: observe, decide, act. The only room that changes a key at the gateway or a secret in Vault."""
