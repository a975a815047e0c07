# For `vault agent` or `bao agent`. It keeps the current key in a file, for a program on the same host or in the same pod.
# The address of Vault comes from VAULT_ADDR.

auto_auth {
  method "approle" {
    mount_path = "auth/approle"
    config = {
      role_id_file_path                   = "/etc/production-backend/role-id"
      secret_id_file_path                 = "/etc/production-backend/secret-id"
      remove_secret_id_file_after_reading = false # otherwise a restart finds no secret id
    }
  }

  # To confirm, remove the # of these lines, and of the template at the end.
  #sink "file" {
    #config = { path = "/run/production-backend/token", mode = 0600 }
  #}
}

# Vault's agent before 1.8 ignores this interval and takes about five minutes.
template_config {
  static_secret_render_interval = "5m" # the file may be this late; README.md says how long grace_period must then be
}

template {
  contents             = "{{ with secret \"secret/data/apimall/production-backend\" }}{{ .Data.data.api_key }}{{ end }}"
  destination          = "/run/production-backend/api-key"
  perms                = "0600"
  error_on_missing_key = true

  # If the program reads the file only when it starts or is told to:
  # exec { command = ["systemctl", "reload", "production-backend"] }
}

# Confirms each new key, for the consumer web: docs/consumers.md. The agent runs a command when all its files are written.
# If the command fails, it removes its file. Then the agent soon makes the file again, and runs the command again. Without Vault's own client in PATH, write its full path here; with OpenBao, write bao.
#template {
  #contents    = "{{ with secret \"secret/data/apimall/production-backend\" }}{{ .Data.data.rotation.key_id }}{{ end }}"
  #destination = "/run/production-backend/key-id"
  #exec {
    #command = ["sh", "-c", "VAULT_TOKEN=$(cat /run/production-backend/token) vault kv put secret/rotator/acks/apimall/production-backend/web key_id=@/run/production-backend/key-id || { rm /run/production-backend/key-id; exit 1; }"]
  #}
#}
