-- Debian's Prosody (12: 0.12, 13: 13.0) as the one we are compared with, on loopback only. `@…@` is replaced by the test.
-- Only what is Prosody's own: none of Jitsi's modules.
run_as_root = true
pidfile = "@DIRECTORY@/prosody.pid"
data_path = "@DIRECTORY@"
certificates = "@DIRECTORY@"
log = { warn = "@DIRECTORY@/prosody.log" }

storage = { accounts = "internal"; default = "memory" }
modules_enabled = { "saslauth"; "tls"; "disco"; "ping"; "smacks"; "websocket"; "posix"; "roster"; "version"; "external_services" }
modules_disabled = { "s2s"; "offline"; "limits" }
c2s_ports = { @C2S@ }
c2s_require_encryption = true
consider_websocket_secure = true
smacks_hibernation_time = 60

interfaces = { "127.0.0.1" }
http_interfaces = { "127.0.0.1" }
http_ports = { @HTTP@ }
https_ports = {}
http_default_host = "meet.jitsi"

admins = { "focus@auth.meet.jitsi" }
component_admins_as_room_owners = true

VirtualHost "meet.jitsi"
    authentication = "anonymous"

VirtualHost "auth.meet.jitsi"
    authentication = "internal_hashed"

-- As docker-jitsi-meet has it.
Component "muc.meet.jitsi" "muc"
    restrict_room_creation = true
    muc_room_locking = false
    muc_room_default_public_jids = true
    muc_tombstones = false
    muc_room_allow_persistent = false
