//! A request's path in, tenant and what is meant out. Decides nothing about content and reads nothing.

use jitsi_xmpp::{RoomAddress, Tenant};

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The tenant in its one spelling, as it stands in domains; empty without one.
    pub(super) tenant: String,
    /// The path without the tenant, decoded, absolute, without `.` or `..`.
    pub(super) path: String,
}

/// Understands a decoded-once path. `None`: nobody gets such a path from a link of ours.
pub(super) fn place(raw: &str) -> Option<Place> {
    let decoded = percent_decode(raw)?;
    if !decoded.starts_with('/') || decoded.chars().any(|c| c.is_control() || c == '\\') {
        return None;
    }
    let parts: Vec<&str> = decoded.split('/').filter(|p| !p.is_empty()).collect();
    if parts.iter().any(|p| *p == "." || *p == "..") {
        return None;
    }
    let slash = if decoded.len() > 1 && decoded.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    let whole = || format!("/{}{slash}", parts.join("/"));
    match parts.split_first() {
        // One segment is a room or a file of the root; a folder of the app is never a tenant.
        Some((first, rest)) if !rest.is_empty() && !FOLDERS.contains(first) && !ENDPOINTS.contains(first) => {
            // compat: everything before the last segment is the tenant; clients only build one segment of it
            // (test: rooms_tenants_and_files).
            let tenant = Tenant::from_path(first).ok()?.as_str().to_owned();
            Some(Place { tenant, path: format!("/{}{slash}", rest.join("/")) })
        }
        _ => Some(Place { tenant: String::new(), path: whole() }),
    }
}

/// Whether the path names a room and so gets the app's page: one segment without the characters that upstream's web
/// server refuses, of which the app makes a room that the other parts take.
pub(super) fn is_room(tenant: &str, path: &str) -> bool {
    let name = path.trim_matches('/');
    let ours = FOLDERS.contains(&name) || ENDPOINTS.contains(&name) || name == "_unlock";
    let tenant = (!tenant.is_empty()).then(|| Tenant::new(tenant)).transpose();
    !ours
        && !name.contains(['/', '?', '&', ':', '\'', '"', '<', '>', '#'])
        && tenant.is_ok_and(|tenant| RoomAddress::from_path(tenant, name).is_ok())
}

