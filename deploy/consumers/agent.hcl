# For `vault agent` or `bao agent`: keeps a file that holds the current key, for a program on the same host or in the same
# pod. The address of Vault comes from VAULT_ADDR.

auto_auth {
  method "approle" {
    mount_path = "auth/approle"
    config = {
      role_id_file_path                   = "/etc/production-backend/role-id"
      secret_id_file_path                 = "/etc/production-backend/secret-id"
      remove_secret_id_file_after_reading = false # else a restart finds none
    }
  }
}

# Vault's agent before 1.8 does not know this interval, and takes about five minutes whatever stands here.
template_config {
  static_secret_render_interval = "5m" # so late may the file be; README.md says what follows for grace_period
}

template {
  contents             = "{{ with secret \"secret/data/apimall/production-backend\" }}{{ .Data.data.api_key }}{{ end }}"
  destination          = "/run/production-backend/api-key"
  perms                = "0600"
  error_on_missing_key = true

  # For a program that reads the file only when it starts or is told to:
  # exec { command = ["systemctl", "reload", "production-backend"] }
}
