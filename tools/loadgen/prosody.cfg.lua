-- Stock Prosody (Debian 12: 0.12) as the peer of `loadgen signalling` and `cargo xtask bench`, on loopback only.
-- @DIRECTORY@ is replaced by an empty folder; then `prosody -F --config FILE` runs it in the foreground, also as root.
-- What Jitsi's own installations switch on is on; what would only slow it down here (disk, logs, rate limits, TLS,
-- which a web server in front ends) is off.
run_as_root = true
pidfile = "@DIRECTORY@/prosody.pid"
data_path = "@DIRECTORY@"
certificates = "@DIRECTORY@"
log = { warn = "@DIRECTORY@/prosody.log" }

network_backend = "epoll"
-- As in docker-jitsi-meet. Prosody's own default collects garbage so eagerly that it takes several times the CPU.
gc = { mode = "incremental"; threshold = 400; speed = 250; step_size = 13 }
storage = "memory"
authentication = "anonymous"

modules_enabled = { "saslauth"; "disco"; "ping"; "smacks"; "websocket"; "posix" }
modules_disabled = { "s2s"; "offline"; "tls"; "limits" }
c2s_ports = {}
c2s_require_encryption = false
consider_websocket_secure = true
cross_domain_websocket = true
smacks_max_unacked_stanzas = 5
smacks_hibernation_time = 60

interfaces = { "127.0.0.1" }
http_interfaces = { "127.0.0.1" }
http_ports = { 5280 }
https_ports = {}
http_default_host = "meet.jitsi"

VirtualHost "meet.jitsi"

Component "muc.meet.jitsi" "muc"
    muc_room_locking = false
    muc_room_default_public_jids = true
    restrict_room_creation = false
    muc_tombstones = false
    max_history_messages = 0
