//! Two questions, or flags, in; a checked configuration file, what firewalls have to let in, and a code for the phone, out.

mod code;
mod plan;
pub(crate) mod write;

use std::io::{BufRead, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use service::StartError;
use service::options::ConfigFile;

use self::plan::{Plan, Source};
use crate::commands::{CONFIG, Given, bad};
use crate::doctor::checks::Level;
use crate::doctor::env_file::Odd;
use crate::doctor::gather;
use crate::doctor::report::Report;
use crate::options::Role;
use crate::words::Language;

/// What was said on the command line; the rest is asked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) host: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    /// No question: whatever is not said has its default, and a file that is there is replaced.
    pub(crate) yes: bool,
    pub(crate) language: Language,
}

/// 0: written, and nothing is red. 1: written, and something is. 2: not written.
pub(crate) fn run(asked: &Setup) -> Result<u8, StartError> {
    let mut talk = Talk { input: std::io::stdin().lock(), language: asked.language };
    let host = match &asked.host {
        Some(host) => plan::host(host).map_err(|why| bad("--host", why))?,
        None if asked.yes => return Err(bad("--host", "is needed with --yes")),
        None => talk.until(
            "Under which name do people reach this server (such as meet.example.org)?",
            "Unter welchem Namen erreichen Leute diesen Server (etwa meet.example.org)?",
            plan::host,
        )?,
    };
    let said =
        asked.email.clone().or_else(|| asked.certificate.as_ref().map(|c| c.to_string_lossy().into_owned()));
    let key = asked.key.as_deref();
    let source = match said {
        Some(said) => plan::source(&said, key).map_err(|why| bad("--email / --certificate", why))?,
        None if asked.yes => Source::Own,
        None => talk.until(
            "E-mail for the certificate, or the path of your own (fullchain.pem)? Nothing: one that browsers warn of",
            "E-Mail für das Zertifikat, oder der Pfad eines eigenen (fullchain.pem)? Nichts: eines, vor dem Browser warnen",
            |text| plan::source(text, key),
        )?,
    };
    let out = asked.out.clone().unwrap_or_else(|| CONFIG.into());
    let state = asked.state.clone().unwrap_or_else(|| gather::STATE.into());
    let machine = videobridge_udp::interface_addresses().unwrap_or_default();
    let plan = Plan {
        host,
        source,
        both_families: machine.iter().any(|ip| ip.is_ipv6() && !ip.is_loopback()),
        state: write::state(&state).then_some(state),
    };
    finish(&plan, &out, asked, &mut talk)
}

fn finish(plan: &Plan, out: &Path, asked: &Setup, talk: &mut Talk<impl BufRead>) -> Result<u8, StartError> {
    let language = asked.language;
    let text = plan.toml();
    let report = judge(out, &text);
    talk.say(&format!("\n{}\n", report.text(language, std::io::stdout().is_terminal())));
    if let Source::Mail(_) = &plan.source {
        talk.say(&language.of(
            "The first start asks Let's Encrypt for a certificate for {host} and agrees to its terms; TCP 80 has to be reachable from outside for that. It is renewed by itself.\n\n",
            "Der erste Start holt bei Let's Encrypt ein Zertifikat für {host} und stimmt dessen Bedingungen zu; dafür muss TCP 80 von außen erreichbar sein. Es wird von selbst erneuert.\n\n",
        ).replace("{host}", &plan.host));
    }
    let red = report.worst() == Level::Red;
    if red
        && !asked.yes
        && !talk.yes(
            "Something is red. Write the file all the same?",
            "Etwas ist rot. Die Datei trotzdem schreiben?",
        )?
    {
        return Ok(2);
    }
    let there = out.exists();
    if there
        && !asked.yes
        && !talk.yes(
            "There is a configuration file already. Replace it (the old one is kept)?",
            "Es gibt schon eine Konfigurationsdatei. Ersetzen (die alte wird aufgehoben)?",
        )?
    {
        return Ok(2);
    }
    let old = write::file(out, &text).map_err(|e| StartError::Part {
        part: "the configuration file",
        reason: format!("{}: {e}", out.display()),
    })?;
    let path = out.display();
    let mut end = match language {
        Language::English => format!("written: {path}\n"),
        Language::German => format!("geschrieben: {path}\n"),
    };
    if let Some(old) = old {
        end += &format!("{}: {}\n", language.of("kept", "aufgehoben"), old.display());
    }
    end += &format!("\n{}\n{}", language.of("Firewall:", "Firewall:"), plan::firewall(language));
    end += &format!("\n{}\n  plausch --config {path}\n", language.of("Start:", "Starten:"));
    let page = format!("{}/_plausch/test", plan.url());
    if let Some(picture) = code::picture(&page, std::io::stdout().is_terminal()) {
        let open = language
            .of("Then open this on a phone without Wi-Fi:", "Dann das auf einem Telefon ohne WLAN öffnen:");
        end += &format!("\n{open} {page}\n\n{picture}");
    }
    talk.say(&end);
    Ok(u8::from(red))
}

/// As the doctor sees it.
fn judge(out: &Path, text: &str) -> Report {
    let file = ConfigFile { path: out.to_owned(), text: text.to_owned() };
    let given = Given::of_file(Role::AllInOne, file);
    Report::of(&gather::facts(&given, Odd::default()))
}

/// Questions and answers.
struct Talk<R> {
    input: R,
    language: Language,
}

impl<R: BufRead> Talk<R> {
    fn say(&self, text: &str) {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn answer(&mut self) -> Result<String, StartError> {
        let mut line = String::new();
        // Who pipes something else into it gets no endless line.
        let read = std::io::Read::take(&mut self.input, LINE).read_line(&mut line);
        match read {
            Ok(n) if n > 0 => Ok(line.trim().to_owned()),
            _ => Err(bad("--yes", "there is nobody to ask: say --host, --email or --certificate, and --yes")),
        }
    }

    /// Asks until the answer makes sense.
    fn until<T>(
        &mut self,
        en: &str,
        de: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<T, StartError> {
        loop {
            self.say(&format!("{} ", self.language.of(en, de)));
            match read(&self.answer()?) {
                Ok(it) => return Ok(it),
                Err(why) => self.say(&format!("{} {why}\n", self.language.of("It", "Die Antwort:"))),
            }
        }
    }

    fn yes(&mut self, en: &str, de: &str) -> Result<bool, StartError> {
        self.say(&format!("{} {} ", self.language.of(en, de), self.language.of("[y/N]", "[j/N]")));
        Ok(matches!(self.answer()?.to_lowercase().as_str(), "y" | "yes" | "j" | "ja"))
    }
}

/// Bytes of an answer. Names and paths are far shorter.
const LINE: u64 = 4096;
