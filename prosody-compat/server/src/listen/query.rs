//! What the URL and the headers say about a session (xmpp-server §2.6).

use axum::extract::Query;
use budget::Network;
use http::{HeaderMap, Request};
use jitsi_xmpp::Sensitive;
use prosody_core::SessionQuery;

/// Reads the parameters of a WebSocket upgrade or of the first BOSH request. `tenant` is the path's first segment,
/// if the tenant's own path was asked for.
pub(crate) fn read<B>(request: &Request<B>, tenant: Option<String>, peer: Network) -> SessionQuery {
    let (uri, headers) = (request.uri(), request.headers());
    let mut query = SessionQuery {
        peer: Some(peer),
        token: bearer(headers).map(Sensitive::new),
        region: ["x-proxy-region", "x_proxy_region"].iter().find_map(|h| text(headers, h)),
        ..SessionQuery::default()
    };
    // Broken percent-encoding counts as no parameters, as upstream.
    let Ok(Query(parameters)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return query };
    for (name, value) in parameters {
        if value.is_empty() {
            continue;
        }
        let slot = match name.as_str() {
            "room" => &mut query.room,
            "prefix" => &mut query.prefix,
            "token" => &mut query.token,
            "previd" => &mut query.previd,
            "customusername" => &mut query.custom_username,
            // `vnode` is the reverse proxy's, to choose a visitor node.
            _ => continue,
        };
        *slot = Some(Sensitive::new(value));
    }
    // A proxy that serves the tenant's path sets `prefix` from it; here the path is the proof.
    if let Some(tenant) = tenant {
        query.prefix = Some(Sensitive::new(tenant));
    }
    query
}

/// compat: upstream takes the header from its eighth character on and does not look at the scheme
/// (test: compat_the_token_parameter_wins_over_the_header).
fn bearer(headers: &HeaderMap) -> Option<String> {
    text(headers, "authorization")?.get(7..).filter(|t| !t.is_empty()).map(str::to_owned)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().filter(|v| !v.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(uri: &str, headers: &[(&'static str, &str)], tenant: Option<&str>) -> SessionQuery {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Network::of([192, 0, 2, 1].into());
        read(&request.body(()).unwrap(), tenant.map(str::to_owned), peer)
    }

    fn shown(value: Option<&Sensitive<String>>) -> Option<&str> {
        value.map(|v| v.reveal().as_str())
    }

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_absent() {
        let q = query(
            "/xmpp-websocket?room=caf%C3%A9+a&prefix=&previd=q8&customusername=u&vnode=v1&x=y",
            &[],
            None,
        );
        assert_eq!(shown(q.room.as_ref()), Some("café a"));
        assert_eq!(shown(q.prefix.as_ref()), None);
        assert_eq!(shown(q.previd.as_ref()), Some("q8"));
        assert_eq!(shown(q.custom_username.as_ref()), Some("u"));
        assert_eq!(shown(q.token.as_ref()), None);
    }

    #[test]
    fn compat_the_token_parameter_wins_over_the_header() {
        let header = [("authorization", "Bearer abc"), ("x-proxy-region", "eu")];
        let q = query("/xmpp-websocket?token=t", &header, None);
        assert_eq!(shown(q.token.as_ref()), Some("t"));
        let q = query("/xmpp-websocket", &header, None);
        assert_eq!(shown(q.token.as_ref()), Some("abc"));
        assert_eq!(q.region.as_deref(), Some("eu"));
    }

    #[test]
    fn the_tenants_path_is_the_prefix() {
        let q = query("/town/xmpp-websocket?prefix=other", &[], Some("town"));
        assert_eq!(shown(q.prefix.as_ref()), Some("town"));
    }
}
