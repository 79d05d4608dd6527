use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

struct Site {
    dir: std::path::PathBuf,
}

impl Site {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("plausch-front-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let web = dir.join("web");
        for d in ["libs", "static"] {
            std::fs::create_dir_all(web.join(d)).unwrap();
        }
        for (file, text) in [
            (
                "web/index.html",
                "<head><!--#include virtual=\"base.html\" --><!--#include virtual=\"head.html\" --></head><script><!--#include virtual=\"/config.js\" --></script>",
            ),
            ("web/base.html", "<base href=\"/<!--#echo var=\"subdir\" default=\"\" -->\">"),
            ("web/libs/app.bundle.min.js", "'<!-- no directive -->';"),
            ("web/libs/external_api.min.js", "api"),
            (
                "web/interface_config.js",
                "var interfaceConfig = { p: '<!--# echo var=\"prefix\" default=\"\" -->' };",
            ),
            ("web/static/x.txt", "0123456789"),
            ("secret.txt", "secret"),
            ("custom.js", "config.town = '<!--# echo var=\"subdomain\" default=\"\" -->';"),
        ] {
            std::fs::write(dir.join(file), text).unwrap();
        }
        std::os::unix::fs::symlink(dir.join("secret.txt"), web.join("static/link.txt")).unwrap();
        Self { dir: dir.canonicalize().unwrap() }
    }

    fn front(&self, folder: bool) -> Front {
        self.front_with(folder, true)
    }

