# What a person needs of Vault, besides `default`, to act: `rotator leaked`, `prune`, `rollback` and a pass by hand. It
# allows all of looking.hcl, too. It is policy.hcl, the rotator's own, but for the identity, which a person does not make.
# If your config has another `vault.mount`, another `vault.state_path` or other paths of keys, change it here too.

# the managed keys, and the bearer if it is in Vault; `prune` writes one to fence a key that bears its name
path "secret/data/apimall/*" { capabilities = ["create", "read", "update"] }

# what this installation has asked the gateway for
path "secret/data/rotator/claims/*" { capabilities = ["create", "read", "update"] }

# this installation's identity
path "secret/data/rotator/installation" { capabilities = ["read"] }
