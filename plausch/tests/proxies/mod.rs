//! The files of `jitsi-web-patches/` for web servers in front of us: each is loaded into its program and driven by a client.

mod client;
mod programs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use service::Proxies;
use tokio::net::TcpListener;

use self::client::{Asked, Client};
use self::programs::{PROGRAMS, Program};
use crate::running::Whole;

/// Where the client comes from: an address of this machine that no proxy is trusted at.
const VISITOR: &str = "127.0.0.2";

/// A web folder with a page that has includes and a script that is worth compressing; a certificate.
struct Site {
    folder: PathBuf,
    client: Client,
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plausch-proxy-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("web/libs")).unwrap();
        std::fs::write(folder.join("web/index.html"), "<!--#include virtual=\"base.html\" -->").unwrap();
        std::fs::write(
            folder.join("web/base.html"),
            "<base href=\"/<!--#echo var=\"subdir\" default=\"\" -->\">",
        )
        .unwrap();
        std::fs::write(folder.join("web/libs/app.js"), "function plausch() {}\n".repeat(1000)).unwrap();
        let made = rcgen::generate_simple_self_signed(vec![client::HOST.to_owned()]).unwrap();
        std::fs::write(folder.join("fullchain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
        let both = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(folder.join("both.pem"), both).unwrap();
        Self { folder, client: Client::trusting(made.cert.der()) }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A server that only notes what the web server in front of it said of the client.
async fn listener() -> (SocketAddr, Arc<Mutex<Vec<(SocketAddr, http::HeaderMap)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&heard);
    let router = Router::new().fallback(move |request: Request| {
        let peer = request.extensions().get::<axum::extract::ConnectInfo<SocketAddr>>().map(|c| c.0);
        noted.lock().unwrap().push((peer.unwrap(), request.headers().clone()));
        async { "heard" }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (at, heard)
}

async fn drive(program: &Program) {
    if !program.is_there() {
        eprintln!("skipped: there is no {} on this machine; `cargo xtask test` installs it", program.name);
        return;
    }
    let site = Site::new(program.name);
    let web = site.folder.join("web");
    let whole = Whole::start(|c| {
        c.arg("--web").arg(&web).args(["--public-url", &format!("https://{}", client::HOST)]);
    });
    {
        let server = program.start(&site.folder, whole.http).await;
        let front = client::At { client: &site.client, https: server.https };
        // Without TLS there is only the way to the address with it.
        let plain = client::plain(server.http, "/stadt/Rathaus").await;
        assert!((301..=308).contains(&plain.status), "{plain:?}");
        assert!(plain.header("location").starts_with("https://"), "{plain:?}");
        assert!(plain.header("location").ends_with("/stadt/Rathaus"), "{plain:?}");

        // Pages of a town, with what is included for it.
        let page = front.ask("GET", "/stadt/Rathaus", &[], "").await;
        assert_eq!((page.status, page.text().as_str()), (200, "<base href=\"/stadt/\">"), "{page:?}");
        assert_eq!(page.header("x-robots-tag"), "noindex, nofollow");
        let same = front.ask("GET", "/stadt/Rathaus", &[("if-none-match", &page.header("etag"))], "").await;
        assert_eq!(same.status, 304, "{same:?}");
        // Signs of all kinds in a room's name arrive as they were sent.
        for path in ["/stadt/B%C3%BCrger%20forum", "/Rat%2B1"] {
            assert_eq!(front.ask("GET", path, &[], "").await.status, 200, "{path}");
        }
        let script = front.ask("GET", "/libs/app.js?v=1", &[("accept-encoding", "gzip")], "").await;
        assert_eq!((script.status, script.header("content-encoding").as_str()), (200, "gzip"));
        assert!(script.body.len() < 1000 && script.header("cache-control").contains("immutable"));
        let part = front.ask("GET", "/libs/app.js", &[("range", "bytes=0-7")], "").await;
        assert_eq!((part.status, part.text().as_str()), (206, "function"));
        let config = front.ask("GET", "/stadt/config.js", &[], "").await.text();
        assert!(config.contains(&format!("wss://{}/stadt/xmpp-websocket", client::HOST)), "{config}");

        // XMPP both ways, with and without a town.
        for path in ["/xmpp-websocket?room=rat", "/stadt/xmpp-websocket?room=rat"] {
            site.client.talks_xmpp(front.https, path).await;
        }
        for path in ["/http-bind?room=rat", "/stadt/http-bind?room=rat"] {
            let answer = front.ask("POST", path, &[("content-type", "text/xml; charset=utf-8")], BOSH).await;
            assert!(answer.status == 200 && answer.text().contains(" sid="), "{path}: {answer:?}");
        }
        for (path, room) in [
            ("/conference-request/v1", "rat@muc.meet.jitsi"),
            ("/stadt/conference-request/v1", "rat@muc.stadt.meet.jitsi"),
        ] {
            let body = format!(r#"{{"room":"{room}"}}"#);
            let answer = front.ask("POST", path, &[("content-type", "application/json")], &body).await;
            assert!(answer.status == 200 && answer.text().contains("\"ready\":true"), "{path}: {answer:?}");
        }
        // The bridge's own answer, not the web server's.
        let channel = front.ask("GET", "/colibri-ws/jvb/1/2?pwd=x", &[], "").await;
        assert!((400..500).contains(&channel.status), "{channel:?}");
    }
    only_the_web_server_speaks_for_the_client(program, &site).await;
    nothing_hides_in_a_request(program, &site).await;
}

/// X24: a request whose end one of the two sees elsewhere than the other would bring another one past the web server.
async fn nothing_hides_in_a_request(program: &Program, site: &Site) {
    let (at, heard) = listener().await;
    let front = program.start(&site.folder, at).await;
    let body = "0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: x\r\nx-hidden: 1\r\n\r\n";
    let length = format!("content-length: {}", body.len());
    for head in [
        format!("{length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\n{length}"),
        format!("{length}\r\ntransfer-encoding : chunked"),
        format!("{length}\r\ntransfer-encoding: xchunked"),
        format!("{length}\r\ntransfer-encoding: identity, chunked"),
        format!("{length}\r\ntransfer-encoding:\tchunked"),
        format!("{length}\r\nx: y\ntransfer-encoding: chunked"),
        format!("{length}\r\n transfer-encoding: chunked"),
        format!("content-length: 0\r\n{length}"),
        format!("{length}\r\ncontent-length: 0"),
        "content-length: 0, 5".to_owned(),
    ] {
        let host = client::HOST;
        let request =
            format!("POST /http-bind HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{head}\r\n\r\n{body}");
        site.client.throw(front.https, &request).await;
        let next = Asked { method: "GET", path: "/Rathaus", headers: &[], body: "" };
        assert_eq!(site.client.ask(front.https, next).await.text(), "heard", "{head}");
        let hidden = heard.lock().unwrap().drain(..).any(|(_, headers)| headers.contains_key("x-hidden"));
        assert!(!hidden, "{}: {head}", program.name);
    }
}

async fn only_the_web_server_speaks_for_the_client(program: &Program, site: &Site) {
    let (at, heard) = listener().await;
    let front = program.start(&site.folder, at).await;
    let forged = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "http")];
    let asked = Asked { method: "GET", path: "/Rathaus", headers: &forged, body: "" };
    assert_eq!(site.client.ask(front.https, asked).await.text(), "heard");
    let (peer, headers) = heard.lock().unwrap().pop().unwrap();
    assert_eq!(headers["host"], client::HOST);
    assert_eq!(headers["x-forwarded-proto"], "https");
    let found = |trusted: &[&str]| {
        let proxies = Proxies::new(trusted.iter().copied()).unwrap();
        proxies.client(peer, &headers).address().to_string()
    };
    assert_eq!(found(&["127.0.0.1", "::1", "172.16.0.0/12"]), VISITOR, "{headers:?}");
    assert_eq!(found(&["192.0.2.1"]), peer.ip().to_string(), "who is not trusted speaks for nobody");
}

const BOSH: &str = "<body xmlns='http://jabber.org/protocol/httpbind' to='meet.jitsi' rid='1' hold='1' wait='60' ver='1.6' \
    xml:lang='de' content='text/xml; charset=utf-8' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>";

/// The file as it lies in the repository.
fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jitsi-web-patches");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn program(name: &str) -> &'static Program {
    PROGRAMS.iter().find(|p| p.name == name).unwrap()
}

#[tokio::test]
async fn nginx_in_front() {
    drive(program("nginx")).await;
}

#[tokio::test]
async fn apache_in_front() {
    drive(program("apache2")).await;
}

#[tokio::test]
async fn caddy_in_front() {
    drive(program("caddy")).await;
}

#[tokio::test]
async fn haproxy_in_front() {
    drive(program("haproxy")).await;
}

#[tokio::test]
async fn traefik_in_front() {
    drive(program("traefik")).await;
}

/// Traefik takes a file of that name where it is started for its own options, and ended with "no valid configuration found".
#[test]
fn traefik_s_file_is_not_called_what_traefik_looks_for_by_itself() {
    let file = Path::new(program("traefik").file);
    assert_ne!(file.file_stem().unwrap(), "traefik");
}

/// Debian has no Traefik, so that its file is compared with the names of its documentation (dynamic configuration, version 3).
#[test]
fn traefik_s_file_has_only_names_that_traefik_knows() {
    let file: toml::Table = read("traefik-dynamic.toml").parse().unwrap();
    let mut names = Vec::new();
    fn walk(path: &str, value: &toml::Value, names: &mut Vec<String>) {
        match value {
            toml::Value::Table(t) if !t.is_empty() => {
                t.iter().for_each(|(k, v)| walk(&format!("{path}/{k}"), v, names))
            }
            toml::Value::Array(a) if a.iter().all(toml::Value::is_table) => {
                a.iter().for_each(|v| walk(path, v, names))
            }
            _ => names.push(path.to_owned()),
        }
    }
    walk("", &toml::Value::Table(file), &mut names);
    names.sort();
    assert_eq!(
        names,
        [
            "/http/middlewares/to-https/redirectScheme/permanent",
            "/http/middlewares/to-https/redirectScheme/scheme",
            "/http/routers/plausch-without-tls/entryPoints",
            "/http/routers/plausch-without-tls/middlewares",
            "/http/routers/plausch-without-tls/rule",
            "/http/routers/plausch-without-tls/service",
            "/http/routers/plausch/entryPoints",
            "/http/routers/plausch/rule",
            "/http/routers/plausch/service",
            "/http/routers/plausch/tls",
            "/http/serversTransports/plausch/forwardingTimeouts/idleConnTimeout",
            "/http/services/plausch/loadBalancer/servers/url",
            "/http/services/plausch/loadBalancer/serversTransport",
            "/tls/certificates/certFile",
            "/tls/certificates/keyFile",
        ]
    );
}
