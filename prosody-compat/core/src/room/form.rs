//! Data forms (XEP-0004) of a room: a field's type, name and value in, the element out.

use jitsi_xmpp::Element;

/// One field of a form.
pub(crate) fn field(kind: &'static str, var: &str, value: &str) -> Element {
    Element::inherit("field")
        .with_attr("type", kind)
        .with_attr("var", var)
        .with_child(Element::inherit("value").with_text(value))
}
