# The rotator needs this policy and Vault's `default` policy in each further Vault of its config (`vaults`), for the copies
# that it keeps there. If your config has another `mount` there, or other paths for copies, change them here too.
#
# Nothing here can list, delete or destroy: the rotator never does.

# the copies
path "secret/data/apimall/*" { capabilities = ["create", "read", "update"] }
