//! `healthcheck`, focus → bridge: the element of the IQ.

use crate::ns;
use crate::xml::Element;

/// The request's payload. The answer is an empty result, or an error with the failure as text.
pub fn request() -> Element {
    Element::new("healthcheck", ns::HEALTHCHECK)
}

/// Whether an IQ asks for a health check.
pub fn is_request(iq: &Element) -> bool {
    iq.child("healthcheck", ns::HEALTHCHECK).is_some()
}
