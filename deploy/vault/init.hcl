# What a person's token needs for `rotator init`, besides Vault's `default` policy, and no more. It is for looking
# through the whole mount `secret/`; to look only below a path, put the path before each `*` and give it with --under.

# the names of secrets and folders
path "secret/metadata/*" { capabilities = ["list"] }

# what is in them: a secret is matched to a key of the account by its preview
path "secret/data/*" { capabilities = ["read"] }
