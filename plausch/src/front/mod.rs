//! Requests of browsers and apps in; the web app or the test-call page, its configuration, and the way to the XMPP
//! server, the focus and the bridge out.

mod asked;
mod config_js;
mod folder;
mod headers;
mod interface_config;
mod kept;
pub(crate) mod limits;
mod paths;
pub(crate) mod secure;
mod ssi;
mod test_page;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::middleware;
use http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, VARY,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use self::asked::Form;
use self::config_js::Asker;
use self::folder::{Folder, Generated};
use self::headers::Keep;
use self::paths::Place;
use self::test_page::Asset;
use crate::options::{Client, Domains, Web};

/// What the front serves besides the roles' own routes.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Option<Folder>,
    web: Web,
    domains: Domains,
    client: Client,
}

/// The front that there is now, which may become another.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    now: Arc<RwLock<Front>>,
}

impl Served {
    pub(crate) fn new(front: Front) -> Self {
        Self { now: Arc::new(RwLock::new(front)) }
    }

    /// Who asks from now on is answered by this one.
    pub(crate) fn replace(&self, front: Front) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = front;
    }

    fn front(&self) -> Front {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The roles' routes, and this for everything else.
    pub(crate) fn router(&self, roles: Router) -> Router {
        let served = self.clone();
        let origin = self.front().inner.web.allow_origin.clone();
        let answer = move |request: Request<Body>| {
            let front = served.front();
            async move { front.answer(request).await }
        };
        roles.fallback(answer).layer(middleware::from_fn_with_state(origin, headers::conference_requests))
    }
}

impl Front {
    pub(crate) fn new(web: Web, domains: Domains, client: Client) -> Self {
        let folder = web.folder.as_deref().map(Folder::new);
        Self { inner: Arc::new(Inner { folder, web, domains, client }) }
    }

