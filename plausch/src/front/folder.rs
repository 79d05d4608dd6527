//! A path below the web app's folder in, its page (with includes resolved) or file out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::limits;
use super::ssi::{self, Variables};

/// The web app's folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: Arc<Path>,
}

/// Text that the folder's pages may include although it is no file there: the configuration.
pub(super) type Generated = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Folder {
    /// `root` must be canonical.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
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

    fn text(&self, path: &str) -> Option<String> {
        let file = self.file(path)?;
        let small = std::fs::metadata(&file).ok()?.len() <= limits::SSI_DOCUMENT;
        small.then(|| std::fs::read_to_string(&file).ok()).flatten()
    }

    /// The file as it is, with ranges, modification time and a compressed sibling when the client takes one.
    pub(super) async fn serve(&self, path: &str, request: Request<Body>) -> Option<Response<Body>> {
        let file = self.file(path)?;
        let service = ServeFile::new(file).precompressed_gzip().precompressed_br();
        // ServeFile's own errors are answers already.
        match service.oneshot(request).await {
            Ok(response) => Some(response.map(Body::new)),
            Err(never) => match never {},
        }
    }
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
