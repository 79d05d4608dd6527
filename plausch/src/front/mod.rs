//! Requests of browsers and apps in; the web app or the test-call page, its configuration, and the way to the XMPP
//! server, the focus and the bridge out.

mod config_js;
mod folder;
mod headers;
pub(crate) mod limits;
mod paths;
pub(crate) mod secure;
mod ssi;
mod test_page;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};

use self::config_js::Asker;
use self::folder::{Folder, Generated};
use self::headers::Keep;
use self::paths::Place;
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

impl Front {
    pub(crate) fn new(web: Web, domains: Domains, client: Client) -> Self {
        let folder = web.folder.as_deref().map(Folder::new);
        Self { inner: Arc::new(Inner { folder, web, domains, client }) }
    }

    /// The roles' routes, and this for everything else.
    pub(crate) fn router(&self, roles: Router) -> Router {
        let front = self.clone();
        let origin = self.inner.web.allow_origin.clone();
        let answer = move |request: Request<Body>| {
            let front = front.clone();
            async move { front.answer(request).await }
        };
        roles.fallback(answer).layer(middleware::from_fn_with_state(origin, headers::conference_requests))
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
        let base = headers::base(&request, self.inner.web.public_url.as_deref());
        let host = headers::host(&request).to_owned();
        match place.path.as_str() {
            // Asked by clients that want to know whether the network is back.
            "/_unlock" => return empty(StatusCode::NO_CONTENT),
            "/config.js" => return script(self.config(&place.tenant, &base, &host).await, Keep::Never),
            _ => {}
        }
        match &self.inner.folder {
            Some(folder) => self.serve_folder(folder.clone(), place, base, host, request).await,
            None => serve_test_page(&place),
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
        let keep = headers::keep_for_query(request.uri().query());
        if !folder.has(&path) {
            if path == "/interface_config.js" {
                return script("var interfaceConfig = {};\n".into(), Keep::Check);
            }
            if !paths::is_room(&place.tenant, &path) {
                return not_found();
            }
            path = "/index.html".to_owned();
        }
        let front = self.clone();
        let page = {
            let (folder, path) = (folder.clone(), path.clone());
            tokio::task::spawn_blocking(move || {
                let variables = variables(&place.tenant, &host);
                // Pages include the configuration by an address without the tenant; it is the page's tenant that counts.
                let generated: Generated = Arc::new(move |p: &str| {
                    (p == "/config.js").then(|| front.config_blocking(&place.tenant, &base, &host))
                });
                folder.page(&path, variables, &generated)
            })
            .await
        };
        match page {
            Ok(Some(text)) => {
                // Includes and variables depend on the tenant.
                let is_page = path.ends_with(".html");
                let keep = if is_page { Keep::Check } else { keep };
                let mut response = respond(content_type(&path), text, keep);
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
        let read = |path: &Option<std::path::PathBuf>| {
            path.as_deref().and_then(|p| std::fs::read_to_string(p).ok()).unwrap_or_default()
        };
        let custom = read(&self.inner.web.custom_config_js);
        let text = match &self.inner.web.config_js {
            Some(_) => format!("{}\n{custom}", read(&self.inner.web.config_js)),
            None => config_js::text(&self.inner.domains, &self.inner.client, Asker { tenant, base }, &custom),
        };
        if ssi::has_directives(&text) {
            ssi::render(&text, "/config.js", variables(tenant, host), &|_| None)
        } else {
            text
        }
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

fn serve_test_page(place: &Place) -> Response<Body> {
    let path = place.path.as_str();
    if let Some(name) = path.strip_prefix(test_page::PREFIX) {
        return match test_page::asset(name) {
            Some(a) => respond(a.content_type, a.text.to_owned(), Keep::Check),
            None => not_found(),
        };
    }
    if path == "/interface_config.js" {
        return script("var interfaceConfig = {};\n".into(), Keep::Check);
    }
    let page = path == "/" || (paths::is_room(&place.tenant, path) && !path.contains('.'));
    if !page {
        return not_found();
    }
    let mut response = respond(test_page::INDEX.content_type, test_page::INDEX.text.to_owned(), Keep::Check);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(test_page::CONTENT_SECURITY_POLICY));
    response
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
        _ => "application/javascript; charset=utf-8",
    }
}

fn script(text: String, keep: Keep) -> Response<Body> {
    respond("application/javascript; charset=utf-8", text, keep)
}

fn respond(content_type: &'static str, text: String, keep: Keep) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers::add(response.headers_mut(), keep);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = respond("text/plain; charset=utf-8", format!("{text}\n"), Keep::Never);
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

#[cfg(test)]
mod tests;
