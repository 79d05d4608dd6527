//! Where a new password comes from in; the password, in the spelling in which it is kept, out. It is shown to nobody.

use std::fs::File;
use std::io::{BufRead, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use jitsi_xmpp::{Sensitive, prepare};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use service::StartError;

use crate::commands::bad;
use crate::commands::limits::PASSWORD_BYTES;
use crate::words::Language;

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The admin types it, twice.
    Asked,
    /// The first line of a file, or of standard input if that is `-`.
    File(PathBuf),
    /// An argument, as `prosodyctl` takes it.
    Said(Sensitive<String>),
}

impl Source {
    /// The password.
    pub(crate) fn read(&self, language: Language) -> Result<Sensitive<String>, StartError> {
        let text = match self {
            Self::Asked => ask(language)?,
            Self::File(path) if path == Path::new("-") => line(&mut std::io::stdin().lock()),
            Self::File(path) => {
                let unreadable =
                    |e: std::io::Error| StartError::Unreadable { path: path.clone(), reason: e.to_string() };
                line(&mut std::io::BufReader::new(File::open(path).map_err(unreadable)?))
            }
            Self::Said(text) => text.clone(),
        };
        match prepare::password(text.reveal()) {
            Some(prepared) => Ok(Sensitive::new(prepared.into_owned())),
            None => Err(bad(
                OPTION,
                "must hold one line with a password: 1 to 1,023 bytes, no control characters",
            )),
        }
    }
}

/// The first line, without its end. What is not read, or too long, or no text, becomes nobody's password.
fn line(input: &mut impl BufRead) -> Sensitive<String> {
    let mut bytes = Vec::new();
    let read = input.take(PASSWORD_BYTES + 1).read_until(b'\n', &mut bytes);
    let whole = read.is_ok_and(|n| n as u64 <= PASSWORD_BYTES);
    let text = String::from_utf8(bytes).ok().filter(|_| whole).unwrap_or_default();
    Sensitive::new(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask(language: Language) -> Result<Sensitive<String>, StartError> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(bad(OPTION, "is needed where nobody can be asked: a file, or - for standard input"));
    }
    let hidden = Hidden::new(&input);
    let once = |question: &str| {
        let mut out = std::io::stderr();
        let _ = write!(out, "{question} ").and_then(|()| out.flush());
        let said = line(&mut input.lock());
        let _ = writeln!(out);
        said
    };
    let first = once(language.of("Password:", "Passwort:"));
    let again = once(language.of("Once more:", "Noch einmal:"));
    drop(hidden);
    if first.reveal() != again.reveal() {
        return Err(bad(OPTION, language.of("the two are not the same", "die beiden sind nicht gleich")));
    }
    Ok(first)
}

/// A terminal that does not show what is typed, as long as this lives.
struct Hidden<T: AsFd>(T, Option<Termios>);

impl<T: AsFd> Hidden<T> {
    fn new(terminal: T) -> Self {
        let before = tcgetattr(&terminal).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_flags.remove(LocalFlags::ECHO);
            let _ = tcsetattr(&terminal, SetArg::TCSADRAIN, &quiet);
        }
        Self(terminal, before)
    }
}

impl<T: AsFd> Drop for Hidden<T> {
    fn drop(&mut self) {
        if let Some(before) = &self.1 {
            let _ = tcsetattr(&self.0, SetArg::TCSADRAIN, before);
        }
    }
}

const OPTION: &str = "--password-file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_up_to_the_limit() {
        let read = |text: &str| line(&mut text.as_bytes()).reveal().clone();
        for text in ["geheim", "geheim\n", "geheim\r\n", "geheim\nmehr\n"] {
            assert_eq!(read(text), "geheim");
        }
        let limit = usize::try_from(PASSWORD_BYTES).unwrap();
        assert_eq!(read(&"x".repeat(limit)).len(), limit);
        assert_eq!(read(&"x".repeat(limit + 1)), "");
        assert_eq!(line(&mut &[0xff, b'\n'][..]).reveal(), "");
    }

    #[test]
    fn what_nobody_can_have_as_a_password_is_refused_without_being_told() {
        let said = |text: &str| Source::Said(Sensitive::new(text.to_owned())).read(Language::German);
        assert_eq!(said("pa\u{301}ss").unwrap().reveal(), "p\u{e1}ss", "one spelling");
        for odd in ["", "a\tb", &"x".repeat(1024)] {
            let e = said(odd).unwrap_err().to_string();
            assert!(e.contains("--password-file") && !e.contains('\t'), "{e}");
        }
    }
}
