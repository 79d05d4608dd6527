//! What goes over the wire, to the byte: golden files, recorded stanzas, the literal `xmlns` rule, hostile input.

mod arbitrary;
mod colibri2;
mod independent_parser;
mod jingle;
mod literal_xmlns;
mod recorded;

use jitsi_xmpp::xml::{self, Element};

/// Parses a text that stands in the client namespace.
fn element(text: &str) -> Element {
    xml::parse_with(text.trim().as_bytes(), jitsi_xmpp::ns::CLIENT, &xml::XmlLimits::default()).unwrap()
}

/// A golden file without the line breaks and indentation that make it readable.
fn golden(text: &str) -> String {
    text.lines().map(str::trim).collect()
}

/// Where `PLAUSCH_BLESS` is set the file is written instead of compared; read the difference before committing it.
fn assert_golden(name: &str, expected: &str, actual: &str) {
    if std::env::var_os("PLAUSCH_BLESS").is_some() {
        let path = format!("{}/fixtures/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, actual.replace("><", ">\n<") + "\n").unwrap();
        return;
    }
    assert_eq!(actual, golden(expected), "{name}");
}
