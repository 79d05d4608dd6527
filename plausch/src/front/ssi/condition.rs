//! The expression of an `if` in, yes or no out: `$a`, `$a = text`, `$a != text`, `$a = /pattern/`, `$a != /pattern/`.

/// Whether `expression` holds; `expand` replaces variables.
pub(super) fn met(expression: &str, expand: impl Fn(&str) -> String) -> bool {
    let expression = expression.trim();
    let Some((left, right)) = expression.split_once('=') else { return !expand(expression).is_empty() };
    let (left, wanted) = match left.strip_suffix('!') {
        Some(l) => (l, false),
        None => (left, true),
    };
    let (left, right) = (expand(left.trim()), right.trim());
    let found = match right.strip_prefix('/').and_then(|r| r.strip_suffix('/')) {
        Some(pattern) => matches(pattern, &left),
        None => left == expand(right),
    };
    found == wanted
}

/// A small pattern language, enough for hosts and names: `^`, `$`, `.`, `*` after a character, `\` before one.
/// Anything else of nginx' regular expressions stands for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().take(MAX_PATTERN).collect();
    let text: Vec<char> = text.chars().take(MAX_TEXT).collect();
    match pattern.split_first() {
        Some(('^', rest)) => here(rest, &text),
        _ => (0..=text.len()).any(|i| here(&pattern, text.get(i..).unwrap_or_default())),
    }
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let (one, rest) = match pattern {
        [] => return true,
        ['$'] => return text.is_empty(),
        ['\\', c, rest @ ..] => (Some(*c), rest),
        ['.', rest @ ..] => (None, rest),
        [c, rest @ ..] => (Some(*c), rest),
    };
    let is = |c: &char| one.is_none_or(|o| o == *c);
    if let ['*', rest @ ..] = rest {
        let run = text.iter().take_while(|c| is(c)).count();
        return (0..=run).any(|n| here(rest, text.get(n..).unwrap_or_default()));
    }
    match text.split_first() {
        Some((c, tail)) if is(c) => here(rest, tail),
        _ => false,
    }
}

/// Bounds the time a pattern takes: pages come from the admin's folder, the texts from requests.
const MAX_PATTERN: usize = 128;
const MAX_TEXT: usize = 512;
