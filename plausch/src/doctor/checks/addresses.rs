//! Addresses: what is listened on, what people are told, and where the name leads; contradictions out. Also asked at every start.

use std::net::{IpAddr, SocketAddr};

use videobridge_server::TcpPorts;

use super::super::facts::{Facts, Plan, PublicUrl, is_public};
use super::{Finding, turn};
use crate::words::words;

/// What contradicts itself without a look at anything but the options and the machine's own addresses.
pub(crate) fn contradictions(plan: &Plan, machine: &[IpAddr]) -> Vec<Finding> {
    let media = media_faults(plan, machine);
    url_faults(plan).into_iter().chain(media).chain(turn::contradictions(plan)).collect()
}

pub(super) fn public_url(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    let found = url_faults(plan);
    if !found.is_empty() || !plan.has_front() {
        return found;
    }
    let outside = !plan.http.ip().is_loopback() || plan.https.is_some_and(|a| !a.ip().is_loopback());
    match &plan.public {
        None if outside => vec![Finding::yellow(
            words!(
                "http.public_url is not set: people are told the address that they used",
                "http.public_url ist nicht gesetzt: Leute bekommen die Adresse genannt, die sie benutzt haben"
            ),
            words!(
                "set PUBLIC_URL=https://your.name (http.public_url, --public-url)",
                "PUBLIC_URL=https://euer.name setzen (http.public_url, --public-url)"
            ),
        )],
        None => vec![Finding::green(words!("for this machine alone", "nur für diesen Rechner"))],
        Some(url) if url.encrypted && plan.https.is_none() && !plan.http.ip().is_loopback() => {
            vec![Finding::yellow(
                words!(
                    "TLS has to come from a web server in front, and http.listen is open to others, too",
                    "TLS muss ein Webserver davor machen, und http.listen steht auch anderen offen"
                ),
                words!(
                    "let only that web server reach http.listen, or have TLS here: https.listen (PLAUSCH_HTTPS, --https)",
                    "nur diesen Webserver an http.listen lassen, oder TLS hier: https.listen (PLAUSCH_HTTPS, --https)"
                ),
            )]
        }
        Some(url) => {
            let host = &url.host;
            vec![Finding::green(words!("people come to {host}", "Leute kommen nach {host}"))]
        }
    }
}

fn url_faults(plan: &Plan) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(url) = &plan.public else { return found };
    if plan.has_front() && !url.encrypted && !url.is_local() {
        let host = &url.host;
        found.push(Finding::red(
            words!(
                "http.public_url is http://{host}: browsers give camera and microphone to https pages only",
                "http.public_url ist http://{host}: Browser geben Kamera und Mikrofon nur an https-Seiten"
            ),
            words!(
                "set PUBLIC_URL=https://{host} (http.public_url, --public-url) and https.listen, or a web server with TLS in front",
                "PUBLIC_URL=https://{host} setzen (http.public_url, --public-url), dazu https.listen oder einen Webserver mit TLS davor"
            ),
        ));
    }
    found
}

