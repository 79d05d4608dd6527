-- What docs/admin/roles.md says that Prosody needs for our focus and bridge; the rest is the container's.
prosody_user = "root"
run_as_root = true
daemonize = false
data_path = "/tmp/prosody"
log = { info = "*console" }
c2s_require_encryption = false
consider_bosh_secure = true
consider_websocket_secure = true
http_default_host = "meet.jitsi"
http_interfaces = { "*" }
http_ports = { 5280 }
https_ports = {}
modules_disabled = { "s2s" }
modules_enabled = { "roster", "saslauth", "disco", "ping", "posix", "bosh", "websocket", "smacks" }

VirtualHost "meet.jitsi"
  authentication = "anonymous"
VirtualHost "auth.meet.jitsi"
  authentication = "internal_hashed"
Component "muc.meet.jitsi" "muc"
  muc_room_locking = false
  muc_room_default_public_jids = true
  admins = { "focus@auth.meet.jitsi" }
Component "internal-muc.meet.jitsi" "muc"
  muc_room_locking = false
  muc_room_default_public_jids = true
  admins = { "focus@auth.meet.jitsi", "jvb@auth.meet.jitsi" }
