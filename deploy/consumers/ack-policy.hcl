# What one consumer needs to confirm its key, beside policy.hcl. Write the path of the key and the name of the consumer here.
path "secret/data/rotator/acks/apimall/production-backend/web" { capabilities = ["create", "read", "update"] }
