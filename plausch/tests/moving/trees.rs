//! A town's name in; folders as docker-jitsi-meet and Debian's packages leave them, out.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const HOST: &str = "meet.localhost";

/// Writes files below a folder.
pub(crate) fn write(root: &Path, files: &[(&str, String)]) {
    for (file, text) in files {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

fn account(key: char) -> String {
    let key = key.to_string().repeat(40);
    format!(
        "return {{\n\t[\"salt\"] = \"c87b2c2f-22a8\";\n\t[\"iteration_count\"] = 10000;\n\t[\"stored_key\"] = \"{key}\";\n\t[\"server_key\"] = \"{key}\";\n}};\n"
    )
}

/// Certificate and key, made by ourselves.
pub(crate) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Before and after June 2026.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Generation {
    Rootless,
    Older,
}

/// An `.env` with its folder beside it.
pub(crate) fn docker(root: &Path, generation: Generation, ports: [u16; 3], more: &str) {
    let [http, https, media] = ports;
    let (chain, key) = certificate();
    let data =
        if generation == Generation::Rootless { "storage/prosody/data" } else { "prosody/config/data" };
    write(
        root,
        &[
            (
                ".env",
                format!(
                    "# a town's\nCONFIG=./cfg\nHTTP_PORT={http}\nHTTPS_PORT={https}\nJVB_PORT={media}\nTZ=Europe/Berlin\nPUBLIC_URL=https://{HOST}\n\
                     JICOFO_AUTH_PASSWORD=0123456789abcdef\nJVB_AUTH_PASSWORD=fedcba9876543210\nENABLE_PREJOIN_PAGE=0\nRESTART_POLICY=unless-stopped\n{more}"
                ),
            ),
            ("cfg/web/keys/cert.crt", chain),
            ("cfg/web/keys/cert.key", key),
            ("cfg/web/custom-config.js", "config.town = 'michladle';\n".into()),
            ("cfg/web/nginx-custom/town.conf", "location = /imprint { return 302 https://town.example/; }\n".into()),
            ("cfg/jvb/custom-jvb.conf", "videobridge.stats.interval = 10 seconds\nice4j.harvest.mapping.static-mappings = [ { local-address = 127.0.0.1, public-address = 127.0.0.1 } ]\n".into()),
            ("cfg/jicofo/custom-jicofo.conf", "jicofo { conference { max-video-senders = 25 } }\n".into()),
            (&format!("cfg/{data}/meet%2ejitsi/accounts/anna.dat"), account('a')),
            (&format!("cfg/{data}/auth%2emeet%2ejitsi/accounts/focus.dat"), account('b')),
        ],
    );
    if generation == Generation::Older {
        // What its images write themselves.
        write(
            root,
            &[
                (
                    "cfg/jicofo/jicofo.conf",
                    "jicofo { xmpp.client.password = \"x\" }\ninclude \"custom-jicofo.conf\"\n".into(),
                ),
                (
                    "cfg/prosody/config/conf.d/jitsi-meet.cfg.lua",
                    "VirtualHost \"meet.jitsi\"\n  authentication = os.getenv(\"X\")\n".into(),
                ),
            ],
        );
    }
}

/// `etc`, `var` and `usr` as the packages leave them.
pub(crate) fn debian(root: &Path) -> PathBuf {
    let (chain, key) = certificate();
    write(
        root,
        &[
            (
                &format!("etc/jitsi/meet/{HOST}-config.js"),
                format!(
                    "var config = {{\n hosts: {{ domain: '{HOST}', muc: 'conference.' + subdomain + '{HOST}' }},\n bosh: 'https://{HOST}/' + subdir + 'http-bind',\n \
                     websocket: 'wss://{HOST}/' + subdir + 'xmpp-websocket',\n // analytics: 'https://nobody.example'\n p2p: {{ stunServers: [ {{ urls: 'stun:stun.example:443' }} ] }},\n startAudioMuted: 3,\n}};\n"
                ),
            ),
            (&format!("etc/jitsi/meet/{HOST}.crt"), chain),
            (&format!("etc/jitsi/meet/{HOST}.key"), key),
            (
                "etc/jitsi/videobridge/jvb.conf",
                format!(
                    "videobridge {{\n http-servers {{ public {{ port = 9090 }} }}\n websockets {{ enabled = true, domain = \"{HOST}:443\", tls = true }}\n \
                     apis.xmpp-client.configs {{ shard {{ HOSTNAME=\"localhost\", DOMAIN=\"auth.{HOST}\", USERNAME=\"jvb\", PASSWORD=\"b3geheim\", MUC_JIDS=\"JvbBrewery@internal.auth.{HOST}\", MUC_NICKNAME=\"one\", DISABLE_CERTIFICATE_VERIFICATION=true }} }}\n}}\n\
                     ice4j.harvest.mapping.stun.addresses = [ \"stun.example:443\" ]\n"
                ),
            ),
            (
                "etc/jitsi/jicofo/jicofo.conf",
                format!(
                    "jicofo {{\n xmpp: {{ client: {{ client-proxy: \"focus.{HOST}\", xmpp-domain: \"{HOST}\", domain: \"auth.{HOST}\", username: \"focus\", password: \"f0geheim\" }}, trusted-domains: [ \"recorder.{HOST}\" ] }}\n \
                     bridge: {{ brewery-jid: \"JvbBrewery@internal.auth.{HOST}\" }}\n}}\n"
                ),
            ),
            (
                &format!("etc/prosody/conf.avail/{HOST}.cfg.lua"),
                format!(
                    "plugin_paths = {{ \"/usr/share/jitsi-meet/prosody-plugins/\" }}\nmuc_mapper_domain_base = \"{HOST}\";\nexternal_service_secret = \"t7geheim\";\n\
                     external_services = {{\n {{ type = \"stun\", host = \"{HOST}\", port = 3478 }},\n {{ type = \"turn\", host = \"{HOST}\", port = 3478, transport = \"udp\", secret = true, ttl = 86400, algorithm = \"turn\" }},\n \
                     {{ type = \"turns\", host = \"{HOST}\", port = 5349, transport = \"tcp\", secret = true, ttl = 86400, algorithm = \"turn\" }}\n}};\n\
                     cross_domain_bosh = false;\nconsider_bosh_secure = true;\nunlimited_jids = {{ \"focus@auth.{HOST}\" }}\n\
                     VirtualHost \"{HOST}\"\n authentication = \"jitsi-anonymous\" -- open\n ssl = {{ key = \"/etc/prosody/certs/{HOST}.key\"; certificate = \"/etc/prosody/certs/{HOST}.crt\"; }}\n \
                     modules_enabled = {{ \"bosh\"; \"websocket\"; \"smacks\"; \"ping\"; \"external_services\"; \"muc_lobby_rooms\"; \"av_moderation\"; }}\n c2s_require_encryption = false\n lobby_muc = \"lobby.{HOST}\"\n main_muc = \"conference.{HOST}\"\n\
                     Component \"conference.{HOST}\" \"muc\"\n restrict_room_creation = true\n storage = \"memory\"\n modules_enabled = {{ \"muc_hide_all\"; \"muc_meeting_id\"; \"muc_domain_mapper\"; \"polls\"; --\"token_verification\";\n \"muc_rate_limit\"; }}\n admins = {{ \"focus@auth.{HOST}\" }}\n muc_room_locking = false\n\
                     VirtualHost \"auth.{HOST}\"\n authentication = \"internal_hashed\"\n modules_enabled = {{ \"limits_exception\"; \"smacks\"; }}\n smacks_hibernation_time = 15;\n\
                     Component \"focus.{HOST}\" \"client_proxy\"\n target_address = \"focus@auth.{HOST}\"\n"
                ),
            ),
            (
                &format!("etc/nginx/sites-available/{HOST}.conf"),
                format!(
                    "server {{ listen 80; server_name {HOST}; location ^~ /.well-known/acme-challenge/ {{ root /usr/share/jitsi-meet; }} location / {{ return 301 https://$host$request_uri; }} }}\n\
                     server {{\n listen 443 ssl http2; server_name {HOST};\n ssl_certificate /etc/jitsi/meet/{HOST}.crt;\n ssl_certificate_key /etc/jitsi/meet/{HOST}.key;\n \
                     location = /config.js {{ alias /etc/jitsi/meet/{HOST}-config.js; }}\n location = /http-bind {{ proxy_pass http://prosody/http-bind; }}\n location /pad/ {{ proxy_pass http://127.0.0.1:9001/; }}\n \
                     location @root_path {{ rewrite ^/(.*)$ / break; }}\n}}\n"
                ),
            ),
            (
                "etc/turnserver.conf",
                format!(
                    "use-auth-secret\nstatic-auth-secret=t7geheim\nrealm={HOST}\nlistening-port=3478\ntls-listening-port=5349\n"
                ),
            ),
            ("var/lib/prosody/meet%2elocalhost/accounts/anna.dat", account('a')),
            ("var/lib/prosody/auth%2emeet%2elocalhost/accounts/jvb.dat", account('b')),
            (
                "usr/share/jitsi-meet/index.html",
                "<html><!--#include virtual=\"title.html\" --><body>Rathaus</body></html>\n".into(),
            ),
            ("usr/share/jitsi-meet/title.html", "<title>Town</title>\n".into()),
            (
                "usr/share/jitsi-meet/interface_config.js",
                "var interfaceConfig = { APP_NAME: 'Town' };\n".into(),
            ),
        ],
    );
    root.join("etc")
}