pub(super) fn media(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    if !plan.has_media() {
        return Vec::new();
    }
    let mut found = media_faults(plan, &facts.machine);
    if !found.is_empty() {
        return found;
    }
    let outside = plan.public.as_ref().is_some_and(|u| !u.is_local());
    let port = plan.media.port();
    for address in &plan.advertise {
        let ip = address.ip();
        if outside && !is_public(ip) {
            found.push(Finding::yellow(
                words!(
                    "media.advertise says {ip}: only the inner network reaches that",
                    "media.advertise sagt {ip}: das erreicht nur das innere Netz"
                ),
                words!(
                    "set JVB_ADVERTISE_IPS (media.advertise, --advertise) to the public address, too, if people come from outside",
                    "JVB_ADVERTISE_IPS (media.advertise, --advertise) auch auf die öffentliche Adresse setzen, wenn Leute von außen kommen"
                ),
            ));
        }
    }
    let told: Vec<IpAddr> =
        own(plan, &facts.machine).into_iter().chain(plan.advertise.iter().map(SocketAddr::ip)).collect();
    if outside && !plan.asks_stun && !told.iter().any(|ip| is_public(*ip)) && from_dns(facts, plan).is_empty()
    {
        found.push(Finding::yellow(
            words!(
                "this machine has inner addresses only, and clients are told no other: from outside nobody has sound or picture",
                "dieser Rechner hat nur innere Adressen, und Clients erfahren keine andere: von außen hat niemand Ton und Bild"
            ),
            words!(
                "set JVB_ADVERTISE_IPS (media.advertise, --advertise) to the public address, and forward UDP {port} to this machine",
                "JVB_ADVERTISE_IPS (media.advertise, --advertise) auf die öffentliche Adresse setzen und UDP {port} an diesen Rechner weiterleiten"
            ),
        ));
    }
    if found.is_empty() {
        let at = plan.media;
        if at.ip().is_loopback() {
            return vec![Finding::green(words!(
                "media on UDP {at}, for this machine alone",
                "Medien auf UDP {at}, nur für diesen Rechner"
            ))];
        }
        found.push(Finding::green(words!(
            "media on UDP {at}; that port has to be open in every firewall on the way",
            "Medien auf UDP {at}; dieser Port muss in jeder Firewall auf dem Weg offen sein"
        )));
        if let Some(TcpPorts { public, .. }) = plan.media_tcp {
            found.push(Finding::green(words!(
                "and on TCP {public} for networks without UDP; that port has to be open, too",
                "und auf TCP {public} für Netze ohne UDP; auch dieser Port muss offen sein"
            )));
        }
    }
    found
}

/// The addresses that are told to clients because media is received on them.
fn own(plan: &Plan, machine: &[IpAddr]) -> Vec<IpAddr> {
    let ip = plan.media.ip();
    if !ip.is_unspecified() {
        return plan.media_addresses();
    }
    machine.iter().copied().filter(|m| ip.is_ipv6() || m.is_ipv4()).collect()
}

/// What the public name adds to the addresses that clients are told.
fn from_dns(facts: &Facts, plan: &Plan) -> Vec<SocketAddr> {
    match &facts.name {
        Some(Ok(name)) => told_by_dns(plan, &facts.machine, name),
        _ => Vec::new(),
    }
}

/// Addresses of the public name that clients are told as well: the machine has inner ones only, as behind NAT, and nobody named
/// another. `machine`: its own; `name`: what the name resolves to.
pub(crate) fn told_by_dns(plan: &Plan, machine: &[IpAddr], name: &[IpAddr]) -> Vec<SocketAddr> {
    let ip = plan.media.ip();
    if !plan.from_dns || !plan.has_media() || !plan.advertise.is_empty() || ip.is_loopback() {
        return Vec::new();
    }
    let named = plan.media_addresses();
    let own = |family: &IpAddr| {
        let at = if ip.is_unspecified() { machine } else { &named[..] };
        at.iter().any(|m| m.is_ipv4() == family.is_ipv4() && is_public(*m))
    };
    let listens = |family: &IpAddr| {
        let both = ip.is_unspecified() && ip.is_ipv6();
        both || named.iter().any(|n| n.is_ipv4() == family.is_ipv4())
    };
    let mut told: Vec<SocketAddr> = Vec::new();
    for address in name.iter().filter(|a| is_public(**a) && listens(a) && !own(a)) {
        let address = SocketAddr::new(*address, plan.media.port());
        if !told.contains(&address) {
            told.push(address);
        }
    }
    told
}

