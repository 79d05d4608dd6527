//! A site of nginx's and a config.js of Jitsi's in; what would be different without them, out.

use super::Found;
use crate::doctor::checks::Finding;
use crate::foreign::nginx::{self, Directive};
use crate::words::{Words, listed, words};

/// What of a site counts here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) names: Vec<String>,
    /// Certificate and key, as written.
    pub(super) certificates: Vec<(String, String)>,
}

/// Reads a site and says what of it has no place.
pub(super) fn nginx(text: &str, from: &str, found: &mut Found) -> Site {
    let mut site = Site::default();
    let all = match nginx::parse(text) {
        Ok(all) => all,
        Err(e) => {
            found.push((
                "web-server",
                Finding::red(
                    words!("{from} is not understood: {e}", "{from} ist nicht zu verstehen: {e}"),
                    words!("look whether it keeps people out", "nachsehen, ob sie Leute draußen hält"),
                ),
            ));
            return site;
        }
    };
    for server in all.iter().filter(|d| d.name() == "server") {
        let value = |name: &str| server.block.iter().find(|d| d.name() == name).map(Directive::rest);
        for name in value("server_name").unwrap_or_default().split_whitespace() {
            if !site.names.iter().any(|n| n == name) {
                site.names.push(name.to_owned());
            }
        }
        if let (Some(chain), Some(key)) = (value("ssl_certificate"), value("ssl_certificate_key")) {
            site.certificates.push((chain, key));
        }
    }
    look(&all, from, false, found);
    site
}

