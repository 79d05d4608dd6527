//! The text of a file in HOCON in; what was said of each key, one after the other and not yet put together, out.

use super::super::limits::{DEPTH, FILE, VALUES};
use super::super::{Cursor, Odd};

/// Reads it: what stands in it, and what it includes.
pub(super) fn read(text: &str) -> Result<(Object, Vec<String>), Odd> {
    let mut reader = Reader { at: Cursor::new(text), values: 0, includes: Vec::new() };
    if text.len() > FILE {
        return reader.at.odd("the file is too large");
    }
    let mut root = Vec::new();
    reader.space(true);
    let braces = reader.at.take("{");
    reader.members(&mut root, braces, 0)?;
    reader.space(true);
    if reader.at.peek().is_some() {
        return reader.at.odd("something after the end");
    }
    Ok((root, reader.includes))
}

/// Keys in the order in which they came first.
pub(super) type Object = Vec<(String, Node)>;

/// What a key leads to.
pub(super) enum Node {
    Object(Object),
    /// What it was said to be, one after the other: the last that there is counts.
    Leaf(Vec<(Raw, usize)>),
}

/// A value as written.
pub(super) enum Raw {
    Text(Vec<Piece>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Null,
}

/// A part of a text.
pub(super) enum Piece {
    Text(String),
    Reference { path: Vec<String>, optional: bool },
}

struct Reader<'a> {
    at: Cursor<'a>,
    values: usize,
    includes: Vec<String>,
}

