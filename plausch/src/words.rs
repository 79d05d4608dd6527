//! A text for admins in German and in English, and the language that they read.

use std::fmt::Write as _;

/// What an admin reads. The log is English alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    German,
}

/// The same in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) en: String,
    pub(crate) de: String,
}

impl Words {
    /// For what is no language, such as a name or an error of the system's.
    pub(crate) fn same(text: impl Into<String>) -> Self {
        let en = text.into();
        Self { de: en.clone(), en }
    }

    pub(crate) fn text(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::German => &self.de,
        }
    }
}

/// Both languages from format strings that name the same variables.
macro_rules! words {
    ($en:literal, $de:literal) => {
        $crate::words::Words { en: format!($en), de: format!($de) }
    };
}
pub(crate) use words;

impl Language {
    /// The one of two texts.
    pub(crate) const fn of<'a>(self, en: &'a str, de: &'a str) -> &'a str {
        match self {
            Self::English => en,
            Self::German => de,
        }
    }
}

/// Names with commas between, the last ones as a number when there are many.
pub(crate) fn listed(names: &[&str]) -> String {
    let (shown, rest) = names.split_at(names.len().min(SHOWN));
    let mut text = shown.join(", ");
    if !rest.is_empty() {
        let _ = write!(text, ", … (+{})", rest.len());
    }
    text
}

/// Not a bound: how many names fit into a line that is still read.
const SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_the_same_names_and_long_lists_end() {
        let port = 443;
        let said = words!("port {port}", "Port {port}");
        assert_eq!((said.text(Language::English), said.text(Language::German)), ("port 443", "Port 443"));
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert!(listed(&["a"; SHOWN + 2]).ends_with(", … (+2)"));
    }
}
