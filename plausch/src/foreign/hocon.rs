//! A file in HOCON, as Jicofo and the bridge read it, and the environment in; its values by their path, and the names of what it
//! includes, out. Includes are not followed.

use super::limits::{DEPTH, FILE, STEPS, VALUES};
use super::{Cursor, Odd};

/// A value. Numbers, durations and yes or no are texts: HOCON itself reads the one as the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, said so.
    Null,
    /// Everything else that is no list.
    Text(String),
    /// Several.
    List(Vec<Self>),
    /// In lists only; elsewhere its values have paths of their own.
    Object(Vec<(String, Self)>),
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its keys, from the outermost.
    pub path: Vec<String>,
    /// What it is.
    pub value: Value,
    /// Where it was written, from 1.
    pub line: usize,
}

impl Entry {
    /// The path as it is usually written.
    pub fn key(&self) -> String {
        self.path.join(".")
    }
}

/// What is in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// In the order in which their keys came first; of what was written twice, the last.
    pub entries: Vec<Entry>,
    /// What it includes, as written.
    pub includes: Vec<String>,
}

impl Document {
    /// The value of this path.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|e| e.path.iter().map(String::as_str).eq(key.split('.'))).map(|e| &e.value)
    }
}

impl Value {
    /// A text that is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A yes or no, as HOCON reads it.
    pub fn truth(&self) -> Option<bool> {
        match self.text()? {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// Reads it. `variable`: the environment, for `${NAME}` and `${?NAME}`.
pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Document, Odd> {
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
    let mut resolver = Resolver { root: &root, variable, steps: 0 };
    let mut entries = Vec::new();
    resolver.leaves(&root, &mut Vec::new(), &mut entries)?;
    Ok(Document { entries, includes: reader.includes })
}

type Object = Vec<(String, Node)>;

enum Node {
    Object(Object),
    /// What it was said to be, one after the other: the last that there is counts.
    Leaf(Vec<(Raw, usize)>),
}

enum Raw {
    Text(Vec<Piece>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Null,
}

enum Piece {
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

struct Resolver<'a> {
    root: &'a Object,
    variable: &'a dyn Fn(&str) -> Option<String>,
    steps: usize,
}

impl Resolver<'_> {
    fn leaves(&mut self, of: &Object, path: &mut Vec<String>, out: &mut Vec<Entry>) -> Result<(), Odd> {
        for (key, node) in of {
            path.push(key.clone());
            match node {
                Node::Object(inner) => self.leaves(inner, path, out)?,
                Node::Leaf(said) => {
                    if let Some((value, line)) = self.last(said, 0)? {
                        out.push(Entry { path: path.clone(), value, line });
                    }
                }
            }
            path.pop();
        }
        Ok(())
    }

    /// The last that there is.
    fn last(&mut self, said: &[(Raw, usize)], depth: usize) -> Result<Option<(Value, usize)>, Odd> {
        for (raw, line) in said.iter().rev() {
            if let Some(value) = self.value(raw, *line, depth)? {
                return Ok(Some((value, *line)));
            }
        }
        Ok(None)
    }

    fn value(&mut self, raw: &Raw, line: usize, depth: usize) -> Result<Option<Value>, Odd> {
        self.steps += 1;
        if depth > DEPTH || self.steps > STEPS {
            return Err(Odd {
                line,
                what: "values that are put together of others go in a circle, or too far",
            });
        }
        Ok(Some(match raw {
            Raw::Null => Value::Null,
            Raw::List(all) => {
                let mut list = Vec::new();
                for one in all {
                    list.extend(self.value(one, line, depth + 1)?);
                }
                Value::List(list)
            }
            Raw::Object(all) => {
                let mut object = Vec::new();
                for (key, one) in all {
                    if let Some(value) = self.value(one, line, depth + 1)? {
                        object.push((key.clone(), value));
                    }
                }
                Value::Object(object)
            }
            Raw::Text(pieces) => {
                let mut text: Option<String> = None;
                for piece in pieces {
                    let one = match piece {
                        Piece::Text(one) => Some(one.clone()),
                        Piece::Reference { path, optional } => match self.reference(path, line, depth)? {
                            Some(Value::Text(one)) => Some(one),
                            // Alone it may be anything.
                            Some(other) if pieces.len() == 1 => return Ok(Some(other)),
                            Some(_) => {
                                return Err(Odd {
                                    line,
                                    what: "values that are put together of lists or objects are not understood",
                                });
                            }
                            None if *optional => None,
                            None => {
                                return Err(Odd {
                                    line,
                                    what: "a value that it is put together of is not there",
                                });
                            }
                        },
                    };
                    if let Some(one) = one {
                        let text = text.get_or_insert_default();
                        if text.len() + one.len() > FILE {
                            return Err(Odd {
                                line,
                                what: "values that are put together of others go in a circle, or too far",
                            });
                        }
                        text.push_str(&one);
                    }
                }
                match text {
                    Some(text) => Value::Text(text),
                    None => return Ok(None),
                }
            }
        }))
    }

    fn reference(&mut self, path: &[String], line: usize, depth: usize) -> Result<Option<Value>, Odd> {
        let root = self.root;
        let mut object = root;
        for (n, key) in path.iter().enumerate() {
            match object.iter().find(|(k, _)| k == key).map(|(_, node)| node) {
                Some(Node::Object(inner)) if n + 1 < path.len() => object = inner,
                Some(Node::Leaf(said)) if n + 1 == path.len() => {
                    return Ok(self.last(said, depth + 1)?.map(|(value, _)| value));
                }
                Some(Node::Object(_)) => {
                    return Err(Odd { line, what: "a reference to an object is not understood" });
                }
                _ => break,
            }
        }
        Ok((self.variable)(&path.join(".")).map(Value::Text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        let env = |name: &str| (name == "PORT").then(|| "10001".to_owned());
        parse(text, &env).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    fn odd(text: &str) -> Odd {
        parse(text, &|_| None).map(|d| format!("{d:?}")).unwrap_err()
    }

    #[test]
    fn what_jitsi_s_files_use_is_read() {
        let d = read(
            r#"# a bridge
            videobridge {
                ice { udp.port = 10000, advertise-private-candidates: no }
                stats.interval = 5 seconds // how often
                apis.xmpp-client.configs {
                    shard0 { HOSTNAME="xmpp.meet.jitsi", MUC_JIDS = "brewery@internal.auth.meet.example" }
                }
                ice.udp { port = ${?PORT} }
                health.interval = ${?NOTHING}
                relay.region = null
                list = [ 1, "b c"
                    { local-address = 10.0.0.2, public-address = "203.0.113.7" }
                ]
                list += d
                "quoted.key" = """a "b""""
                a = b ${?NOTHING}c
            }
            ice4j.harvest.mapping.stun.addresses = []
            videobridge.cc.trust-bwe = true
            base = /etc
            path = ${base}/jitsi
            include "custom-jvb.conf"
            include required(file("/etc/more.conf"))
            "#,
        );
        let is = |key: &str| d.value(key).and_then(Value::text);
        assert_eq!(is("videobridge.ice.udp.port"), Some("10001"), "the later counts, when it is there");
        assert_eq!(d.value("videobridge.ice.advertise-private-candidates").unwrap().truth(), Some(false));
        assert_eq!(is("videobridge.stats.interval"), Some("5 seconds"));
        assert_eq!(is("videobridge.apis.xmpp-client.configs.shard0.HOSTNAME"), Some("xmpp.meet.jitsi"));
        assert_eq!(d.value("videobridge.health.interval"), None);
        assert_eq!(d.value("videobridge.relay.region"), Some(&Value::Null));
        assert_eq!(is("videobridge.a"), Some("b c"));
        assert_eq!(is("path"), Some("/etc/jitsi"));
        let text = |t: &str| Value::Text(t.into());
        let mapping = Value::Object(vec![
            ("local-address".into(), text("10.0.0.2")),
            ("public-address".into(), text("203.0.113.7")),
        ]);
        assert_eq!(
            d.value("videobridge.list"),
            Some(&Value::List(vec![text("1"), text("b c"), mapping, text("d")]))
        );
        let quoted = d.entries.iter().find(|e| e.path.last().is_some_and(|k| k == "quoted.key")).unwrap();
        assert_eq!(quoted.value, text("a \"b\""));
        assert_eq!(d.value("videobridge.cc.trust-bwe").unwrap().truth(), Some(true));
        assert_eq!(d.includes, ["\"custom-jvb.conf\"", "required(file(\"/etc/more.conf\"))"]);
        assert_eq!(read("{\"a\":{\"b\":1,\"c\":[true]}}").value("a.b"), Some(&text("1")), "JSON is HOCON");
        assert_eq!(
            read("a { b = 1 }\na { c = 2 }\na.b = 3").entries.len(),
            2,
            "objects are laid over each other"
        );
        assert_eq!(read("include-me = 1").value("include-me"), Some(&text("1")));
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_line() {
        for (text, line) in [
            ("a {\n b = 1\n", 3),
            ("a = 1\n}", 2),
            ("a = \"x\n", 2),
            ("\na = [1", 2),
            ("a", 1),
            ("a =", 1),
            ("= 1", 1),
            ("a = [1] [2]", 1),
            ("a = ${b}", 1),
            ("a = \"\\q\"", 1),
            ("a = ${b}\nb = ${a}", 2),
            ("a = b {", 1),
            ("a..b = 1", 1),
        ] {
            assert_eq!(odd(text).line, line, "{text:?}: {}", odd(text));
        }
    }

    #[test]
    fn files_depth_values_and_steps_end_at_their_limits() {
        let fill = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        assert!(parse(&fill(FILE), &|_| None).is_ok());
        assert_eq!(odd(&fill(FILE + 1)).what, "the file is too large");
        let nested = |depth: usize| format!("{}x = 1{}", "a {".repeat(depth), "}".repeat(depth));
        assert!(parse(&nested(DEPTH - 1), &|_| None).is_ok());
        assert_eq!(odd(&nested(DEPTH + 1)).what, "too deep");
        let dotted = |depth: usize| format!("{} = 1", vec!["a"; depth].join("."));
        assert!(parse(&dotted(DEPTH), &|_| None).is_ok());
        assert_eq!(odd(&dotted(DEPTH + 1)).what, "too deep");
        assert_eq!(odd(&format!("a = {}", "[".repeat(100_000))).what, "too deep");
        let many = |n: usize| format!("a = [{}]", "1,".repeat(n - 1));
        assert!(parse(&many(VALUES), &|_| None).is_ok());
        assert_eq!(odd(&many(VALUES + 1)).what, "too many values");
        // Each is twice the one before.
        let mut laughs = "a0 = ha\n".to_owned();
        for n in 0..30 {
            laughs.push_str(&format!("a{} = ${{a{n}}}${{a{n}}}\n", n + 1));
        }
        assert!(odd(&laughs).what.contains("too far"), "FILE or STEPS");
        let steps = |n: usize| format!("a = [{}]\nb = [{}]", "1,".repeat(10), "${a},".repeat(n));
        assert!(STEPS > 9_000 * 11 && parse(&steps(8_000), &|_| None).is_ok());
        assert!(odd(&steps(9_980)).what.contains("too far"));
    }
}
