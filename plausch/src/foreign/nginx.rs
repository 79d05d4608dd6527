//! A site of nginx's in; its directives with their words and blocks, out. Includes are not followed.

use super::limits::{DEPTH, FILE, VALUES};
use super::{Cursor, Odd};

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its name and what stands behind it.
    pub words: Vec<String>,
    /// What is within its braces.
    pub block: Vec<Self>,
    /// Where, from 1.
    pub line: usize,
}

impl Directive {
    /// Its name.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// What stands behind its name.
    pub fn rest(&self) -> String {
        self.words.get(1..).unwrap_or_default().join(" ")
    }
}

/// Reads it.
pub fn parse(text: &str) -> Result<Vec<Directive>, Odd> {
    let mut at = Cursor::new(text);
    if text.len() > FILE {
        return at.odd("the file is too large");
    }
    let mut count = 0;
    block(&mut at, 0, &mut count)
}

fn block(at: &mut Cursor<'_>, depth: usize, count: &mut usize) -> Result<Vec<Directive>, Odd> {
    if depth > DEPTH {
        return at.odd("too deep");
    }
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut line = at.line;
    loop {
        at.take_while(char::is_whitespace);
        if words.is_empty() {
            line = at.line;
        }
        match at.peek() {
            None if words.is_empty() && depth == 0 => return Ok(all),
            None => return at.odd("a brace or `;` is missing"),
            Some('#') => {
                at.take_while(|c| c != '\n');
            }
            Some('}') => {
                at.next();
                if !words.is_empty() || depth == 0 {
                    return at.odd("a brace too many, or `;` is missing");
                }
                return Ok(all);
            }
            Some(c @ (';' | '{')) => {
                at.next();
                if words.is_empty() {
                    return at.odd("a name is missing");
                }
                let block = if c == '{' { block(at, depth + 1, count)? } else { Vec::new() };
                all.push(Directive { words: std::mem::take(&mut words), block, line });
            }
            Some(_) => {
                *count += 1;
                if *count > VALUES {
                    return at.odd("too many values");
                }
                words.push(word(at)?);
            }
        }
    }
}

fn word(at: &mut Cursor<'_>) -> Result<String, Odd> {
    let mut text = String::new();
    if let Some(quote @ ('"' | '\'')) = at.peek() {
        at.next();
        loop {
            match at.next() {
                None => return at.odd("quotes do not end"),
                Some(c) if c == quote => return Ok(text),
                Some('\\') => text.extend(at.next()),
                Some(c) => text.push(c),
            }
        }
    }
    while let Some(c) = at.peek() {
        if c.is_whitespace() || c == ';' || c == '{' && !text.ends_with('$') {
            break;
        }
        // `${name}` is a word.
        if c == '{' {
            text.push_str(at.take_while(|c| c != '}' && c != '\n'));
            text.extend(at.next());
            continue;
        }
        if c == '}' {
            break;
        }
        text.push(c);
        at.next();
        if c == '\\' {
            text.extend(at.next());
        }
    }
    if text.is_empty() { at.odd("a word is missing") } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_read_with_its_blocks_and_nothing_of_it_is_followed() {
        let all = parse(
            "# a town's\nserver {\n  listen 443 ssl http2; server_name meet.example www.meet.example;\n  ssl_certificate \"/etc/x y.crt\";\n\
             location ~ ^/([^/?&:'\"]+)/(.*)$ { set $a ${b}c; rewrite ^/(.*)$ / break; }\n include jaas/*.conf;\n}\n",
        )
        .unwrap();
        assert_eq!((all.len(), all[0].name(), all[0].line), (1, "server", 2));
        let server = &all[0].block;
        assert_eq!(server[1].rest(), "meet.example www.meet.example");
        assert_eq!(server[2].words[1], "/etc/x y.crt");
        assert_eq!((server[3].name(), server[3].block[0].rest().as_str()), ("location", "$a ${b}c"));
        assert_eq!((server[4].name(), server[4].line), ("include", 6));
    }

    #[test]
    fn what_is_no_site_is_said_with_its_line() {
        for (odd, line) in
            [("server {\n", 2), ("a b\n", 2), ("}", 1), ("{", 1), ("a \"x", 1), ("a }", 1), (";", 1)]
        {
            assert_eq!(parse(odd).unwrap_err().line, line, "{odd:?}");
        }
    }

    #[test]
    fn files_depth_and_words_end_at_their_limits() {
        let fill = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        assert!(parse(&fill(FILE)).is_ok());
        assert_eq!(parse(&fill(FILE + 1)).unwrap_err().what, "the file is too large");
        let nested = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
        assert!(parse(&nested(DEPTH)).is_ok());
        assert_eq!(parse(&nested(DEPTH + 1)).unwrap_err().what, "too deep");
        let many = |n: usize| format!("{};", "a ".repeat(n));
        assert!(parse(&many(VALUES)).is_ok());
        assert_eq!(parse(&many(VALUES + 1)).unwrap_err().what, "too many values");
    }
}