impl Reader<'_> {
    /// Skips blanks and comments.
    fn space(&mut self, lines: bool) {
        loop {
            self.at.take_while(|c| c.is_whitespace() && (lines || c != '\n'));
            if !(self.at.begins("#") || self.at.begins("//")) {
                return;
            }
            self.at.take_while(|c| c != '\n');
        }
    }

    fn members(&mut self, into: &mut Object, braces: bool, depth: usize) -> Result<(), Odd> {
        if depth > DEPTH {
            return self.at.odd("too deep");
        }
        loop {
            self.space(true);
            while self.at.take(",") {
                self.space(true);
            }
            match self.at.peek() {
                None if braces => return self.at.odd("a brace is missing"),
                None => return Ok(()),
                Some('}') if braces => {
                    self.at.next();
                    return Ok(());
                }
                Some('}') => return self.at.odd("a brace too many"),
                Some(_) => self.member(into, depth)?,
            }
        }
    }

    fn member(&mut self, into: &mut Object, depth: usize) -> Result<(), Odd> {
        if self.include()? {
            return Ok(());
        }
        let line = self.at.line;
        let path = self.path(&[':', '=', '{', '+'])?;
        if path.len() + depth > DEPTH {
            return self.at.odd("too deep");
        }
        self.space(true);
        let append = self.at.take("+=");
        let assigned = append || self.at.take("=") || self.at.take(":");
        self.space(assigned);
        if self.at.take("{") {
            self.values += 1;
            let inner = object(into, &path);
            // Numbers of nested calls are what is bounded, not of dots.
            self.members(inner, true, depth + path.len())?;
            return self.end();
        }
        if !assigned {
            return self.at.odd("`=` or `:` is missing");
        }
        let raw = self.value(depth + path.len())?;
        self.end()?;
        let Some((last, before)) = path.split_last() else { return self.at.odd("a name is missing") };
        let parent = object(into, before);
        let at = match parent.iter().position(|(k, _)| k == last) {
            Some(at) => at,
            None => {
                parent.push((last.clone(), Node::Leaf(Vec::new())));
                parent.len() - 1
            }
        };
        let Some((_, node)) = parent.get_mut(at) else { return Ok(()) };
        match node {
            Node::Leaf(said) if append => match said.last_mut() {
                Some((Raw::List(list), _)) => list.push(raw),
                _ => said.push((Raw::List(vec![raw]), line)),
            },
            Node::Leaf(said) => said.push((raw, line)),
            Node::Object(_) => *node = Node::Leaf(vec![(raw, line)]),
        }
        Ok(())
    }

    /// After a value: the line, or the object, ends.
    fn end(&mut self) -> Result<(), Odd> {
        self.space(false);
        match self.at.peek() {
            None | Some('\n' | ',' | '}' | ']') => Ok(()),
            Some(_) => self.at.odd("values that are put together of lists or objects are not understood"),
        }
    }

    fn include(&mut self) -> Result<bool, Odd> {
        let mut ahead = self.at.rest.as_str();
        let Some(rest) = ahead.strip_prefix("include") else { return Ok(false) };
        ahead = rest.trim_start_matches([' ', '\t']);
        let words = ["\"", "file(", "url(", "classpath(", "required("];
        if !words.iter().any(|w| ahead.starts_with(w)) {
            return Ok(false);
        }
        self.count()?;
        self.at.take("include");
        let what = self.at.take_while(|c| !"\n#}".contains(c));
        self.includes.push(what.trim().trim_end_matches(',').to_owned());
        Ok(true)
    }

    fn path(&mut self, ends: &[char]) -> Result<Vec<String>, Odd> {
        let mut path = Vec::new();
        loop {
            self.at.take_while(|c| c == ' ' || c == '\t');
            let mut part = String::new();
            if self.at.peek() == Some('"') {
                part = self.quoted()?;
                self.at.take_while(|c| c == ' ' || c == '\t');
            } else {
                let plain = self.at.take_while(|c| {
                    !ends.contains(&c) && !c.is_control() && !"\"${}[],#.^?!@*&\\`".contains(c)
                });
                part.push_str(plain.trim());
                if part.is_empty() {
                    return self.at.odd("a name is missing");
                }
            }
            path.push(part);
            if path.len() > DEPTH {
                return self.at.odd("too deep");
            }
            if !self.at.take(".") {
                return Ok(path);
            }
        }
    }

    fn count(&mut self) -> Result<(), Odd> {
        self.values += 1;
        if self.values > VALUES { self.at.odd("too many values") } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Result<Raw, Odd> {
        self.count()?;
        if depth > DEPTH {
            return self.at.odd("too deep");
        }
        match self.at.peek() {
            Some('[') => {
                self.at.next();
                let mut list = Vec::new();
                loop {
                    self.space(true);
                    while self.at.take(",") {
                        self.space(true);
                    }
                    match self.at.peek() {
                        None => return self.at.odd("a bracket is missing"),
                        Some(']') => {
                            self.at.next();
                            return Ok(Raw::List(list));
                        }
                        Some('}') => return self.at.odd("a bracket is missing"),
                        Some('{') => {
                            self.count()?;
                            self.at.next();
                            let mut object = Vec::new();
                            self.members(&mut object, true, depth + 1)?;
                            list.push(flat(object));
                        }
                        Some(_) => {
                            let value = self.value(depth + 1)?;
                            list.push(value);
                        }
                    }
                    self.end()?;
                }
            }
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<Raw, Odd> {
        let mut pieces = Vec::new();
        let mut only_plain = true;
        // Blanks within count, those at the ends do not.
        let mut blank = String::new();
        loop {
            match self.at.peek() {
                None | Some('\n' | ',' | '}' | ']' | '#') => break,
                _ if self.at.begins("//") => break,
                Some(c) if c.is_whitespace() => {
                    blank.push_str(self.at.take_while(|c| c.is_whitespace() && c != '\n'));
                }
                Some(c) => {
                    if !pieces.is_empty() && !blank.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut blank)));
                    }
                    blank.clear();
                    match c {
                        '"' => {
                            only_plain = false;
                            pieces.push(Piece::Text(self.quoted()?));
                        }
                        '$' => {
                            only_plain = false;
                            self.at.next();
                            if !self.at.take("{") {
                                return self.at.odd("`{` is missing after `$`");
                            }
                            let optional = self.at.take("?");
                            let path = self.path(&['}', ':', '=', '{'])?;
                            if !self.at.take("}") {
                                return self.at.odd("`}` is missing");
                            }
                            pieces.push(Piece::Reference { path, optional });
                        }
                        '{' | '[' => {
                            return self
                                .at
                                .odd("values that are put together of lists or objects are not understood");
                        }
                        _ => {
                            let plain = self.plain();
                            pieces.push(Piece::Text(plain));
                        }
                    }
                }
            }
        }
        match pieces.as_slice() {
            [] => self.at.odd("a value is missing"),
            [Piece::Text(text)] if only_plain && text == "null" => Ok(Raw::Null),
            _ => Ok(Raw::Text(pieces)),
        }
    }

    fn plain(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.at.peek() {
            if c.is_whitespace() || ",}]#\"${[".contains(c) || self.at.begins("//") {
                break;
            }
            text.push(c);
            self.at.next();
        }
        text
    }

    fn quoted(&mut self) -> Result<String, Odd> {
        if self.at.take("\"\"\"") {
            let mut text = String::new();
            while !self.at.begins("\"\"\"") {
                match self.at.next() {
                    Some(c) => text.push(c),
                    None => return self.at.odd("quotes do not end"),
                }
            }
            // More quotes belong to the text.
            self.at.take("\"\"\"");
            text.push_str(self.at.take_while(|c| c == '"'));
            return Ok(text);
        }
        self.at.next();
        let mut text = String::new();
        loop {
            match self.at.next() {
                None | Some('\n') => return self.at.odd("quotes do not end"),
                Some('"') => return Ok(text),
                Some('\\') => {
                    let c = match self.at.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('b') => '\u{8}',
                        Some('f') => '\u{c}',
                        Some(c @ ('"' | '\\' | '/')) => c,
                        Some('u') => {
                            let mut code = 0;
                            for _ in 0..4 {
                                match self.at.next().and_then(|c| c.to_digit(16)) {
                                    Some(digit) => code = code * 16 + digit,
                                    None => return self.at.odd("an escape is not understood"),
                                }
                            }
                            match char::from_u32(code) {
                                Some(c) => c,
                                None => return self.at.odd("an escape is not understood"),
                            }
                        }
                        _ => return self.at.odd("an escape is not understood"),
                    };
                    text.push(c);
                }
                Some(c) => text.push(c),
            }
        }
    }
}

/// The object of this path, made where there is none.
fn object<'a>(into: &'a mut Object, path: &[String]) -> &'a mut Object {
    let Some((key, rest)) = path.split_first() else { return into };
    if !into.iter().any(|(k, n)| k == key && matches!(n, Node::Object(_))) {
        into.retain(|(k, _)| k != key);
        into.push((key.clone(), Node::Object(Vec::new())));
    }
    let at = into.iter().position(|(k, _)| k == key).unwrap_or(0);
    match into.get_mut(at) {
        Some((_, Node::Object(inner))) => object(inner, rest),
        _ => unreachable!("made above"),
    }
}

/// An object within a list.
fn flat(object: Object) -> Raw {
    Raw::Object(
        object
            .into_iter()
            .filter_map(|(key, node)| match node {
                Node::Object(inner) => Some((key, flat(inner))),
                Node::Leaf(mut said) => said.pop().map(|(raw, _)| (key, raw)),
            })
            .collect(),
    )
}