    /// Everything here may be read from other sites' pages that the admin allows: apps and pages that embed a meeting do.
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let mut response = self.answer_own(request).await;
        headers::allow(response.headers_mut(), self.inner.web.allow_origin.as_ref());
        response
    }

    async fn answer_own(&self, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET here");
        }
        let Some(place) = paths::place(request.uri().path()) else { return not_found() };
        if !place.tenant.is_empty() && !self.inner.web.tenants {
            return not_found();
        }
        let base = headers::base(&request, self.inner.web.public_url.as_deref());
        let host = headers::host(&request).to_owned();
        match place.path.as_str() {
            // Asked by clients that want to know whether the network is back.
            "/_unlock" => return empty(StatusCode::NO_CONTENT),
            "/config.js" => return script(self.config(&place.tenant, &base, &host).await),
            "/interface_config.js" => {
                let front = self.clone();
                let made = tokio::task::spawn_blocking(move || {
                    front.interface_config_blocking(&place.tenant, &host)
                });
                return respond(request.headers(), SCRIPT, made.await.unwrap_or_default(), Keep::Check);
            }
            "/robots.txt" if !self.inner.folder.as_ref().is_some_and(|f| f.has("/robots.txt")) => {
                return respond(request.headers(), PLAIN, ROBOTS.to_owned(), Keep::Check);
            }
            _ => {}
        }
        match &self.inner.folder {
            Some(folder) if !place.path.starts_with(test_page::PREFIX) => {
                self.serve_folder(folder.clone(), place, base, host, request).await
            }
            _ => serve_test_page(request.headers(), &place),
        }
    }

    async fn serve_folder(
        &self,
        folder: Folder,
        place: Place,
        base: String,
        host: String,
        request: Request<Body>,
    ) -> Response<Body> {
        let mut path = match place.path.as_str() {
            // The library for embedding a meeting into other sites has this address by convention.
            "/external_api.js" if !folder.has("/external_api.js") => "/libs/external_api.min.js".to_owned(),
            "/" => "/index.html".to_owned(),
            p => p.trim_end_matches('/').to_owned(),
        };
        let is_room = place.path != "/";
        let keep = headers::keep_for(&path, request.uri().query());
        if !folder.has(&path) {
            let is_room = paths::is_room(&place.tenant, &path);
            if !is_room && !folder.has(NOTHING) {
                return not_found();
            }
            path = if is_room { "/index.html" } else { NOTHING }.to_owned();
        }
        let front = self.clone();
        let page = {
            let (folder, path) = (folder.clone(), path.clone());
            tokio::task::spawn_blocking(move || {
                let variables = variables(&place.tenant, &host);
                // Pages include the configuration by an address without the tenant; it is the page's tenant that counts.
                let generated: Generated = Arc::new(move |p: &str| match p {
                    "/config.js" => Some(front.config_blocking(&place.tenant, &base, &host)),
                    "/interface_config.js" => Some(front.interface_config_blocking(&place.tenant, &host)),
                    _ => None,
                });
                folder.page(&path, variables, &generated)
            })
            .await
        };
        match page {
            // compat: the app's own page (test: compat_an_address_that_is_nothing_has_the_app_s_page_for_that).
            Ok(Some(text)) if path == NOTHING => {
                let mut response = made(content_type(&path), text, Keep::Never);
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
            Ok(Some(text)) => {
                // Includes and variables depend on the tenant.
                let is_page = path.ends_with(".html");
                let keep = if is_page { Keep::Check } else { keep };
                let mut response = respond(request.headers(), content_type(&path), text, keep);
                if is_page && is_room {
                    no_index(response.headers_mut());
                }
                if is_page && let Some(csp) = &self.inner.web.csp {
                    response.headers_mut().insert(CONTENT_SECURITY_POLICY, csp.clone());
                }
                response
            }
            Ok(None) => match folder.serve(&path, request).await {
                Some(mut response) => {
                    headers::add(response.headers_mut(), keep);
                    response
                }
                None => not_found(),
            },
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "this page failed"),
        }
    }

    async fn config(&self, tenant: &str, base: &str, host: &str) -> String {
        let (front, tenant, base, host) = (self.clone(), tenant.to_owned(), base.to_owned(), host.to_owned());
        tokio::task::spawn_blocking(move || front.config_blocking(&tenant, &base, &host))
            .await
            .unwrap_or_default()
    }

    /// `config.js` with its directives resolved. Reads files.
    fn config_blocking(&self, tenant: &str, base: &str, host: &str) -> String {
        let web = &self.inner.web;
        let custom = format!("{}{}", self.custom("custom-config.js"), read(web.custom_config_js.as_deref()));
        let text = match &web.config_js {
            Some(own) => format!("{}\n{custom}", read(Some(own))),
            None => config_js::text(&self.inner.domains, &self.inner.client, Asker { tenant, base }, &custom),
        };
        rendered(text, "/config.js", tenant, host)
    }

    /// The same for `interface_config.js`, the folder's own or ours.
    fn interface_config_blocking(&self, tenant: &str, host: &str) -> String {
        let own = self.inner.folder.as_ref().and_then(|f| f.text("/interface_config.js"));
        let text = own.unwrap_or_else(interface_config::text);
        rendered(
            format!("{text}{}", self.custom("custom-interface_config.js")),
            "/interface_config.js",
            tenant,
            host,
        )
    }

    /// What the admin has to add, on lines of its own.
    fn custom(&self, name: &str) -> String {
        let text = read(self.inner.web.custom.as_ref().map(|folder| folder.join(name)).as_deref());
        if text.is_empty() { text } else { format!("\n{text}\n") }
    }
}

fn read(path: Option<&Path>) -> String {
    path.and_then(|p| std::fs::read_to_string(p).ok()).unwrap_or_default()
}

fn rendered(text: String, path: &str, tenant: &str, host: &str) -> String {
    if ssi::has_directives(&text) {
        ssi::render(&text, path, variables(tenant, host), &|_| None)
    } else {
        text
    }
}

