//! Text with directives in, pieces in order out; never fails, a broken directive is a piece of its own.

/// A part of a page.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// Sent as it is.
    Text(&'a str),
    /// `<!--#name parameter="value" … -->`.
    Directive(Directive<'a>),
    /// Looks like a directive and is none.
    Broken,
}

/// One directive.
#[derive(Debug, PartialEq)]
pub(super) struct Directive<'a> {
    pub(super) name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Directive<'a> {
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
}

/// Cuts a text at its directives.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    let mut next = None;
    std::iter::from_fn(move || {
        if let Some(piece) = next.take() {
            return Some(piece);
        }
        if rest.is_empty() {
            return None;
        }
        let Some(start) = rest.find(OPEN) else { return Some(Piece::Text(std::mem::take(&mut rest))) };
        let (before, from) = rest.split_at(start);
        let inner = from.get(OPEN.len()..).unwrap_or_default();
        let Some(end) = end(inner) else { return Some(Piece::Text(std::mem::take(&mut rest))) };
        let (body, after) = inner.split_at(end);
        rest = after.get(CLOSE.len()..).unwrap_or_default();
        let piece = directive(body).map_or(Piece::Broken, Piece::Directive);
        if before.is_empty() {
            return Some(piece);
        }
        next = Some(piece);
        Some(Piece::Text(before))
    })
}

/// Where the directive ends: the first `-->` outside quotes, or, when a quote is never closed, the first one at all.
fn end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, b) in text.bytes().enumerate() {
        match quote {
            Some(q) if b == q => quote = None,
            Some(_) => {}
            None if b == b'"' || b == b'\'' => quote = Some(b),
            None if b == b'-'
                && text.as_bytes().get(i..).is_some_and(|t| t.starts_with(CLOSE.as_bytes())) =>
            {
                return Some(i);
            }
            None => {}
        }
    }
    text.find(CLOSE)
}

fn directive(body: &str) -> Option<Directive<'_>> {
    let body = body.trim();
    let (name, mut rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !word(name) {
        return None;
    }
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(Directive { name, parameters });
        }
        let (key, after) = rest.split_once('=')?;
        let (key, after) = (key.trim(), after.trim_start());
        let (value, tail) = match after.chars().next() {
            Some(q @ ('"' | '\'')) => after.get(1..)?.split_once(q)?,
            _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if !word(key) || parameters.len() >= MAX_PARAMETERS {
            return None;
        }
        parameters.push((key, value));
        rest = tail;
    }
}

const OPEN: &str = "<!--#";
const CLOSE: &str = "-->";
/// No directive has more than four.
const MAX_PARAMETERS: usize = 8;