fn media_faults(plan: &Plan, machine: &[IpAddr]) -> Vec<Finding> {
    let mut found = Vec::new();
    if !plan.has_media() {
        return found;
    }
    let at = plan.media;
    if let Some(host) = plan.public.as_ref().filter(|u| !u.is_local()).map(|u| &u.host)
        && at.ip().is_loopback()
        && plan.advertise.is_empty()
    {
        let port = at.port();
        found.push(Finding::red(
            words!(
                "http.public_url is {host}, but media is on {at}: nobody outside this machine has sound or picture",
                "http.public_url ist {host}, aber Medien sind auf {at}: außerhalb dieses Rechners hat niemand Ton und Bild"
            ),
            words!(
                "set PLAUSCH_MEDIA=0.0.0.0:{port} (media.listen, --media)",
                "PLAUSCH_MEDIA=0.0.0.0:{port} setzen (media.listen, --media)"
            ),
        ));
    }
    let others = !plan.advertise.is_empty() || plan.asks_stun || plan.may_ask_dns();
    if !plan.inner_addresses && !others && keeps_to_itself(&own(plan, machine)) {
        found.push(Finding::red(
            words!(
                "media.inner_addresses is off, and media.listen is {at}: clients are told no address, and nobody has sound or picture",
                "media.inner_addresses ist aus, und media.listen ist {at}: Clients erfahren keine Adresse, und niemand hat Ton und Bild"
            ),
            words!(
                "set JVB_ADVERTISE_IPS (media.advertise, --advertise) to the public address",
                "JVB_ADVERTISE_IPS (media.advertise, --advertise) auf die öffentliche Adresse setzen"
            ),
        ));
    }
    for address in &plan.advertise {
        let ip = address.ip();
        if ip.is_loopback() && !at.ip().is_loopback() {
            found.push(Finding::yellow(
                words!(
                    "media.advertise says {ip}: that is each client's own machine",
                    "media.advertise sagt {ip}: das ist für jeden Client der eigene Rechner"
                ),
                words!(
                    "set JVB_ADVERTISE_IPS (media.advertise, --advertise) to this server's address",
                    "JVB_ADVERTISE_IPS (media.advertise, --advertise) auf die Adresse dieses Servers setzen"
                ),
            ));
        } else if plan.media_addresses().iter().all(|at| at.is_ipv4() != ip.is_ipv4())
            && !(at.ip().is_unspecified() && at.is_ipv6())
        {
            let wildcard = format!("[::]:{}", at.port());
            found.push(Finding::yellow(
                words!(
                    "media.advertise says {ip}, but media.listen is {at}: clients are told nothing of it",
                    "media.advertise sagt {ip}, aber media.listen ist {at}: Clients erfahren davon nichts"
                ),
                words!(
                    "set PLAUSCH_MEDIA={wildcard} (media.listen, --media) for both families",
                    "PLAUSCH_MEDIA={wildcard} setzen (media.listen, --media), für beide Familien"
                ),
            ));
        }
    }
    found
}

/// Whether none of these is told when inner addresses are not, as the bridge decides it: loopback is, where there is nothing else.
fn keeps_to_itself(addresses: &[IpAddr]) -> bool {
    let near = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    let private = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    let mut far = addresses.iter().filter(|ip| !near(ip)).peekable();
    far.peek().is_some() && far.all(private)
}

