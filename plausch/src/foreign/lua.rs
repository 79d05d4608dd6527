//! A file of Prosody's in; what it assigns to options, at the top and for each host, as data, and the lines that are more than data, out.
//! Nothing is executed.

use super::limits::{DEPTH, FILE, VALUES};
use super::{Cursor, Odd};

/// A value that is written out.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, said so.
    Nil,
    /// Yes or no.
    Bool(bool),
    /// As written.
    Number(String),
    /// A text.
    Text(String),
    /// What has a key, and what has none.
    Table(Vec<(Option<String>, Self)>),
}

impl Value {
    /// A text that is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of this key.
    pub fn at(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table(all) => all.iter().find(|(k, _)| k.as_deref() == Some(key)).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The texts in it that have no key; one text is a list of one.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Table(all) => all.iter().filter_map(|(_, v)| v.text()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Whose options come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All hosts'.
    Top,
    /// `VirtualHost "…"`.
    Host(String),
    /// `Component "…" "kind"`.
    Component(String, String),
}

/// An option that is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Whose.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where, from 1.
    pub line: usize,
}

/// What is in a file.
#[derive(Debug, Default, PartialEq)]
pub struct Document {
    /// In their order.
    pub assignments: Vec<Assignment>,
    /// Hosts and components in their order.
    pub places: Vec<Place>,
    /// Lines with more than data: what is there has to be run to be known.
    pub more: Vec<usize>,
    /// What it includes, as written.
    pub includes: Vec<String>,
}

/// Reads a configuration.
pub fn parse(text: &str) -> Result<Document, Odd> {
    let mut reader = Reader::new(text)?;
    let mut document = Document::default();
    let mut place = Place::Top;
    loop {
        while reader.token == Token::Sign(';') {
            reader.step()?;
        }
        if reader.token == Token::End {
            return Ok(document);
        }
        let line = reader.line;
        match reader.statement()? {
            Some(Statement::Assign(name, value)) => {
                document.assignments.push(Assignment { place: place.clone(), name, value, line });
            }
            Some(Statement::Place(next)) => {
                place = next;
                document.places.push(place.clone());
            }
            Some(Statement::Include(what)) => document.includes.push(what),
            None => {
                document.more.push(line);
                reader.skip()?;
            }
        }
    }
}

/// Reads a file that is one table, `return { … };`, as Prosody stores accounts.
pub fn table(text: &str) -> Result<Value, Odd> {
    let mut reader = Reader::new(text)?;
    if reader.token != Token::Name("return".into()) {
        return reader.odd("it does not begin with `return`");
    }
    reader.step()?;
    let Some(value @ Value::Table(_)) = reader.value(0)? else { return reader.odd("no table") };
    while reader.token == Token::Sign(';') {
        reader.step()?;
    }
    if reader.token == Token::End { Ok(value) } else { reader.odd("something after the end") }
}

enum Statement {
    Assign(String, Value),
    Place(Place),
    Include(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Sign(char),
    /// `..`, `==` and others that are no part of data.
    Other,
    End,
}

struct Reader<'a> {
    at: Cursor<'a>,
    token: Token,
    /// Where the token begins.
    line: usize,
    /// Whether it is the first of its line.
    first: bool,
    values: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, Odd> {
        let mut it = Self { at: Cursor::new(text), token: Token::End, line: 0, first: true, values: 0 };
        if text.len() > FILE {
            return it.odd("the file is too large");
        }
        it.step()?;
        Ok(it)
    }

    fn odd<T>(&self, what: &'static str) -> Result<T, Odd> {
        Err(Odd { line: self.line.max(1), what })
    }

