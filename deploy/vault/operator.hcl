# What people need of Vault for the commands that a daemon has no use for, besides Vault's `default` policy. Give it to
# people, not to the rotator. If your config has another `vault.mount` or other paths of keys, change it here too.

# rotator hold, rotator release: the custom metadata of the managed keys. It shows no plaintext.
path "secret/metadata/apimall/*" { capabilities = ["read", "patch"] }
