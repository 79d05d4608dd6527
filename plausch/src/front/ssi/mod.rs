//! Server-side includes: a page with `<!--# … -->` directives and variables in, the finished page out.
//!
//! The subset of nginx' `ngx_http_ssi_module` without its sub-request flags: `include` (virtual, file), `echo`, `set`, `if`/`elif`/`else`/
//! `endif`, `block`/`endblock` with `stub`, and `config errmsg`. Documents come from a closure, so nothing here reads a file.

mod condition;
mod parse;

use std::collections::HashMap;

use self::parse::{Directive, Piece, pieces};
use super::limits;

/// Variables of one page, without the `$`.
pub(crate) type Variables = HashMap<String, String>;

/// Finishes `page`. `document` gives the text behind an absolute path, or nothing.
pub(crate) fn render(
    page: &str,
    path: &str,
    variables: Variables,
    document: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut r = Renderer {
        variables,
        document,
        out: String::new(),
        includes: 0,
        error: ERROR.to_owned(),
        blocks: HashMap::new(),
    };
    r.document(page, path, 0);
    r.out
}

/// Whether a text has any directive at all.
pub(crate) fn has_directives(text: &str) -> bool {
    text.contains("<!--#")
}

struct Renderer<'a> {
    variables: Variables,
    document: &'a dyn Fn(&str) -> Option<String>,
    out: String,
    includes: usize,
    error: String,
    blocks: HashMap<String, String>,
}

/// One open `if`: whether its branch is shown, whether one was shown already, and whether it stands in a hidden one.
struct Branch {
    shown: bool,
    done: bool,
    outer: bool,
}

impl Renderer<'_> {
    fn document(&mut self, text: &str, path: &str, depth: usize) {
        let mut open: Vec<Branch> = Vec::new();
        let mut block: Option<(String, usize)> = None;
        for piece in pieces(text) {
            let shown = open.last().is_none_or(|b| b.shown);
            match piece {
                Piece::Text(t) => {
                    if shown {
                        self.push(t);
                    }
                }
                Piece::Directive(d) => match d.name {
                    "if" => {
                        let met = shown && self.met(&d);
                        open.push(Branch { shown: met, done: met, outer: shown });
                    }
                    "elif" => {
                        let met = self.met(&d);
                        if let Some(b) = open.last_mut() {
                            b.shown = b.outer && !b.done && met;
                            b.done |= b.shown;
                        }
                    }
                    "else" => {
                        if let Some(b) = open.last_mut() {
                            b.shown = b.outer && !b.done;
                            b.done = true;
                        }
                    }
                    "endif" => drop(open.pop()),
                    "block" => block = d.parameter("name").map(|n| (n.to_owned(), self.out.len())),
                    "endblock" => {
                        if let Some((name, from)) = block.take() {
                            let text = self.out.split_off(from.min(self.out.len()));
                            if self.blocks.len() < limits::SSI_VARIABLES {
                                self.blocks.insert(name, text);
                            }
                        }
                    }
                    _ if shown => self.directive(&d, path, depth),
                    _ => {}
                },
                Piece::Broken => {
                    if shown {
                        let e = self.error.clone();
                        self.push(&e);
                    }
                }
            }
        }
    }

    fn directive(&mut self, d: &Directive<'_>, path: &str, depth: usize) {
        match d.name {
            "echo" => self.echo(d),
            "set" => self.set(d),
            "include" => self.include(d, path, depth),
            "config" => {
                if let Some(e) = d.parameter("errmsg") {
                    self.error = truncate(e.to_owned());
                }
            }
            _ => {
                let e = self.error.clone();
                self.push(&e);
            }
        }
    }

    fn echo(&mut self, d: &Directive<'_>) {
        let Some(name) = d.parameter("var") else { return };
        let value = match self.variables.get(name) {
            Some(v) => v.clone(),
            // nginx prints this when neither the variable nor a default is there.
            None => d.parameter("default").unwrap_or("(none)").to_owned(),
        };
        let value = match d.parameter("encoding") {
            Some("none") => value,
            Some("url") => url(&value),
            _ => entities(&value),
        };
        self.push(&value);
    }

    fn set(&mut self, d: &Directive<'_>) {
        if let (Some(name), Some(value)) = (d.parameter("var"), d.parameter("value")) {
            let value = truncate(self.expand(value));
            if self.variables.len() < limits::SSI_VARIABLES || self.variables.contains_key(name) {
                self.variables.insert(name.to_owned(), value);
            }
        }
    }

    fn include(&mut self, d: &Directive<'_>, path: &str, depth: usize) {
        let target = match (d.parameter("virtual"), d.parameter("file")) {
            (Some(v), _) => resolve(path, &self.expand(v)),
            (None, Some(f)) => resolve("/", f),
            (None, None) => None,
        };
        self.includes += 1;
        let text = target
            .as_deref()
            .filter(|_| depth < limits::SSI_DEPTH && self.includes <= limits::SSI_INCLUDES)
            .and_then(|t| (self.document)(t));
        match (text, target) {
            (Some(text), Some(target)) => self.document(&text, &target, depth + 1),
            _ => {
                // A fragment that is not there (title.html of a trimmed web folder) is left out: a visitor can do nothing with nginx'
                // error sentence, and inside a script it would break the page.
                let stub = d.parameter("stub").and_then(|s| self.blocks.get(s)).cloned();
                self.push(&stub.unwrap_or_default());
            }
        }
    }

    fn met(&self, d: &Directive<'_>) -> bool {
        d.parameter("expr").is_some_and(|e| condition::met(e, |t| self.expand(t)))
    }

    /// Replaces `$name` and `${name}`; an unknown one is empty.
    fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, tail) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
                Some(braced) => braced,
                None => {
                    let end =
                        after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            if name.is_empty() {
                out.push('$');
            } else if let Some(v) = self.variables.get(name) {
                out.push_str(v);
            }
            rest = tail;
            if out.len() > limits::SSI_VALUE {
                break;
            }
        }
        out.push_str(rest);
        truncate(out)
    }

    fn push(&mut self, text: &str) {
        if self.out.len() + text.len() <= limits::SSI_OUTPUT {
            self.out.push_str(text);
        }
    }
}

/// The absolute path of an include, without its query; nothing that leaves the root.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let folder = if target.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |(f, _)| f) };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            p => parts.push(p),
        }
    }
    (!parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

fn truncate(mut value: String) -> String {
    if value.len() > limits::SSI_VALUE {
        let end = (0..=limits::SSI_VALUE).rev().find(|i| value.is_char_boundary(*i)).unwrap_or(0);
        value.truncate(end);
    }
    value
}

fn entities(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // nginx leaves this one; the pages put variables into single-quoted script strings.
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn url(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

const ERROR: &str = "[an error occurred while processing the directive]";

#[cfg(test)]
mod tests;