    /// A statement that is data; `None` when it is not, or not alone.
    fn statement(&mut self) -> Result<Option<Statement>, Odd> {
        let Token::Name(name) = self.token.clone() else { return Ok(None) };
        if WORDS.contains(&name.as_str()) {
            return Ok(None);
        }
        self.step()?;
        let statement = match name.as_str() {
            "VirtualHost" | "Component" | "Include" | "Host" => {
                let brackets = self.token == Token::Sign('(');
                if brackets {
                    self.step()?;
                }
                let Token::Text(what) = self.token.clone() else { return Ok(None) };
                self.step()?;
                if brackets && !self.took(')')? {
                    return Ok(None);
                }
                let mut kind = String::new();
                if name == "Component"
                    && let Token::Text(text) = &self.token
                {
                    kind.clone_from(text);
                    self.step()?;
                }
                match name.as_str() {
                    "Include" => Statement::Include(what),
                    "Component" => Statement::Place(Place::Component(what, kind)),
                    _ => Statement::Place(Place::Host(what)),
                }
            }
            _ => {
                if !self.took('=')? {
                    return Ok(None);
                }
                match self.value(0)? {
                    Some(value) => Statement::Assign(name, value),
                    None => return Ok(None),
                }
            }
        };
        // What follows a value on its line, or continues it on the next, makes it something else.
        let ends = match &self.token {
            Token::End | Token::Sign(';') => true,
            Token::Name(name) => self.first && !["and", "or"].contains(&name.as_str()),
            _ => false,
        };
        Ok(ends.then_some(statement))
    }

    fn took(&mut self, sign: char) -> Result<bool, Odd> {
        let there = self.token == Token::Sign(sign);
        if there {
            self.step()?;
        }
        Ok(there)
    }

    /// A value that is written out; `None` for anything else.
    fn value(&mut self, depth: usize) -> Result<Option<Value>, Odd> {
        self.values += 1;
        if self.values > VALUES {
            return self.odd("too many values");
        }
        if depth > DEPTH {
            return self.odd("too deep");
        }
        let value = match &self.token {
            Token::Text(text) => Value::Text(text.clone()),
            Token::Number(number) => Value::Number(number.clone()),
            Token::Name(name) => match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "nil" => Value::Nil,
                _ => return Ok(None),
            },
            Token::Sign('-') => {
                self.step()?;
                let Token::Number(number) = &self.token else { return Ok(None) };
                Value::Number(format!("-{number}"))
            }
            Token::Sign('{') => {
                self.step()?;
                let mut all = Vec::new();
                loop {
                    if self.took('}')? {
                        return Ok(Some(Value::Table(all)));
                    }
                    let Some(member) = self.member(depth)? else { return Ok(None) };
                    all.push(member);
                    if !(self.took(',')? || self.took(';')?) && self.token != Token::Sign('}') {
                        return Ok(None);
                    }
                }
            }
            _ => return Ok(None),
        };
        self.step()?;
        Ok(Some(value))
    }

    fn member(&mut self, depth: usize) -> Result<Option<(Option<String>, Value)>, Odd> {
        let key = match self.token.clone() {
            Token::Sign('[') => {
                self.step()?;
                let (Token::Text(key) | Token::Number(key)) = self.token.clone() else { return Ok(None) };
                self.step()?;
                if !self.took(']')? || !self.took('=')? {
                    return Ok(None);
                }
                Some(key)
            }
            Token::Name(name) if !["true", "false", "nil"].contains(&name.as_str()) => {
                self.step()?;
                if !self.took('=')? {
                    return Ok(None);
                }
                Some(name)
            }
            _ => None,
        };
        Ok(self.value(depth + 1)?.map(|value| (key, value)))
    }

    /// To the next statement outside of all brackets and blocks that begins a line.
    fn skip(&mut self) -> Result<(), Odd> {
        let mut open = 0_usize;
        loop {
            match &self.token {
                Token::End => return Ok(()),
                Token::Sign('{' | '(' | '[') => open += 1,
                Token::Sign('}' | ')' | ']') => open = open.saturating_sub(1),
                Token::Name(name) => match name.as_str() {
                    "if" | "do" | "function" | "repeat" => open += 1,
                    "end" | "until" => open = open.saturating_sub(1),
                    _ => {}
                },
                _ => {}
            }
            self.step()?;
            let begins = matches!(&self.token, Token::Name(n) if !GO_ON.contains(&n.as_str()));
            if open == 0 && ((self.first && begins) || self.token == Token::Sign(';')) {
                return Ok(());
            }
        }
    }

