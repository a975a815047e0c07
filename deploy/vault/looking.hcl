# What a person needs of Vault, besides `default`, to look: `rotator identify`, `keys`, `status` and `explain`. It reads
# plaintexts, as they do, to say whose a key is; it changes nothing. If your config has another `vault.mount`, another
# `vault.state_path` or other paths of keys, change it here too.

# the managed keys with their older versions, and the bearer if it is in Vault
path "secret/data/apimall/*" { capabilities = ["read"] }

# what this installation has asked the gateway for
path "secret/data/rotator/claims/*" { capabilities = ["read"] }

# this installation's identity
path "secret/data/rotator/installation" { capabilities = ["read"] }
