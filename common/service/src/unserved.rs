//! In an answer's extensions: the request that it refuses, whole, for whoever knows somebody else to ask.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{Request, Response};

/// A request that was for nobody here.
#[derive(Clone)]
pub struct Unserved(Arc<Mutex<Option<Request<Body>>>>);

impl Unserved {
    /// Puts it beside the refusal.
    pub fn beside(request: Request<Body>, mut refusal: Response<Body>) -> Response<Body> {
        refusal.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(request)))));
        refusal
    }

    /// The request, if the answer refuses one that was for nobody here.
    pub fn of(refusal: &mut Response<Body>) -> Option<Request<Body>> {
        let this = refusal.extensions_mut().remove::<Self>()?;
        this.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Unserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unserved")
    }
}