/// A service's path and query for the role that serves it: `/<tenant>/x?a` becomes `/x?prefix=<tenant>&a`.
///
/// A `prefix` that the client wrote itself is dropped: it would open another tenant's rooms.
pub(super) fn service(path: &str, query: Option<&str>) -> Option<String> {
    let place = place(path)?;
    let first = place.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if !ENDPOINTS.contains(&first) {
        return None;
    }
    let foreign =
        |p: &&str| percent_decode(p.split('=').next().unwrap_or_default()).as_deref() != Some("prefix");
    let mut arguments: Vec<&str> =
        query.unwrap_or_default().split('&').filter(|p| !p.is_empty()).filter(foreign).collect();
    let prefix = format!("prefix={}", encode(&place.tenant));
    if !place.tenant.is_empty() {
        arguments.insert(0, &prefix);
    }
    let separator = if arguments.is_empty() { "" } else { "?" };
    // The part behind a service's name (colibri-ws has one) is passed on as it came.
    let raw = if place.tenant.is_empty() {
        path
    } else {
        path.get(1..)?.find('/').and_then(|i| path.get(i + 1..))?
    };
    Some(format!("{raw}{separator}{}", arguments.join("&")))
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Decodes `%XX`; `None` when it is broken or no UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

/// The app's folders (upstream's list), ours, and what other parts serve below their own names.
const FOLDERS: &[&str] = &[
    "libs",
    "css",
    "static",
    "images",
    "fonts",
    "lang",
    "sounds",
    "connection_optimization",
    ".well-known",
    "transcripts",
    "_plausch",
    "_api",
];
const ENDPOINTS: &[&str] = &["xmpp-websocket", "http-bind", "conference-request", "colibri-ws"];

#[cfg(test)]
mod tests {
    use jitsi_xmpp::limits::MAX_TENANT_CHARS as TENANT;

    use super::*;

    fn at(path: &str) -> Option<(String, String)> {
        place(path).map(|p| (p.tenant, p.path))
    }

    #[test]
    fn rooms_tenants_and_files() {
        let is = |t: &str, p: &str| Some((t.to_owned(), p.to_owned()));
        assert_eq!(at("/"), is("", "/"));
        assert_eq!(at("/rathaus"), is("", "/rathaus"));
        assert_eq!(at("/b%C3%BCrgerforum"), is("", "/bürgerforum"));
        assert_eq!(at("/Stadt-A/rathaus"), is("stadt-a", "/rathaus"));
        assert_eq!(at("/stadt-a/config.js"), is("stadt-a", "/config.js"));
        assert_eq!(at("/stadt-a/libs/app.js"), is("stadt-a", "/libs/app.js"));
        assert_eq!(at("/libs/app.js"), is("", "/libs/app.js"));
        assert_eq!(at("/stadt-a/"), is("", "/stadt-a/"));
    }

    #[test]
    fn no_path_leaves_the_root_however_it_is_written() {
        for path in [
            "/../etc/passwd",
            "/libs/../../etc/passwd",
            "/%2e%2e/x",
            "/libs/%2e%2e%2f%2e%2e%2fetc",
            "/a/..",
            "/..%5cx",
            "/x%00",
            "/a\\b",
            "/%",
            "/%zz",
            "/%ff",
            "x",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
        // Encoded slashes become path separators before anything looks at them.
        assert_eq!(at("/libs%2f..%2fx"), None);
    }

    /// Tenants with these signs were 404 here while the XMPP server took them.
    #[test]
    fn a_tenant_is_what_the_xmpp_server_takes_for_one() {
        let is = |t: &str| Some((t.to_owned(), "/r".to_owned()));
        for sign in "+,!~(*=".chars() {
            assert_eq!(at(&format!("/a{sign}b/r")), is(&format!("a{sign}b")));
        }
        assert_eq!(at("/Stadt.A/r"), is("stadt_a"));
        assert_eq!(at("/Cafe%CC%81/r"), is("café"));
        for bad in ["/a@b/r", "/a%20b/r", "/%EF%BB%BF/r", "/[a]/r", "/a%25/r"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    /// The list that the XMPP server, the focus and the bridge are held to.
    #[test]
    fn names_are_names_in_all_parts() {
        use scenarios::names;
        for (tenant, expected) in names::tenants() {
            // Without a segment there is no tenant.
            if !tenant.is_empty() {
                let path = format!("/{}/rathaus", encode(&tenant));
                assert_eq!(place(&path).is_some_and(|p| is_room(&p.tenant, &p.path)), expected, "{tenant:?}");
            }
        }
        for (name, node) in names::typed() {
            for (tenant, town) in [("/", None), ("/town/", Some(Tenant::new("town").unwrap()))] {
                // With nothing behind it, what looks like a tenant is a room.
                if name.is_empty() && town.is_some() {
                    continue;
                }
                let path = format!("{tenant}{}", encode(&name));
                let served = place(&path).is_some_and(|p| is_room(&p.tenant, &p.path));
                assert_eq!(served, node.is_some(), "{tenant}{name:?}");
                let room = RoomAddress::from_path(town, &name).ok().map(|r| r.room().to_owned());
                assert!(!served || room == node, "{name:?}");
            }
        }
    }

    #[test]
    fn a_tenant_at_the_limit_is_one_and_beyond_is_not() {
        assert_eq!(at(&format!("/{}/r", "t".repeat(TENANT))).map(|p| p.1), Some("/r".into()));
        assert_eq!(at(&format!("/{}/r", "t".repeat(TENANT + 1))), None);
        for bad in ["/a%27b/r", "/a%22/r", "/a:b/r", "/a%0ab/r", "/%E2%80%A8/r", "/a%3Cb/r"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn services_learn_the_tenant_from_the_path_alone() {
        assert_eq!(service("/xmpp-websocket", Some("room=a")).as_deref(), Some("/xmpp-websocket?room=a"));
        assert_eq!(
            service("/stadt-a/xmpp-websocket", Some("room=a&prefix=other")).as_deref(),
            Some("/xmpp-websocket?prefix=stadt-a&room=a")
        );
        assert_eq!(service("/http-bind", Some("prefix=other")).as_deref(), Some("/http-bind"));
        assert_eq!(
            service("/http-bind", Some("%70refix=other&room=a")).as_deref(),
            Some("/http-bind?room=a")
        );
        assert_eq!(
            service("/stadt-a/conference-request/v1", None).as_deref(),
            Some("/conference-request/v1?prefix=stadt-a")
        );
        assert_eq!(
            service("/colibri-ws/jvb/1/a", Some("pwd=x%2F")).as_deref(),
            Some("/colibri-ws/jvb/1/a?pwd=x%2F")
        );
        assert_eq!(service("/rathaus", None), None);
        assert_eq!(service("/stadt-a/rathaus", None), None);
    }

    #[test]
    fn room_names() {
        for yes in ["/rathaus", "/Rat haus", "/bürgerforum", "/stadt-a/"] {
            assert!(is_room("", yes), "{yes}");
        }
        for no in ["/", "", "/a/b", "/a\"b", "/_plausch"] {
            assert!(!is_room("", no), "{no}");
        }
    }
}