/// `placed`: within a place, which is Jitsi's own or has been said.
fn look(all: &[Directive], from: &str, placed: bool, found: &mut Found) {
    for d in all {
        let (name, rest, line) = (d.name(), d.rest(), d.line);
        let closes = match name {
            "auth_basic" => rest != "off",
            "auth_request" | "allow" | "deny" | "satisfy" | "valid_referers" | "secure_link" | "auth_jwt" => {
                true
            }
            "ssl_verify_client" => rest != "off",
            _ => false,
        };
        let place = format!("{name} in {from}, line {line}");
        if closes {
            found.push((
                "restrictions",
                Finding::red(
                    words!("{place}: the web server keeps people out, and ours has nothing like it", "{place}: der Webserver hält Leute draußen, und unserer kann das nicht"),
                    words!("keep that web server in front (jitsi-web-patches), or remove it there if meetings may be open", "den Webserver davor lassen (jitsi-web-patches), oder es dort entfernen, wenn Besprechungen offen sein dürfen"),
                ),
            ));
        }
        let own = match name {
            "location" => !USUAL.iter().any(|usual| rest.contains(usual)) && rest != "/" && rest != "= /",
            "rewrite" | "proxy_pass" | "fastcgi_pass" | "sub_filter" => !placed,
            "include" => {
                !rest.contains("jitsi/meet/jaas") && !rest.contains("/modules") && !rest.contains("_params")
            }
            "limit_req" | "limit_conn" => true,
            "add_header" => rest.starts_with("Content-Security-Policy"),
            _ => false,
        };
        if own && !closes {
            let what = format!("{name} {}", shortened(&rest));
            found.push((
                "web-server",
                Finding::yellow(
                    words!(
                        "{what} in {from}, line {line}, is not carried over",
                        "{what} in {from}, Zeile {line}, wird nicht übernommen"
                    ),
                    words!(
                        "if it is needed, keep a web server in front (jitsi-web-patches)",
                        "wird es gebraucht, einen Webserver davor lassen (jitsi-web-patches)"
                    ),
                ),
            ));
        }
        look(&d.block, from, placed || name == "location", found);
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 60 { text.chars().take(60).chain(['…']).collect() } else { text.to_owned() }
}

/// Of places that Jitsi's own site has (deployment §5): our front has them, too.
const USUAL: &[&str] = &[
    "config.js",
    "external_api.js",
    "libs|css",
    "room-info",
    "http-bind",
    "xmpp-websocket",
    "colibri-ws",
    "colibri-relay-ws",
    "acme-challenge",
    "@root_path",
    "conference-request",
    "_unlock",
    "_api/",
    "[^/",
    "/robots.txt",
    "well-known",
    "/ssi/",
    "static",
];

/// Whom browsers of a config.js are sent to, besides the server itself. It is not executed.
pub(super) fn third_parties(js: &str, host: &str) -> Option<Words> {
    let mut hosts: Vec<String> = Vec::new();
    for line in uncommented(js).lines() {
        for mark in ["https://", "http://", "wss://", "stun:", "turn:", "turns:"] {
            for rest in line.split(mark).skip(1) {
                let like = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
                let name: String = rest.chars().take_while(like).take(253).collect();
                if name.contains('.') && name != host && !hosts.contains(&name) && hosts.len() < MOST_HOSTS {
                    hosts.push(name);
                }
            }
        }
    }
    if hosts.is_empty() {
        return None;
    }
    let hosts = listed(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
    Some(words!("its config.js names other servers: {hosts}", "die config.js nennt andere Server: {hosts}"))
}

/// Without what stands in comments.
fn uncommented(js: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut rest = js.chars();
    while let Some(c) = rest.next() {
        let ahead = rest.as_str();
        match (quote, c) {
            (None, '/') if ahead.starts_with('/') => {
                rest.by_ref().find(|c| *c == '\n');
                out.push('\n');
            }
            (None, '/') if ahead.starts_with('*') => {
                rest = ahead.get(1..).and_then(|a| a.split_once("*/")).map_or("", |(_, after)| after).chars();
            }
            (None, '"' | '\'' | '`') => {
                quote = Some(c);
                out.push(c);
            }
            (Some(_), '\\') => {
                rest.next();
            }
            // A text does not go over a line, unless it is one of the third kind.
            (Some(q), c) if c == q || c == '\n' && q != '`' => {
                quote = None;
                out.push(c);
            }
            (_, c) => out.push(c),
        }
    }
    out
}

/// Not a bound: who names more has a list that nobody reads.
const MOST_HOSTS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::checks::Level;

    const SITE: &str = "server { listen 80; server_name meet.example; location ^~ /.well-known/acme-challenge/ { root /usr/share/jitsi-meet; } location = /.well-known/acme-challenge/ { return 404; } location / { return 301 https://$host$request_uri; } }\n\
        server {\n listen 443 ssl; server_name meet.example; ssl_certificate /etc/jitsi/meet/meet.example.crt; ssl_certificate_key /etc/jitsi/meet/meet.example.key;\n\
        include /etc/jitsi/meet/jaas/*.conf;\n location = /config.js { alias /etc/jitsi/meet/meet.example-config.js; }\n\
        location = /http-bind { proxy_pass http://prosody/http-bind?prefix=$prefix; }\n location @root_path { rewrite ^/(.*)$ / break; }\n\
        location ~ ^/([^/?&:'\"]+)/config.js$ { set $subdomain \"$1.\"; }\n MORE }\n";

    fn judged(more: &str) -> (Site, Found) {
        let mut found = Found::new();
        let site = nginx(&SITE.replace("MORE", more), "site", &mut found);
        (site, found)
    }

    #[test]
    fn what_jitsi_s_own_site_has_is_silent_and_the_rest_is_said() {
        let (site, found) = judged("");
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(site.names, ["meet.example"]);
        assert_eq!(site.certificates[0].0, "/etc/jitsi/meet/meet.example.crt");
        for (more, level) in [
            ("location /pad/ { proxy_pass http://127.0.0.1:9001/; }", Level::Yellow),
            ("location = /http-bind { allow 10.0.0.0/8; deny all; }", Level::Red),
            ("auth_basic \"town\";", Level::Red),
            ("ssl_verify_client on;", Level::Red),
            ("include /etc/nginx/town/*.conf;", Level::Yellow),
            ("limit_req zone=a;", Level::Yellow),
        ] {
            let (_, found) = judged(more);
            assert_eq!(found.iter().map(|(_, f)| f.level).max(), Some(level), "{more}: {found:?}");
        }
        assert_eq!(judged("location {").1.first().map(|(_, f)| f.level), Some(Level::Red));
    }

    #[test]
    fn other_servers_in_a_config_js_are_named_unless_in_a_comment() {
        let js = "// https://commented.example\n/* https://c.example\n https://d.example */ a: 'https://stats.example/x', b: 'wss://meet.example/xmpp-websocket',\n urls: 'stun:stun.example:443' }";
        let said = third_parties(js, "meet.example").unwrap().en;
        assert!(said.ends_with(": stats.example, stun.example"), "{said}");
        assert_eq!(third_parties("bosh: 'https://meet.example/http-bind'", "meet.example"), None);
    }
}
