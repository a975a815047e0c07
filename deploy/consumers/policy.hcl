# What one program needs to read its key. The rotator's own policy is in ../vault.
path "secret/data/apimall/production-backend" { capabilities = ["read"] }
