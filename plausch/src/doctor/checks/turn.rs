//! TURN: whether people get through whose network lets no UDP out; facts in, what stands in their way out.

use std::net::{IpAddr, SocketAddr};

use super::super::facts::{Facts, Plan};
use super::Finding;
use crate::words::words;

/// What contradicts itself without a look at anything but the options.
pub(super) fn contradictions(plan: &Plan) -> Vec<Finding> {
    let outside = plan.public.as_ref().filter(|u| !u.is_local());
    let (Some(url), Some(at)) = (outside, plan.turn.filter(|at| at.ip().is_loopback())) else {
        return Vec::new();
    };
    let (host, port) = (&url.host, at.port());
    vec![Finding::red(
        words!(
            "http.public_url is {host}, but turn.listen is {at}: nobody outside this machine reaches it",
            "http.public_url ist {host}, aber turn.listen ist {at}: außerhalb dieses Rechners erreicht das niemand"
        ),
        words!(
            "set PLAUSCH_TURN=0.0.0.0:{port} (turn.listen, --turn)",
            "PLAUSCH_TURN=0.0.0.0:{port} setzen (turn.listen, --turn)"
        ),
    )]
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    let Some(url) = plan.public.as_ref().filter(|u| plan.has_front() && !u.is_local()) else {
        return Vec::new();
    };
    let found = contradictions(plan);
    if !found.is_empty() {
        return found;
    }
    let host = &url.host;
    match (plan.turn, plan.https) {
        (None, _) if plan.other_turn => vec![Finding::green(words!(
            "clients are told of another TURN server",
            "Clients erfahren von einem anderen TURN-Server"
        ))],
        (None, _) => vec![Finding::yellow(
            words!(
                "no TURN server: people whose network blocks UDP (schools, offices, hotels) hear and see nothing",
                "kein TURN-Server: Leute, deren Netz UDP sperrt (Schulen, Behörden, Hotels), hören und sehen nichts"
            ),
            words!(
                "set PLAUSCH_TURN=0.0.0.0:3478 (turn.listen, --turn), beside https.listen",
                "PLAUSCH_TURN=0.0.0.0:3478 setzen (turn.listen, --turn), neben https.listen"
            ),
        )],
        (Some(_), None) => vec![Finding::yellow(
            words!(
                "TURN is there over UDP alone, as TLS does not end here: people whose network blocks UDP hear and see nothing",
                "TURN gibt es nur über UDP, weil TLS nicht hier endet: Leute, deren Netz UDP sperrt, hören und sehen nichts"
            ),
            words!(
                "have TLS here (https.listen, PLAUSCH_HTTPS, --https); a web server in front can pass it on unread",
                "TLS hier enden lassen (https.listen, PLAUSCH_HTTPS, --https); ein Webserver davor kann es ungelesen weiterreichen"
            ),
        )],
        (Some(_), Some(_)) if host.parse::<IpAddr>().is_ok() => vec![Finding::yellow(
            words!(
                "http.public_url is the address {host}: Firefox tries TURN over TLS under a name alone",
                "http.public_url ist die Adresse {host}: Firefox versucht TURN über TLS nur unter einem Namen"
            ),
            words!(
                "set PUBLIC_URL=https://your.name (http.public_url, --public-url)",
                "PUBLIC_URL=https://euer.name setzen (http.public_url, --public-url)"
            ),
        )],
        (Some(at), Some(tls)) => vec![green(at, tls)],
    }
}

fn green(at: SocketAddr, tls: SocketAddr) -> Finding {
    Finding::green(words!(
        "TURN on UDP {at}, and over TLS on {tls}",
        "TURN auf UDP {at} und über TLS auf {tls}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::PublicUrl;
    use super::super::super::facts::tests::healthy;
    use super::super::Level::{Green, Red, Yellow};
    use super::super::tests::judged;
    use super::*;

    fn with(change: impl FnOnce(&mut Plan)) -> Facts {
        let mut facts = healthy();
        let mut plan = facts.plan.clone().unwrap();
        change(&mut plan);
        facts.plan = Ok(plan);
        facts
    }

    #[test]
    fn whoever_s_network_blocks_udp_is_thought_of() {
        for (facts, level, word) in [
            (with(|_| {}), Green, "3478"),
            (with(|p| p.turn = None), Yellow, "PLAUSCH_TURN=0.0.0.0:3478"),
            (with(|p| (p.turn, p.other_turn) = (None, true)), Green, "another"),
            (with(|p| p.https = None), Yellow, "https.listen"),
            (with(|p| p.public = PublicUrl::of("https://203.0.113.20")), Yellow, "Firefox"),
            (with(|p| p.turn = Some("127.0.0.1:3478".parse().unwrap())), Red, "PLAUSCH_TURN=0.0.0.0:3478"),
        ] {
            let (got, said) = judged(judge, &facts);
            assert_eq!(got, level, "{said}");
            assert!(said.contains(word), "{word}: {said}");
        }
        let nobody: [fn(&mut Plan); 3] = [
            |p| (p.public, p.turn) = (None, None),
            |p| (p.public, p.turn) = (PublicUrl::of("http://localhost:8000"), None),
            |p| (p.role, p.turn) = (crate::options::Role::Videobridge, None),
        ];
        for change in nobody {
            assert_eq!(judge(&with(change)), []);
        }
    }
}
