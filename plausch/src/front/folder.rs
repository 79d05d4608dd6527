//! A path below the web app's folder in, its page (with includes resolved) or file out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
};
use http::{Method, Request, Response, StatusCode};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::asked::{self, Form};
use super::kept::{Kept, Stamp};
use super::limits;
use super::ssi::{self, Variables};

/// The web app's folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: Arc<Path>,
    kept: Arc<Kept>,
}

/// Text that the folder's pages may include although it is no file there: the configuration.
pub(super) type Generated = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Folder {
    /// `root` must be canonical.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into(), kept: Arc::default() }
    }

    /// The file behind an absolute, already cleaned path; nothing outside the folder, also not through a link.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let file = self.root.join(path.trim_start_matches('/')).canonicalize().ok()?;
        (file.starts_with(&self.root) && file.is_file()).then_some(file)
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, path: &str) -> bool {
        path != "/" && self.file(path).is_some()
    }

    /// A page with includes: `None` when it is no text file or has no directives (then [`Self::serve`] is the way).
    ///
    /// Reads files: call it where blocking is allowed.
    pub(super) fn page(&self, path: &str, variables: Variables, generated: &Generated) -> Option<String> {
        if !(path.ends_with(".html") || path.ends_with(".js") || path.ends_with(".json")) {
            return None;
        }
        let text = self.text(path)?;
        if !ssi::has_directives(&text) {
            return path.ends_with(".html").then_some(text);
        }
        let document = |path: &str| generated(path).or_else(|| self.text(path));
        Some(ssi::render(&text, path, variables, &document))
    }

    /// A small text file.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let file = self.file(path)?;
        let small = std::fs::metadata(&file).ok()?.len() <= limits::SSI_DOCUMENT;
        small.then(|| std::fs::read_to_string(&file).ok()).flatten()
    }

    /// The file, with ranges, conditions, and compressed when the client takes that: a neighbour (`.br`, `.gz`) when there is
    /// one, else once for all.
    pub(super) async fn serve(&self, path: &str, mut request: Request<Body>) -> Option<Response<Body>> {
        let file = self.file(path)?;
        let stamp = Stamp::of(&file)?;
        let modified = httpdate::fmt_http_date(stamp.modified);
        let varies = compressible(path);
        let asked = request.headers();
        // Parts are parts of the file as it is.
        let whole = !asked.contains_key(RANGE);
        let neighbour =
            |form: Form| varies && whole && asked::takes(asked, form) && self.has_neighbour(&file, form);
        let mut form = [Form::Brotli, Form::Gzip].into_iter().find(|f| neighbour(*f)).unwrap_or(Form::Plain);
        let mut made = None;
        if form == Form::Plain && varies && whole && asked::takes(asked, Form::Gzip) {
            made = self.kept.gzip(&file, stamp).await;
            form = if made.is_some() { Form::Gzip } else { form };
        }
        let tag = stamp.tag(form.ending());
        let unchanged = asked::has(asked, &tag);
        // A range of a file that has changed meanwhile would be glued to another's beginning.
        let drop_range = !asked::range_holds(asked, &tag, &modified);
        let tagged = asked.contains_key(IF_NONE_MATCH);
        let headers = request.headers_mut();
        headers.remove(IF_RANGE);
        if drop_range {
            headers.remove(RANGE);
        }
        if tagged {
            // The tag says it better than the time (RFC 9110 §13.1.3).
            headers.remove(IF_MODIFIED_SINCE);
        }
        let head = request.method() == Method::HEAD;
        if unchanged || made.is_some() {
            *request.method_mut() = Method::HEAD;
        }
        let mut service = ServeFile::new(file);
        let headers = request.headers_mut();
        // It is decided; ServeFile reads weights and `*` in its own way.
        headers.remove(ACCEPT_ENCODING);
        if form == Form::Brotli {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br"));
            service = service.precompressed_br();
        } else if form == Form::Gzip && made.is_none() {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            service = service.precompressed_gzip();
        }
        // ServeFile's own errors are answers already.
        let mut response = match service.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        if unchanged && response.status().is_success() {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, ACCEPT_RANGES] {
                response.headers_mut().remove(name);
            }
        } else if let Some(gzip) = made.filter(|_| response.status() == StatusCode::OK) {
            let headers = response.headers_mut();
            headers.remove(ACCEPT_RANGES);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(gzip.len()));
            if !head {
                *response.body_mut() = Body::from(gzip);
            }
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        if varies {
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        Some(response)
    }

    fn has_neighbour(&self, file: &Path, form: Form) -> bool {
        let mut name = file.as_os_str().to_owned();
        name.push(form.ending());
        PathBuf::from(name).canonicalize().is_ok_and(|n| n.starts_with(&self.root) && n.is_file())
    }
}

/// Text, and programs for the browser; pictures, sounds and fonts are compressed already.
fn compressible(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, e)| e);
    ["js", "mjs", "css", "json", "map", "svg", "txt", "xml", "wasm", "html"].contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_looked_for_in_files_up_to_a_size() {
        let root = std::env::temp_dir().join(format!("plausch-folder-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let directive = "<!--#echo var=\"name\" -->";
        let generated: Generated = Arc::new(|_| None);
        for (more, is_page) in [(0, true), (1, false)] {
            let padding = usize::try_from(limits::SSI_DOCUMENT).unwrap() - directive.len() + more;
            std::fs::write(root.join("index.html"), format!("{directive}{}", "x".repeat(padding))).unwrap();
            let folder = Folder::new(&root);
            let page = folder.page("/index.html", Variables::new(), &generated);
            assert_eq!(page.is_some(), is_page, "{more} beyond");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