/// Sends a service's request to the role that serves it, with the tenant as argument. Runs before routing.
pub(crate) fn rewrite<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    if let Some(target) = paths::service(uri.path(), uri.query())
        && let Ok(target) = target.parse::<Uri>()
    {
        *request.uri_mut() = target;
    }
    request
}

/// The same where there are no tenants: nothing but the answer that there is nothing leads to their paths.
pub(crate) fn rewrite_without_tenants<B>(request: Request<B>) -> Request<B> {
    match paths::place(request.uri().path()) {
        Some(place) if !place.tenant.is_empty() => request,
        _ => rewrite(request),
    }
}

fn serve_test_page(asked: &HeaderMap, place: &Place) -> Response<Body> {
    let mut path = place.path.as_str();
    if let Some(name) = path.strip_prefix(test_page::PREFIX) {
        if let Some(file) = test_page::asset(name) {
            return constant(asked, &file);
        }
        match name.strip_prefix(test_page::OWN) {
            Some("" | "/") => path = "/test",
            Some(room) if room.starts_with('/') => path = room,
            _ => return not_found(),
        }
    }
    let page = path == "/" || (paths::is_room(&place.tenant, path) && !path.contains('.'));
    if !page {
        return not_found();
    }
    let mut response = constant(asked, &test_page::INDEX);
    if path != "/" {
        no_index(response.headers_mut());
    }
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(test_page::CONTENT_SECURITY_POLICY));
    response
}

/// Names of rooms are nobody's business who searches.
fn no_index(headers: &mut HeaderMap) {
    headers.insert(ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow"));
}

/// The variables upstream's web server sets for its pages.
fn variables(tenant: &str, host: &str) -> ssi::Variables {
    let with = |end: &str| if tenant.is_empty() { String::new() } else { format!("{tenant}{end}") };
    [("subdomain", with(".")), ("subdir", with("/")), ("prefix", with("")), ("http_host", host.to_owned())]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        _ => SCRIPT,
    }
}

/// What depends on who asks. It goes out uncompressed, and so does every page: what a stranger chooses (a tenant, a host)
/// stands in it.
fn script(text: String) -> Response<Body> {
    made(SCRIPT, text, Keep::Never)
}

/// A text, or the word that the asker has it already.
fn respond(asked: &HeaderMap, content_type: &'static str, text: String, keep: Keep) -> Response<Body> {
    let tag = format!("\"{}\"", digest(&text));
    tagged(asked, &tag, made(content_type, text, keep))
}

/// A file of the test-call page, in which nothing is anybody's choice, so that it may be compressed.
fn constant(asked: &HeaderMap, asset: &Asset) -> Response<Body> {
    let gzip = asked::takes(asked, Form::Gzip);
    let form = if gzip { Form::Gzip } else { Form::Plain };
    let tag = format!("\"{}{}\"", digest(asset.text), form.ending());
    let body = if gzip { Body::from(asset.gzip()) } else { Body::from(asset.text) };
    let mut response = made(asset.content_type, body, Keep::Check);
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    tagged(asked, &tag, response)
}

fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// The answer under this tag, or 304 when the asker has it.
fn tagged(asked: &HeaderMap, tag: &str, mut response: Response<Body>) -> Response<Body> {
    if asked::has(asked, tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn made(content_type: &'static str, body: impl Into<Body>, keep: Keep) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers::add(response.headers_mut(), keep);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = made(PLAIN, format!("{text}\n"), Keep::Never);
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    headers::add(response.headers_mut(), Keep::Never);
    response
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "nothing here")
}

/// The app's page for what is not there.
const NOTHING: &str = "/static/404.html";

const SCRIPT: &str = "application/javascript; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// A robot that runs scripts would come into the meeting; the start page may be found.
const ROBOTS: &str = "User-agent: *\nAllow: /$\nDisallow: /\n";

#[cfg(test)]
mod tests;