    fn front_with(&self, folder: bool, tenants: bool) -> Front {
        let web = Web {
            folder: folder.then(|| self.dir.join("web")),
            tenants,
            public_url: None,
            config_js: None,
            custom_config_js: Some(self.dir.join("custom.js")),
            custom: None,
            allow_origin: Some(HeaderValue::from_static("*")),
            csp: Some(HeaderValue::from_static("frame-ancestors 'none'")),
        };
        let domains = Domains {
            main: "meet.jitsi".into(),
            auth: "auth.meet.jitsi".into(),
            muc: "muc.meet.jitsi".into(),
            internal_muc: "i.meet.jitsi".into(),
            viewers: None,
        };
        let client = Client {
            websocket: true,
            http_conference_request: true,
            prefer_sctp: true,
            p2p: true,
            p2p_stun_servers: vec![],
            prejoin: true,
            welcome_page: true,
            relative_bosh: false,
            polls: true,
            hidden_domain: None,
            breakout_rooms: true,
            login: None,
            more: vec![],
        };
        Front::new(web, domains, client)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

async fn get(front: &Front, path: &str) -> Got {
    let (parts, body) = ask(front, "GET", path, &[]).await;
    Got { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8(body).unwrap() }
}

async fn ask(
    front: &Front,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (http::response::Parts, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path).header("host", "meet.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = Served::new(front.clone())
        .router(Router::new())
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn compat_without_tenants_there_is_nothing_below_a_path() {
    let site = Site::new("no-tenants");
    for folder in [true, false] {
        let front = site.front_with(folder, false);
        assert_eq!(get(&front, "/rathaus").await.status, 200);
        for path in ["/stadt-a/rathaus", "/stadt-a/", "/stadt-a/config.js", "/stadt-a/libs/app.bundle.min.js"]
        {
            let status = get(&front, path).await.status;
            assert_eq!(status, if path == "/stadt-a/" { 200 } else { 404 }, "{path}");
        }
    }
    let to = |path: &str, rewrite: fn(Request<()>) -> Request<()>| {
        rewrite(Request::builder().uri(path).body(()).unwrap()).uri().to_string()
    };
    let socket = "/stadt-a/xmpp-websocket?room=x";
    assert_eq!(to(socket, rewrite), "/xmpp-websocket?prefix=stadt%2Da&room=x".replace("%2D", "-"));
    assert_eq!(to(socket, rewrite_without_tenants), socket);
    assert_eq!(to("/xmpp-websocket?prefix=b", rewrite_without_tenants), "/xmpp-websocket");
}

#[tokio::test]
async fn rooms_get_the_app_s_page_with_everything_included() {
    let site = Site::new("rooms");
    let front = site.front(true);
    for path in ["/", "/rathaus", "/rathaus/", "/b%C3%BCrgerforum"] {
        let got = get(&front, path).await;
        assert_eq!(got.status, 200, "{path}");
        assert!(
            got.text.starts_with("<head><base href=\"/\"></head><script>var config = {"),
            "{path}: {}",
            got.text
        );
        assert!(got.text.contains("config.town = '';") && !got.text.contains("<!--#"), "{}", got.text);
    }
    let tenant = get(&front, "/Stadt-A/rathaus").await;
    assert!(tenant.text.contains("<base href=\"/stadt-a/\">"), "{}", tenant.text);
    assert!(
        tenant.text.contains("muc.stadt-a.meet.jitsi") && tenant.text.contains("config.town = 'stadt-a.';"),
        "{}",
        tenant.text
    );
    assert!(tenant.text.contains("ws://meet.example/stadt-a/xmpp-websocket"), "{}", tenant.text);
}

#[tokio::test]
async fn scripts_files_and_what_is_not_there() {
    let site = Site::new("files");
    let front = site.front(true);
    let config = get(&front, "/stadt-a/config.js?room=rathaus").await;
    assert_eq!(config.headers["content-type"], "application/javascript; charset=utf-8");
    assert_eq!(config.headers["cache-control"], "no-store");
    assert!(config.text.starts_with("var config = {") && config.text.ends_with("config.town = 'stadt-a.';"));
    assert_eq!(
        get(&front, "/stadt-a/interface_config.js").await.text,
        "var interfaceConfig = { p: 'stadt-a' };"
    );
    assert_eq!(get(&front, "/external_api.js").await.text, "api");
    let bundle = get(&front, "/stadt-a/libs/app.bundle.min.js?v=1").await;
    assert_eq!((bundle.status, bundle.text.as_str()), (200, "'<!-- no directive -->';"));
    assert_eq!(bundle.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(get(&front, "/libs/nothing.js").await.status, 404);
    assert_eq!(get(&front, "/_unlock").await.status, 204);
    for got in [&config, &bundle, &get(&front, "/libs/nothing.js").await] {
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
        assert_eq!(got.headers["referrer-policy"], "no-referrer");
    }
}

#[tokio::test]
async fn nothing_outside_the_folder_is_served() {
    let site = Site::new("outside");
    let front = site.front(true);
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/static/..%2f..%2fsecret.txt",
        "/static/link.txt",
        "/t/../../secret.txt",
        "/static/../../secret.txt",
        "/a%5c..%5csecret.txt",
    ] {
        let got = get(&front, path).await;
        assert!(!got.text.contains("secret") && got.status == 404, "{path}: {} {}", got.status, got.text);
    }
}

#[tokio::test]
async fn a_range_and_a_wrong_method() {
    let site = Site::new("range");
    let router = Served::new(site.front(true)).router(Router::new());
    let request =
        Request::builder().uri("/static/x.txt").header("range", "bytes=2-4").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 206);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "234");
    let request = Request::builder().method("POST").uri("/rathaus").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 405);
}

#[tokio::test]
async fn without_a_folder_the_test_call_page_is_every_room() {
    let site = Site::new("test-page");
    let front = site.front(false);
    for path in ["/", "/rathaus", "/stadt-a/rathaus"] {
        let got = get(&front, path).await;
        assert_eq!((got.status, got.text.as_str()), (200, test_page::INDEX.text), "{path}");
        assert!(got.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    assert_eq!(
        get(&front, "/_plausch/main.js").await.headers["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert!(get(&front, "/config.js").await.text.starts_with("var config = {"));
    for path in ["/favicon.ico", "/_plausch/none.js", "/libs/x.js"] {
        assert_eq!(get(&front, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn beside_a_web_app_the_test_call_page_has_a_place_of_its_own() {
    let site = Site::new("test-page-beside");
    let front = site.front(true);
    let own =
        ["/_plausch/test", "/_plausch/test/", "/_plausch/test/rathaus", "/stadt-a/_plausch/test/rathaus"];
    for path in own {
        let got = get(&front, path).await;
        assert_eq!((got.status, got.text.as_str()), (200, test_page::INDEX.text), "{path}");
        assert!(got.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert_eq!(got.headers["x-robots-tag"], "noindex, nofollow", "{path}");
    }
    assert_eq!(get(&front, "/_plausch/main.js").await.status, 200);
    assert_ne!(get(&front, "/rathaus").await.text, test_page::INDEX.text);
    for path in [
        "/_plausch/",
        "/_plausch/tester",
        "/_plausch/test/a/b",
        "/_plausch/test/main.js",
        "/_plausch/none.js",
    ] {
        assert_eq!(get(&front, path).await.status, 404, "{path}");
    }
}

/// Debian's web server and docker's answer pages of other sites on these; only the roles' own routes did here.
#[tokio::test]
async fn the_same_server_seen_from_another_origin() {
    let site = Site::new("origin");
    let front = site.front(true);
    for path in [
        "/config.js",
        "/stadt-a/config.js",
        "/libs/app.bundle.min.js",
        "/static/x.txt",
        "/external_api.js",
        "/_unlock",
        "/",
        "/libs/none",
    ] {
        assert_eq!(get(&front, path).await.headers["access-control-allow-origin"], "*", "{path}");
    }
    let roles = || {
        Router::new()
            .route("/conference-request/v1", axum::routing::post(|| async { "{}" }).options(|| async {}))
            .route("/http-bind", axum::routing::get(|| async {}))
    };
    for (method, path, with) in [
        ("OPTIONS", "/conference-request/v1", true),
        ("POST", "/conference-request/v1", true),
        ("GET", "/http-bind", false),
    ] {
        let request = Request::builder().method(method).uri(path).header("origin", "https://other.example");
        let response = Served::new(front.clone())
            .router(roles())
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let headers = response.headers();
        assert_eq!(
            (response.status().as_u16(), headers.contains_key("access-control-allow-origin")),
            (200, with),
            "{path}"
        );
        if with {
            assert_eq!(headers["access-control-allow-methods"], "GET, POST, OPTIONS");
            assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("Content-Type"));
        }
    }
}

#[tokio::test]
async fn other_sites_read_nothing_when_the_admin_says_so_and_pages_get_the_admin_s_policy() {
    let site = Site::new("no-origin");
    let mut inner = Front::clone(&site.front(true)).inner.web.clone();
    inner.allow_origin = None;
    let base = site.front(true);
    let front = Front::new(inner, base.inner.domains.clone(), base.inner.client.clone());
    for path in ["/config.js", "/static/x.txt", "/"] {
        assert!(!get(&front, path).await.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    assert_eq!(get(&front, "/rathaus").await.headers["content-security-policy"], "frame-ancestors 'none'");
    assert!(!get(&front, "/static/x.txt").await.headers.contains_key("content-security-policy"));
}

/// All that a tenant's name may hold, and what would break out of the texts it is written into.
#[tokio::test]
async fn a_tenant_s_name_stays_text_wherever_it_is_written() {
    let site = Site::new("signs");
    let front = site.front(true);
    let tenant = "a-b_c~d!e$f(g)h*i+j,k;l=m";
    let config = get(&front, &format!("/{tenant}/config.js")).await.text;
    let (own, custom) = config.split_once(";\n").unwrap();
    let own: serde_json::Value = serde_json::from_str(own.strip_prefix("var config = ").unwrap()).unwrap();
    assert_eq!(own["hosts"]["muc"], format!("muc.{tenant}.meet.jitsi"));
    assert_eq!(own["bosh"], format!("http://meet.example/{tenant}/http-bind"));
    assert_eq!(custom.trim(), format!("config.town = '{tenant}.';"));
    let page = get(&front, &format!("/{tenant}/rathaus")).await.text;
    assert!(page.contains(&format!("<base href=\"/{tenant}/\">")), "{page}");
    for bad in [
        "a'b",
        "a%22b",
        "a%3Cb",
        "a%5Cb",
        "a%60b",
        "a%26b",
        "a%7Bb",
        "a%0Ab",
        "a%E2%80%A8b",
        "%5Ba%5D",
        "a:b",
        "a%25b",
        "a%3Fb",
        "a%23b",
    ] {
        for path in [format!("/{bad}/config.js"), format!("/{bad}/rathaus")] {
            assert_eq!(get(&front, &path).await.status, 404, "{path}");
        }
    }
}

#[test]
fn services_are_rewritten_and_pages_are_not() {
    let to = |uri: &str| rewrite(Request::builder().uri(uri).body(()).unwrap()).uri().to_string();
    assert_eq!(to("/stadt-a/xmpp-websocket?room=r"), "/xmpp-websocket?prefix=stadt-a&room=r");
    assert_eq!(to("/stadt-a/rathaus?x=1"), "/stadt-a/rathaus?x=1");
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip), &mut plain).unwrap();
    plain
}

/// Each visitor got 6.5 MB of scripts where upstream sends 2.7.
#[tokio::test]
async fn scripts_went_out_uncompressed() {
    let site = Site::new("gzip");
    let script = "function plausch() { return 'Guten Tag'; }\n".repeat(400);
    std::fs::write(site.dir.join("web/libs/large.js"), &script).unwrap();
    let front = site.front(true);
    let gzip = ("accept-encoding", "gzip, deflate");
    let (parts, body) = ask(&front, "GET", "/libs/large.js?v=1", &[gzip]).await;
    assert_eq!(parts.headers["content-encoding"], "gzip");
    assert_eq!(parts.headers["vary"], "accept-encoding");
    assert_eq!(parts.headers["content-type"], "text/javascript");
    assert_eq!(parts.headers["content-length"].to_str().unwrap(), body.len().to_string());
    assert!(body.len() < script.len() / 10 && unpacked(&body) == script.as_bytes());

    let (head, nothing) = ask(&front, "HEAD", "/libs/large.js?v=1", &[gzip]).await;
    assert_eq!((head.headers.get("content-length"), nothing.len()), (parts.headers.get("content-length"), 0));
    let (again, _) = ask(
        &front,
        "GET",
        "/libs/large.js?v=1",
        &[gzip, ("if-none-match", parts.headers["etag"].to_str().unwrap())],
    )
    .await;
    assert_eq!((again.status.as_u16(), again.headers.get("content-encoding")), (304, None));
    assert_eq!(again.headers["cache-control"], "public, max-age=31536000, immutable");

    let (plain, body) = ask(&front, "GET", "/libs/large.js", &[("accept-encoding", "gzip;q=0, br")]).await;
    assert!(!plain.headers.contains_key("content-encoding") && body == script.as_bytes());
    assert_eq!(plain.headers["vary"], "accept-encoding", "caches between us must know");
    assert_ne!(plain.headers["etag"], parts.headers["etag"]);

    // The file has changed: so has what is sent.
    std::fs::write(site.dir.join("web/libs/large.js"), script.replace("Guten Tag", "Auf Wiedersehen"))
        .unwrap();
    let (_, body) = ask(&front, "GET", "/libs/large.js", &[gzip]).await;
    assert!(String::from_utf8(unpacked(&body)).unwrap().contains("Auf Wiedersehen"));
}

#[tokio::test]
async fn neighbours_are_sent_when_the_client_takes_them() {
    let site = Site::new("neighbours");
    let libs = site.dir.join("web/libs");
    std::fs::write(libs.join("app.bundle.min.js.br"), "brotli").unwrap();
    std::fs::write(libs.join("app.bundle.min.js.gz"), "gzip").unwrap();
    std::os::unix::fs::symlink(site.dir.join("secret.txt"), libs.join("external_api.min.js.gz")).unwrap();
    let front = site.front(true);
    let asked = async |path, accept| {
        let (parts, body) = ask(&front, "GET", path, &[("accept-encoding", accept)]).await;
        let encoding = parts.headers.get("content-encoding").map(|e| e.to_str().unwrap().to_owned());
        (String::from_utf8(body).unwrap(), encoding)
    };
    let app = "/libs/app.bundle.min.js";
    assert_eq!(asked(app, "gzip, br").await, ("brotli".into(), Some("br".into())));
    assert_eq!(asked(app, "gzip").await, ("gzip".into(), Some("gzip".into())));
    assert_eq!(asked(app, "*").await, ("brotli".into(), Some("br".into())));
    assert_eq!(asked(app, "*, br;q=0").await, ("gzip".into(), Some("gzip".into())));
    assert_eq!(asked(app, "br;q=0.1, identity").await, ("brotli".into(), Some("br".into())));
    assert_eq!(asked(app, "zstd").await, ("'<!-- no directive -->';".into(), None));
    assert_eq!(asked("/external_api.js", "gzip").await, ("api".into(), None), "not out of the folder");
}

#[tokio::test]
async fn parts_of_files_are_parts_of_what_the_client_has() {
    let site = Site::new("parts");
    let front = site.front(true);
    let (whole, _) = ask(&front, "GET", "/static/x.txt", &[]).await;
    let (tag, time) =
        (whole.headers["etag"].to_str().unwrap(), whole.headers["last-modified"].to_str().unwrap());
    let range = ("range", "bytes=2-4");
    for (condition, status, text) in [
        (None, 206, "234"),
        (Some(tag), 206, "234"),
        (Some(time), 206, "234"),
        (Some("\"other\""), 200, "0123456789"),
        (Some("Sun, 06 Nov 1994 08:49:37 GMT"), 200, "0123456789"),
    ] {
        let mut headers = vec![range, ("accept-encoding", "gzip")];
        headers.extend(condition.map(|c| ("if-range", c)));
        let (parts, body) = ask(&front, "GET", "/static/x.txt", &headers).await;
        assert_eq!((parts.status.as_u16(), body.as_slice()), (status, text.as_bytes()), "{condition:?}");
    }
    let (none, _) = ask(&front, "GET", "/static/x.txt", &[("range", "bytes=90-")]).await;
    assert_eq!(none.status, 416);
    for (name, value, status) in [
        ("if-modified-since", time, 304),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("if-none-match", tag, 304),
        ("if-none-match", "\"other\"", 200),
    ] {
        assert_eq!(
            ask(&front, "GET", "/static/x.txt", &[(name, value)]).await.0.status,
            status,
            "{name}: {value}"
        );
    }
    // The tag counts when there are both.
    let both = [("if-modified-since", time), ("if-none-match", "\"other\"")];
    assert_eq!(ask(&front, "GET", "/static/x.txt", &both).await.0.status, 200);
}

#[tokio::test]
async fn pages_are_asked_for_again_and_not_sent_again() {
    let site = Site::new("tags");
    for (front, path) in [(site.front(true), "/rathaus"), (site.front(true), "/interface_config.js")] {
        // Compressed beside what a stranger chose, a secret could be guessed from the length; pages are not compressed.
        let (first, body) = ask(&front, "GET", path, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(
            (&first.headers["cache-control"], first.headers.get("content-encoding")),
            (&"no-cache".parse().unwrap(), None)
        );
        let tag = first.headers["etag"].to_str().unwrap();
        let weak = format!("W/{tag}");
        for known in [tag, &weak] {
            let (again, nothing) = ask(&front, "GET", path, &[("if-none-match", known)]).await;
            assert_eq!((again.status.as_u16(), nothing.len()), (304, 0), "{path}");
            assert_eq!(again.headers["etag"], tag);
        }
        assert!(!body.is_empty());
    }
    // It depends on the tenant.
    let front = site.front(true);
    let tag = ask(&front, "GET", "/rathaus", &[]).await.0.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(ask(&front, "GET", "/stadt/rathaus", &[("if-none-match", &tag)]).await.0.status, 200);
}

#[tokio::test]
async fn names_of_rooms_are_not_found_by_search_engines() {
    let site = Site::new("robots");
    for front in [site.front(true), site.front(false)] {
        let robots = get(&front, "/robots.txt").await;
        assert_eq!((robots.status, robots.text.as_str()), (200, ROBOTS));
        for path in ["/rathaus", "/stadt-a/rathaus"] {
            assert_eq!(get(&front, path).await.headers["x-robots-tag"], "noindex, nofollow", "{path}");
        }
        assert!(!get(&front, "/").await.headers.contains_key("x-robots-tag"), "the start page may be found");
    }
    std::fs::write(site.dir.join("web/robots.txt"), "own").unwrap();
    assert_eq!(get(&site.front(true), "/robots.txt").await.text, "own");
}

/// A web folder as `jitsi/web`'s image has it, without this file: the app took no key of it for "no".
#[tokio::test]
async fn the_app_came_up_in_english_for_everybody() {
    let site = Site::new("language");
    std::fs::remove_file(site.dir.join("web/interface_config.js")).unwrap();
    let index = "<script><!--#include virtual=\"/interface_config.js\" --></script>";
    std::fs::write(site.dir.join("web/index.html"), index).unwrap();
    for front in [site.front(true), site.front(false)] {
        let got = get(&front, "/stadt/interface_config.js").await;
        let object =
            got.text.trim().strip_prefix("var interfaceConfig = ").unwrap().strip_suffix(';').unwrap();
        let object: serde_json::Value = serde_json::from_str(object).unwrap();
        assert_eq!(object["LANG_DETECTION"], true, "the language of the browser is asked for by this alone");
        // Both are used without a look whether they are there.
        assert!(object["SETTINGS_SECTIONS"].is_array() && object["OPTIMAL_BROWSERS"].is_array());
        assert!(!got.text.contains("://"), "nobody else is linked to");
    }
    assert!(get(&site.front(true), "/rathaus").await.text.contains("LANG_DETECTION"));
}

#[tokio::test]
async fn what_the_admin_adds_has_the_last_word_in_both_files() {
    let site = Site::new("custom");
    let folder = site.dir.join("config");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("custom-config.js"), "config.town = 'first';").unwrap();
    std::fs::write(folder.join("custom-interface_config.js"), "interfaceConfig.APP_NAME = 'Plausch';")
        .unwrap();
    for with_folder in [true, false] {
        let base = site.front(with_folder);
        let mut web = base.inner.web.clone();
        web.custom = Some(folder.clone());
        let front = Front::new(web, base.inner.domains.clone(), base.inner.client.clone());
        let config = get(&front, "/config.js").await.text;
        let (first, last) =
            (config.find("config.town = 'first';").unwrap(), config.find("config.town = '';").unwrap());
        assert!(first < last);
        assert!(
            get(&front, "/interface_config.js")
                .await
                .text
                .trim()
                .ends_with("interfaceConfig.APP_NAME = 'Plausch';")
        );
    }
}

/// Upstream's web server shows the app's own page; here it was two words.
#[tokio::test]
async fn compat_an_address_that_is_nothing_has_the_app_s_page_for_that() {
    let site = Site::new("nothing");
    assert_eq!(get(&site.front(true), "/libs/nothing.js").await.text, "nothing here\n");
    let page = "<p>404 in <!--#echo var=\"prefix\" --></p>";
    std::fs::write(site.dir.join("web/static/404.html"), page).unwrap();
    let front = site.front(true);
    let got = get(&front, "/stadt/libs/nothing.js").await;
    assert_eq!((got.status, got.text.as_str()), (404, "<p>404 in stadt</p>"));
    assert_eq!(
        (&got.headers["cache-control"], got.headers.get("etag")),
        (&"no-store".parse().unwrap(), None)
    );
}

#[tokio::test]
async fn the_test_call_page_is_sent_compressed() {
    let site = Site::new("page-gzip");
    let front = site.front(false);
    for (path, text) in [
        ("/rathaus", test_page::INDEX.text),
        ("/_plausch/main.js", test_page::asset("main.js").unwrap().text),
    ] {
        let (first, body) = ask(&front, "GET", path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(
            (first.headers["content-encoding"].as_bytes(), unpacked(&body)),
            (&b"gzip"[..], text.into()),
            "{path}"
        );
        assert_eq!(first.headers["vary"], "accept-encoding");
        let tag = first.headers["etag"].to_str().unwrap();
        let again = |accept| [("if-none-match", tag), ("accept-encoding", accept)];
        let (known, nothing) = ask(&front, "GET", path, &again("gzip")).await;
        assert_eq!(
            (known.status.as_u16(), nothing.len(), known.headers.get("content-encoding")),
            (304, 0, None)
        );
        assert_eq!(ask(&front, "GET", path, &again("br")).await.0.status, 200, "another form");
    }
}