    /// Reads the next token.
    fn step(&mut self) -> Result<(), Odd> {
        let before = self.at.line;
        loop {
            self.at.take_while(char::is_whitespace);
            if !self.at.take("--") {
                break;
            }
            if self.long()?.is_none() {
                self.at.take_while(|c| c != '\n');
            }
        }
        self.first = self.at.line != before || self.line == 0;
        self.line = self.at.line;
        self.token = match self.at.peek() {
            None => Token::End,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                Token::Name(self.at.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned())
            }
            Some(c) if c.is_ascii_digit() => {
                let text = self.at.take_while(|c| c.is_ascii_alphanumeric() || c == '.');
                // `1..x` puts texts together.
                if text.contains("..") { Token::Other } else { Token::Number(text.to_owned()) }
            }
            Some(quote @ ('"' | '\'')) => Token::Text(self.quoted(quote)?),
            Some('[') => match self.long()? {
                Some(text) => Token::Text(text),
                None => {
                    self.at.next();
                    Token::Sign('[')
                }
            },
            Some(_) if ["==", "~=", "<=", ">=", "..", "::"].iter().any(|two| self.at.take(two)) => {
                Token::Other
            }
            Some(c) => {
                self.at.next();
                Token::Sign(c)
            }
        };
        Ok(())
    }

    /// `[[…]]` or `[==[…]==]`, if that is what comes.
    fn long(&mut self) -> Result<Option<String>, Odd> {
        let rest = self.at.rest.as_str();
        let Some(after) = rest.strip_prefix('[') else { return Ok(None) };
        let level = after.len() - after.trim_start_matches('=').len();
        let marks = "=".repeat(level);
        if !self.at.take(&format!("[{marks}[")) {
            return Ok(None);
        }
        let start = self.at.line;
        let end = format!("]{marks}]");
        // The first line break is none of it.
        let _ = self.at.take("\r\n") || self.at.take("\n");
        let mut text = String::new();
        while !self.at.take(&end) {
            match self.at.next() {
                Some(c) => text.push(c),
                None => return Err(Odd { line: start, what: "a long text or comment does not end" }),
            }
        }
        Ok(Some(text))
    }

    fn quoted(&mut self, quote: char) -> Result<String, Odd> {
        self.at.next();
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let c = self.at.next();
            match c {
                None | Some('\n') => return self.at.odd("quotes do not end"),
                Some(c) if c == quote => {
                    return String::from_utf8(bytes).or_else(|_| self.at.odd("a text is no UTF-8"));
                }
                Some('\\') => {
                    let escaped = self.at.next();
                    match escaped {
                        Some('n') | Some('\n') => bytes.push(b'\n'),
                        Some('t') => bytes.push(b'\t'),
                        Some('r') => bytes.push(b'\r'),
                        Some('a') => bytes.push(7),
                        Some('b') => bytes.push(8),
                        Some('f') => bytes.push(12),
                        Some('v') => bytes.push(11),
                        Some(c @ ('\\' | '"' | '\'')) => bytes.push(u8::try_from(c).unwrap_or(b'?')),
                        Some('z') => {
                            self.at.take_while(char::is_whitespace);
                        }
                        Some('x') => {
                            let mut code = 0;
                            for _ in 0..2 {
                                match self.at.next().and_then(|c| c.to_digit(16)) {
                                    Some(digit) => code = code * 16 + digit,
                                    None => return self.at.odd("an escape is not understood"),
                                }
                            }
                            bytes.push(u8::try_from(code).unwrap_or(b'?'));
                        }
                        Some(c) if c.is_ascii_digit() => {
                            let mut code = c.to_digit(10).unwrap_or(0);
                            for _ in 0..2 {
                                if let Some(digit) = self.at.peek().and_then(|c| c.to_digit(10)) {
                                    self.at.next();
                                    code = code * 10 + digit;
                                }
                            }
                            match u8::try_from(code) {
                                Ok(byte) => bytes.push(byte),
                                Err(_) => return self.at.odd("an escape is not understood"),
                            }
                        }
                        _ => return self.at.odd("an escape is not understood"),
                    }
                }
                Some(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
    }
}

/// Names that are the language's own.
const WORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];
/// Of these, those with which nothing begins.
const GO_ON: &[&str] =
    &["and", "do", "else", "elseif", "end", "false", "in", "nil", "not", "or", "then", "true", "until"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value {
        Value::Text(t.into())
    }

    #[test]
    fn options_are_data_by_host_and_the_rest_is_named_and_not_run() {
        let d = parse(
            r#"-- a town's
plugin_paths = { "/srv/plugins" }
external_service_secret = 'ge\'heim\65';
external_services = {
    { type = "turns", host = "meet.example", port = 5349, secret = true, ttl = -1 }, --[[ none
    of this ]] { type = [[stun]] };
};
cross_domain_bosh = false
key = os.getenv("SECRET")
a = "b" .. "c"
limit = 60 * 60
local x = "y"
if os.time() > 5 then
    authentication = "anonymous"
    VirtualHost "inner"
end
f = function() return { b = 1 } end
Include "conf.d/*.cfg.lua"

VirtualHost "meet.example"
    authentication = "token"
    modules_enabled = {
        "bosh"; --"off";
        "websocket";
    }
VirtualHost("auth.meet.example"); authentication = "internal_hashed"
Component "conference.meet.example" "muc"
    admins = nil
    [==[ odd ]==]
    storage = "memory"
"#,
        )
        .unwrap();
        let is = |place: &Place, name: &str| {
            d.assignments.iter().find(|a| a.place == *place && a.name == name).map(|a| a.value.clone())
        };
        let main = Place::Host("meet.example".into());
        assert_eq!(is(&Place::Top, "external_service_secret"), Some(text("ge'heimA")));
        let Some(Value::Table(services)) = is(&Place::Top, "external_services") else { panic!() };
        assert_eq!(services[0].1.at("port"), Some(&Value::Number("5349".into())));
        assert_eq!(services[0].1.at("ttl"), Some(&Value::Number("-1".into())));
        assert_eq!(services[1].1.at("type"), Some(&text("stun")));
        assert_eq!(is(&Place::Top, "cross_domain_bosh"), Some(Value::Bool(false)));
        assert_eq!(is(&main, "authentication"), Some(text("token")));
        assert_eq!(is(&main, "modules_enabled").unwrap().texts(), ["bosh", "websocket"]);
        let auth = Place::Host("auth.meet.example".into());
        assert_eq!(is(&auth, "authentication"), Some(text("internal_hashed")));
        let muc = Place::Component("conference.meet.example".into(), "muc".into());
        assert_eq!(is(&muc, "storage"), Some(text("memory")));
        assert_eq!(d.places, [main, auth, muc]);
        assert_eq!(d.includes, ["conf.d/*.cfg.lua"]);
        // What has to be run: never half of it.
        assert_eq!(d.more, [9, 10, 11, 12, 13, 17, 28]);
        for name in ["key", "a", "limit", "x", "f"] {
            assert_eq!(is(&Place::Top, name), None, "{name}");
        }
        assert_eq!(is(&Place::Top, "authentication"), None, "within a condition");
    }

    #[test]
    fn an_account_is_one_table() {
        let t = table("return {\n\t[\"salt\"] = \"c87b\\045\";\n\t[\"iteration_count\"] = 10000;\n\t[\"updated\"] = 1.5;\n};\n").unwrap();
        assert_eq!(t.at("salt"), Some(&text("c87b-")));
        assert_eq!(t.at("iteration_count"), Some(&Value::Number("10000".into())));
        for odd in
            ["", "return 1", "return {} .. x", "return { a = f() }", "x = {}", "return {", "return {} x = 1"]
        {
            assert!(table(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_no_lua_is_said_with_its_line() {
        for (odd, line) in
            [("a = \"x\n", 2), ("\n--[[ x", 2), ("a = '\\999'", 1), ("a = '\\q'", 1), ("a = '\\255'", 1)]
        {
            assert_eq!(parse(odd).unwrap_err().line, line, "{odd:?}");
        }
        // A table that does not end is more than data.
        assert_eq!(parse("a = {").unwrap().more, [1]);
    }

    #[test]
    fn files_depth_and_values_end_at_their_limits() {
        let fill = |bytes: usize| format!("--{}", "x".repeat(bytes - 2));
        assert!(parse(&fill(FILE)).is_ok());
        assert_eq!(parse(&fill(FILE + 1)).unwrap_err().what, "the file is too large");
        let nested = |depth: usize| format!("a = {}1{}", "{".repeat(depth), "}".repeat(depth));
        assert_eq!(parse(&nested(DEPTH)).unwrap().assignments.len(), 1);
        assert_eq!(parse(&nested(DEPTH + 1)).unwrap_err().what, "too deep");
        let many = |n: usize| format!("a = {{{}}}", "1,".repeat(n - 1));
        assert_eq!(parse(&many(VALUES)).unwrap().assignments.len(), 1);
        assert_eq!(parse(&many(VALUES + 1)).unwrap_err().what, "too many values");
    }
}
