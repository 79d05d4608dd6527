//! A path in, a file of the built-in test-call page out.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Bytes;

use super::kept;

/// A file of the page: content type and text.
pub(super) struct Asset {
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

impl Asset {
    /// The text in gzip, made when it is first asked for. There are as many as files of the page: 40 kB in all.
    pub(super) fn gzip(&self) -> Bytes {
        static MADE: LazyLock<Mutex<HashMap<usize, Bytes>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let pack = || kept::gzip(self.text.as_bytes()).map_or_else(|| Bytes::from_static(b""), Bytes::from);
        // Each text has its own place in the program.
        made.entry(self.text.as_ptr() as usize).or_insert_with(pack).clone()
    }
}

/// Where the page's own files are.
pub(super) const PREFIX: &str = "/_plausch/";

/// Where below [`PREFIX`] the page is beside a web app, too; rooms are below it.
pub(super) const OWN: &str = "test";

/// The page itself, for `/` and for every room.
pub(super) const INDEX: Asset =
    Asset { content_type: "text/html; charset=utf-8", text: include_str!("../../web/index.html") };

/// What the page may do: talk to us, show its own camera, nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
     img-src 'self' data:; media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// A file below [`PREFIX`].
pub(super) fn asset(name: &str) -> Option<Asset> {
    let text = match name {
        "style.css" => {
            return Some(Asset {
                content_type: "text/css; charset=utf-8",
                text: include_str!("../../web/style.css"),
            });
        }
        "main.js" => include_str!("../../web/main.js"),
        "admission.js" => include_str!("../../web/admission.js"),
        "bosh.js" => include_str!("../../web/bosh.js"),
        "check.js" => include_str!("../../web/check.js"),
        "channel.js" => include_str!("../../web/channel.js"),
        "dom.js" => include_str!("../../web/dom.js"),
        "doorstep.js" => include_str!("../../web/doorstep.js"),
        "entry.js" => include_str!("../../web/entry.js"),
        "focus.js" => include_str!("../../web/focus.js"),
        "i18n.js" => include_str!("../../web/i18n.js"),
        "jingle.js" => include_str!("../../web/jingle.js"),
        "knocks.js" => include_str!("../../web/knocks.js"),
        "media.js" => include_str!("../../web/media.js"),
        "meeting.js" => include_str!("../../web/meeting.js"),
        "panels.js" => include_str!("../../web/panels.js"),
        "presence.js" => include_str!("../../web/presence.js"),
        "random.js" => include_str!("../../web/random.js"),
        "report.js" => include_str!("../../web/report.js"),
        "room.js" => include_str!("../../web/room.js"),
        "sdp.js" => include_str!("../../web/sdp.js"),
        "session.js" => include_str!("../../web/session.js"),
        "sound.js" => include_str!("../../web/sound.js"),
        "stage.js" => include_str!("../../web/stage.js"),
        "support.js" => include_str!("../../web/support.js"),
        "ui.js" => include_str!("../../web/ui.js"),
        "verdict.js" => include_str!("../../web/verdict.js"),
        "watch.js" => include_str!("../../web/watch.js"),
        "where.js" => include_str!("../../web/where.js"),
        "xml.js" => include_str!("../../web/xml.js"),
        "xmpp.js" => include_str!("../../web/xmpp.js"),
        _ => return None,
    };
    Some(Asset { content_type: "text/javascript; charset=utf-8", text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_but_us_and_needs_no_inline_script() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web")).unwrap();
        for file in files.flatten().filter(|f| f.path().is_file()) {
            let (name, text) =
                (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap());
            for url in ["http://", "https://"].iter().flat_map(|s| text.match_indices(s)) {
                let rest = &text[url.0..];
                // Words for people about https, and no address.
                if !rest[url.1.len()..]
                    .starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$' || c == '[')
                {
                    continue;
                }
                // Namespaces look like addresses and are none.
                let named = [
                    "http://jitsi.org/",
                    "https://jitsi.org/",
                    "http://jabber.org/",
                    "http://etherx.jabber.org/",
                    "http://www.w3.org/",
                ];
                assert!(named.iter().any(|n| rest.starts_with(n)), "{name}: {}", &rest[..60.min(rest.len())]);
            }
            if name.ends_with(".html") {
                assert!(
                    !text.contains("<script>") && !text.contains(" style=") && !text.contains(" onclick="),
                    "{name}"
                );
            } else {
                assert!(asset(&name).is_some(), "{name} is not embedded");
            }
        }
    }
}