/// Whether it is worth to look the public name up before media begins.
pub(crate) fn asks_dns(plan: &Plan, machine: &[IpAddr]) -> bool {
    // Any public addresses do: what would be told if the name led there?
    let somewhere = [IpAddr::from([203, 0, 113, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
    !told_by_dns(plan, machine, &somewhere).is_empty()
}

pub(super) fn dns(facts: &Facts) -> Vec<Finding> {
    let (Ok(plan), Some(looked)) = (&facts.plan, &facts.name) else { return Vec::new() };
    let Some(host) = plan.public.as_ref().and_then(PublicUrl::name) else { return Vec::new() };
    let addresses = match looked {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => return vec![nowhere(host, "")],
        Err(why) => return vec![nowhere(host, why)],
    };
    let ours = |ip: &IpAddr| facts.machine.contains(ip) || plan.advertise.iter().any(|a| a.ip() == *ip);
    let told = from_dns(facts, plan);
    let mut found = Vec::new();
    for ip in addresses.iter().filter(|ip| !ours(ip)) {
        // In a container or behind NAT the machine has none of this family, and cannot know.
        let knows = facts.machine.iter().any(|m| m.is_ipv4() == ip.is_ipv4() && is_public(*m));
        if knows {
            found.push(Finding::red(
                words!("{host} leads to {ip}, which is not this machine", "{host} führt zu {ip}, und das ist nicht dieser Rechner"),
                words!(
                    "correct the DNS record, unless a web server there passes requests on to this one; then set media.advertise",
                    "den DNS-Eintrag berichtigen, außer ein Webserver dort reicht Anfragen hierher weiter; dann media.advertise setzen"
                ),
            ));
        } else if told.iter().any(|t| t.ip() == *ip) {
            let port = plan.media.port();
            found.push(Finding::green(words!(
                "{host} leads to {ip}: NAT in front, clients are told of it; UDP {port} has to be forwarded to this machine",
                "{host} führt zu {ip}: NAT davor, Clients erfahren davon; UDP {port} muss an diesen Rechner weitergeleitet werden"
            )));
        } else if plan.has_media() && !is_public(*ip) {
            found.push(Finding::yellow(
                words!("{host} leads to {ip}, an inner address of another machine", "{host} führt zu {ip}, eine innere Adresse eines anderen Rechners"),
                words!(
                    "correct the DNS record, or set media.advertise if that machine forwards UDP to this one",
                    "den DNS-Eintrag berichtigen, oder media.advertise setzen, wenn jener Rechner UDP hierher weiterleitet"
                ),
            ));
        } else {
            found.push(Finding::green(words!("{host} leads to {ip}", "{host} führt zu {ip}")));
        }
    }
    if found.is_empty() {
        found.push(Finding::green(words!("{host} leads to this machine", "{host} führt zu diesem Rechner")));
    }
    found
}

fn nowhere(host: &str, why: &str) -> Finding {
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    Finding::red(
        words!("{host} leads nowhere{why}", "{host} führt nirgends hin{why}"),
        words!(
            "make an A record (and AAAA for IPv6) for {host} with this server's public address",
            "für {host} einen A-Eintrag (und AAAA für IPv6) mit der öffentlichen Adresse dieses Servers anlegen"
        ),
    )
}

pub(super) fn private(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    let open =
        |ip: IpAddr| is_public(ip) || (ip.is_unspecified() && facts.machine.iter().any(|m| is_public(*m)));
    let mut found = Vec::new();
    if open(plan.admin.ip()) {
        let (at, port) = (plan.admin, plan.admin.port());
        found.push(Finding::red(
            words!(
                "admin.listen is {at}: statistics and drain are for you alone",
                "admin.listen ist {at}: Statistik und Drain sind nur für euch"
            ),
            words!(
                "set PLAUSCH_ADMIN=127.0.0.1:{port} (admin.listen, --admin), or an inner address",
                "PLAUSCH_ADMIN=127.0.0.1:{port} setzen (admin.listen, --admin) oder eine innere Adresse"
            ),
        ));
    }
    if matches!(plan.role, crate::options::Role::AllInOne | crate::options::Role::Xmpp)
        && open(plan.xmpp.ip())
    {
        let at = plan.xmpp;
        found.push(Finding::yellow(
            words!(
                "xmpp.listen is {at}: it is for bridges and a focus on other machines, not for people",
                "xmpp.listen ist {at}: es ist für Bridges und einen Fokus auf anderen Rechnern, nicht für Leute"
            ),
            words!(
                "keep it on an inner address, or let the firewall open it to those machines alone (PLAUSCH_XMPP, --xmpp)",
                "auf einer inneren Adresse lassen, oder in der Firewall nur für jene Rechner öffnen (PLAUSCH_XMPP, --xmpp)"
            ),
        ));
    }
    if found.is_empty() {
        found.push(Finding::green(words!(
            "admin.listen and xmpp.listen are inside",
            "admin.listen und xmpp.listen sind innen"
        )));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Green, Red, Yellow};
    use super::super::tests::judged;
    use super::super::{super::facts::tests::healthy, Level};
    use super::*;

    fn with(change: impl FnOnce(&mut Facts, &mut Plan)) -> Facts {
        let mut facts = healthy();
        let mut plan = facts.plan.clone().unwrap();
        change(&mut facts, &mut plan);
        facts.plan = Ok(plan);
        facts
    }

    fn says(judge: fn(&Facts) -> Vec<Finding>, facts: &Facts, level: Level, word: &str) {
        let (got, said) = judged(judge, facts);
        assert_eq!(got, level, "{said}");
        assert!(said.contains(word), "{said}");
    }

    #[test]
    fn a_public_name_without_tls_is_red_and_localhost_is_not() {
        let url = |url: &'static str| with(move |_, p| p.public = PublicUrl::of(url));
        says(public_url, &url("http://meet.example"), Red, "PUBLIC_URL");
        says(public_url, &url("http://localhost:8000"), Green, "");
        says(public_url, &with(|_, p| p.public = None), Yellow, "PUBLIC_URL");
        says(public_url, &with(|_, p| p.https = None), Yellow, "https.listen");
        let behind = with(|_, p| {
            p.https = None;
            p.http = "127.0.0.1:8000".parse().unwrap();
        });
        says(public_url, &behind, Green, "meet.example");
    }

    #[test]
    fn media_on_loopback_with_a_public_url_is_red_and_said_at_the_start() {
        let facts = with(|_, p| p.media = "127.0.0.1:10000".parse().unwrap());
        says(media, &facts, Red, "PLAUSCH_MEDIA=0.0.0.0:10000");
        assert_eq!(contradictions(&facts.plan.unwrap(), &facts.machine).len(), 1);
        assert_eq!(contradictions(&healthy().plan.unwrap(), &healthy().machine), Vec::new());
    }

    #[test]
    fn media_over_tcp_are_said_with_the_port_that_firewalls_see() {
        let on = with(|_, p| p.media_tcp = Some(TcpPorts { own: 4443, public: 443 }));
        says(media, &on, Green, "TCP 443");
        assert!(!judged(media, &healthy()).1.contains("TCP"), "switched off");
    }

    #[test]
    fn advertised_addresses_that_lead_nowhere_are_named() {
        // What can be nobody's address is no option at all.
        let at = |a: &'static str| with(move |_, p| p.advertise = vec![a.parse().unwrap()]);
        says(media, &at("127.0.0.1:10000"), Yellow, "own machine");
        says(media, &at("[2001:db8::1]:10000"), Yellow, "[::]:10000");
        says(media, &at("192.168.1.1:10000"), Yellow, "inner network");
        says(media, &at("203.0.113.99:443"), Green, "10000");
    }

    #[test]
    fn clients_that_would_be_told_no_address_at_all_are_said_at_the_start() {
        let plan = |change: fn(&mut Plan)| {
            let mut plan = healthy().plan.unwrap();
            plan.media = "10.0.0.5:10000".parse().unwrap();
            plan.inner_addresses = false;
            change(&mut plan);
            contradictions(&plan, &["10.0.0.5".parse().unwrap()]).len()
        };
        assert_eq!(plan(|p| p.from_dns = false), 1);
        let fine: [fn(&mut Plan); 5] = [
            |_| {},
            |p| (p.from_dns, p.asks_stun) = (false, true),
            |p| (p.from_dns, p.inner_addresses) = (false, true),
            |p| p.advertise = vec!["203.0.113.20:10000".parse().unwrap()],
            |p| (p.from_dns, p.media_more) = (false, vec!["203.0.113.20".parse().unwrap()]),
        ];
        assert_eq!(fine.map(plan), [0; 5]);
    }

    /// In a container, say: all of its addresses are inner ones.
    #[test]
    fn inner_addresses_that_are_not_told_and_no_others_are_said_at_the_start() {
        let plan = |machine: &[&str], change: fn(&mut Plan)| {
            let mut plan = healthy().plan.unwrap();
            (plan.inner_addresses, plan.public) = (false, None);
            change(&mut plan);
            let machine: Vec<IpAddr> = machine.iter().map(|ip| ip.parse().unwrap()).collect();
            let said = contradictions(&plan, &machine);
            assert!(said.iter().all(|f| f.todo.as_ref().unwrap().en.contains("JVB_ADVERTISE_IPS")));
            said.len()
        };
        let container = ["127.0.0.1", "172.18.0.2"];
        assert_eq!(plan(&container, |_| {}), 1);
        assert_eq!(plan(&["127.0.0.1", "::1", "172.18.0.2", "fd00::2"], |_| {}), 1);
        // Of IPv6, the bridge has nothing then.
        assert_eq!(plan(&["172.18.0.2", "2001:db8::5"], |_| {}), 1);
        let v6: fn(&mut Plan) = |p| p.media = "[::]:10000".parse().unwrap();
        assert_eq!(plan(&["172.18.0.2", "2001:db8::5"], v6), 0);
        assert_eq!(plan(&["172.18.0.2", "fd00::2"], v6), 1);
        let fine: [fn(&mut Plan); 4] = [
            |p| p.inner_addresses = true,
            |p| p.asks_stun = true,
            |p| p.advertise = vec!["203.0.113.20:10000".parse().unwrap()],
            |p| p.public = PublicUrl::of("https://meet.example"),
        ];
        assert_eq!(fine.map(|change| plan(&container, change)), [0; 4]);
        // A machine without a network talks to itself, and what a provider's NAT gave out is told.
        assert_eq!(plan(&["127.0.0.1"], |_| {}), 0);
        assert_eq!(plan(&["100.64.0.5", "192.168.1.5"], |_| {}), 0);
    }

    #[test]
    fn each_of_several_media_addresses_counts() {
        let both = |f: &mut Facts, p: &mut Plan| {
            f.machine = vec![[10, 0, 0, 5].into(), "2001:db8::5".parse().unwrap()];
            p.media = "10.0.0.5:10000".parse().unwrap();
            p.media_more = vec!["2001:db8::5".parse().unwrap()];
        };
        says(media, &with(both), Green, "");
        let advertised = |f: &mut Facts, p: &mut Plan| {
            both(f, p);
            p.advertise = vec!["[2001:db8::9]:10000".parse().unwrap()];
        };
        says(media, &with(advertised), Green, "");
    }

    #[test]
    fn inner_addresses_alone_are_yellow_unless_the_name_knows_the_public_one() {
        let inner = |f: &mut Facts| f.machine = vec![[127, 0, 0, 1].into(), [192, 168, 1, 5].into()];
        says(
            media,
            &with(|f, _| {
                inner(f);
                f.name = None;
            }),
            Yellow,
            "JVB_ADVERTISE_IPS",
        );
        says(media, &with(|f, _| inner(f)), Green, "");
        says(
            media,
            &with(|f, p| {
                inner(f);
                p.from_dns = false;
            }),
            Yellow,
            "JVB_ADVERTISE_IPS",
        );
        says(dns, &with(|f, _| inner(f)), Green, "forwarded");
    }

    #[test]
    fn a_name_that_leads_elsewhere_or_nowhere_is_found() {
        let to = |ips: &'static [&'static str]| {
            with(move |f, _| f.name = Some(Ok(ips.iter().map(|i| i.parse().unwrap()).collect())))
        };
        says(dns, &to(&["203.0.113.20"]), Green, "this machine");
        says(dns, &to(&["198.51.100.7"]), Red, "198.51.100.7");
        says(dns, &to(&[]), Red, "A record");
        says(dns, &with(|f, _| f.name = Some(Err("no such name".into()))), Red, "no such name");
        // Of IPv6 this machine has nothing that it could compare.
        says(dns, &to(&["203.0.113.20", "2001:db8::1"]), Green, "2001:db8::1");
    }

    #[test]
    fn what_dns_adds_is_public_of_a_family_that_is_listened_to_and_not_ours_already() {
        let plan = healthy().plan.unwrap();
        let name: Vec<IpAddr> = ["203.0.113.20", "203.0.113.20", "10.0.0.1", "2001:db8::1"]
            .iter()
            .map(|i| i.parse().unwrap())
            .collect();
        let inner = ["10.0.0.5".parse().unwrap()];
        let v4 = "203.0.113.20:10000".parse().unwrap();
        assert_eq!(told_by_dns(&plan, &inner, &name), [v4]);
        assert!(asks_dns(&plan, &inner) && !asks_dns(&plan, &["203.0.113.1".parse().unwrap()]));
        assert_eq!(told_by_dns(&plan, &["203.0.113.1".parse().unwrap()], &name), []);
        let both = Plan { media: "[::]:10000".parse().unwrap(), ..plan.clone() };
        assert_eq!(told_by_dns(&both, &inner, &name), [v4, "[2001:db8::1]:10000".parse().unwrap()]);
        for nothing in [
            Plan { from_dns: false, ..plan.clone() },
            Plan { advertise: vec!["203.0.113.5:1".parse().unwrap()], ..plan.clone() },
            Plan { media: "127.0.0.1:10000".parse().unwrap(), ..plan.clone() },
            Plan { role: crate::options::Role::Focus, ..plan },
        ] {
            assert_eq!(told_by_dns(&nothing, &inner, &name), [], "{nothing:?}");
        }
    }

    #[test]
    fn an_admin_listener_for_the_world_is_red() {
        says(private, &with(|_, p| p.admin = "0.0.0.0:8888".parse().unwrap()), Red, "admin.listen");
        says(private, &with(|_, p| p.admin = "10.0.0.5:8888".parse().unwrap()), Green, "");
        says(private, &with(|_, p| p.xmpp = "0.0.0.0:5222".parse().unwrap()), Yellow, "xmpp.listen");
    }
}
