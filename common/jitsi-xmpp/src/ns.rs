//! Every namespace on the wire, each with the specification or upstream part it comes from.

macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $uri;)*

        /// The static string for a namespace known here, so that parsing does not allocate for it.
        pub(crate) fn intern(uri: &str) -> Option<&'static str> {
            match uri { $($uri => Some($uri),)* _ => None }
        }
    };
}

namespaces! {
    /// RFC 6120, client to server.
    CLIENT = "jabber:client";
    /// RFC 6120, the stream itself.
    STREAM = "http://etherx.jabber.org/streams";
    /// RFC 6120 §8.3.3.
    STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// RFC 6120 §5.
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// RFC 6120 §6.
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// RFC 6120 §7.
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// RFC 3921 §3, still asked for by clients.
    SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    /// RFC 7395.
    FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
    /// XEP-0124.
    HTTP_BIND = "http://jabber.org/protocol/httpbind";
    /// XEP-0206.
    XBOSH = "urn:xmpp:xbosh";
    /// XEP-0198.
    SM = "urn:xmpp:sm:3";
    /// RFC 6121 §2.
    ROSTER = "jabber:iq:roster";
    /// XEP-0199.
    PING = "urn:xmpp:ping";
    /// XEP-0092.
    VERSION = "jabber:iq:version";
    /// XEP-0030.
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// XEP-0030.
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// XEP-0115.
    CAPS = "http://jabber.org/protocol/caps";
    /// XEP-0215.
    EXTDISCO_2 = "urn:xmpp:extdisco:2";
    /// XEP-0215, the older form.
    EXTDISCO_1 = "urn:xmpp:extdisco:1";
    /// XEP-0004.
    DATA_FORMS = "jabber:x:data";
    /// XEP-0203.
    DELAY = "urn:xmpp:delay";
    /// XEP-0172.
    NICK = "http://jabber.org/protocol/nick";
    /// XEP-0334.
    HINTS = "urn:xmpp:hints";
    /// XEP-0045.
    MUC = "http://jabber.org/protocol/muc";
    /// XEP-0045.
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// XEP-0045.
    MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    /// XEP-0045.
    MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    /// XEP-0166.
    JINGLE = "urn:xmpp:jingle:1";
    /// XEP-0167.
    JINGLE_RTP = "urn:xmpp:jingle:apps:rtp:1";
    /// XEP-0293.
    JINGLE_RTCP_FB = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
    /// XEP-0294.
    JINGLE_HDREXT = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
    /// XEP-0339.
    JINGLE_SSMA = "urn:xmpp:jingle:apps:rtp:ssma:0";
    /// XEP-0338.
    JINGLE_GROUPING = "urn:xmpp:jingle:apps:grouping:0";
    /// XEP-0320.
    JINGLE_DTLS = "urn:xmpp:jingle:apps:dtls:0";
    /// XEP-0176.
    JINGLE_ICE_UDP = "urn:xmpp:jingle:transports:ice-udp:1";
    /// XEP-0343.
    JINGLE_DTLS_SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1";
    /// Upstream focus: conference request, properties, bridge session.
    FOCUS = "http://jitsi.org/protocol/focus";
    /// Upstream bridge: stats in the brewery, `web-socket` in a transport.
    COLIBRI = "http://jitsi.org/protocol/colibri";
    /// Upstream bridge: Colibri2.
    COLIBRI2 = "jitsi:colibri2";
    /// Upstream bridge and focus: health check.
    HEALTHCHECK = "http://jitsi.org/protocol/healthcheck";
    /// Upstream web client: json-message, ssrc-info, room metadata, lobby …
    JITMEET = "http://jitsi.org/jitmeet";
    /// Upstream: mute of a participant's microphone.
    MUTE_AUDIO = "http://jitsi.org/jitmeet/audio";
    /// Upstream: mute of a participant's camera; also `source-frame-height`.
    MUTE_VIDEO = "http://jitsi.org/jitmeet/video";
    /// Upstream: mute of a participant's screen share.
    MUTE_DESKTOP = "http://jitsi.org/jitmeet/desktop";
    /// Upstream: start-muted policy.
    START_MUTED = "http://jitsi.org/jitmeet/start-muted";
    /// Upstream: shared pad.
    ETHERPAD = "http://jitsi.org/jitmeet/etherpad";
    /// Upstream: recorder control.
    JIBRI = "http://jitsi.org/protocol/jibri";
    /// XEP-0327, used for dial-out.
    RAYO = "urn:xmpp:rayo:1";
    /// Upstream: display name injected into history.
    DISPLAY_NAME = "http://jitsi.org/protocol/display-name";
    /// Upstream: tracing.
    OPENTELEMETRY = "jitsi:opentelemetry";
    /// Upstream: visitors.
    VISITORS = "jitsi:visitors";
}
