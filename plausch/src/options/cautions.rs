//! What the XMPP server would serve in; what an admin should know of rules for tokens that are possible and perhaps not meant, out.

use prosody_core::token::{Caution, TokenRules};
use prosody_core::{Config, Login};

use crate::words::{Words, words};

/// One line for each, with the host or the programs whose tokens are concerned.
pub(crate) fn of(config: &Config) -> Vec<Words> {
    let hosts = config.hosts.users.iter().filter_map(|host| match &host.login {
        Login::Token(rules) => Some((host.domain.as_str(), rules)),
        _ => None,
    });
    let programs = config.programs.iter().map(|rules| ("xmpp.programs", rules));
    let each = |(whose, rules): (&str, &std::sync::Arc<TokenRules>)| {
        let all: Vec<Words> = rules.cautions().iter().map(|caution| say(whose, *caution)).collect();
        all
    };
    hosts.chain(programs).flat_map(each).collect()
}

fn say(whose: &str, caution: Caution) -> Words {
    match caution {
        Caution::AllowEmpty => words!(
            "{whose}: people without a token come in, too, as login.token.allow_empty says",
            "{whose}: auch Leute ohne Token kommen herein, wie login.token.allow_empty sagt"
        ),
        Caution::ShortSecret => words!(
            "{whose}: the secret of tokens is shorter than its hash and may be guessed; make a longer one: openssl rand -hex 32",
            "{whose}: das Geheimnis der Token ist kürzer als sein Hash und kann erraten werden; ein längeres machen: openssl rand -hex 32"
        ),
        Caution::UnusedSecret => words!(
            "{whose}: keys of tokens come from a server, so that the secret is for nothing; remove it",
            "{whose}: Schlüssel für Token kommen von einem Server, das Geheimnis ist also für nichts; entfernen"
        ),
        Caution::PlainHttp => words!(
            "{whose}: keys of tokens are asked for without TLS; whoever is on the way can make tokens",
            "{whose}: Schlüssel für Token werden ohne TLS geholt; wer dazwischen ist, kann Token machen"
        ),
        Caution::AnyIssuer => {
            words!("{whose}: tokens of any issuer count", "{whose}: Token aller Aussteller gelten")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service::{Effective, Sources};

    use super::*;
    use crate::options::{SETTINGS, Settings};
    use crate::wiring;

    fn cautions(more: &[(&str, &str)]) -> String {
        let jwt = [("ENABLE_AUTH", "1"), ("AUTH_TYPE", "jwt"), ("JWT_APP_ID", "town")];
        let set = [&jwt[..], more].concat();
        let env = |n: &str| set.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let sources = Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
        let settings = Settings::look(&Effective::load(SETTINGS, &sources).unwrap()).unwrap();
        let all = of(&wiring::xmpp_config(&settings).unwrap().core);
        assert!(all.iter().all(|w| !w.de.is_empty() && w.de != w.en));
        all.into_iter().map(|w| w.en + "\n").collect()
    }

    #[test]
    fn rules_that_let_in_more_than_is_meant_are_said_and_others_are_not() {
        let good = ("JWT_APP_SECRET", "a-secret-of-the-tests-with-32-bytes");
        assert_eq!(cautions(&[good]), "");
        let said =
            cautions(&[("JWT_APP_SECRET", "kurz"), ("JWT_ALLOW_EMPTY", "1"), ("JWT_ACCEPTED_ISSUERS", "*")]);
        for part in ["meet.jitsi: people without a token", "may be guessed", "any issuer"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("kurz"));
        let said = cautions(&[good, ("JWT_ASAP_KEYSERVER", "http://keys.example")]);
        assert!(said.contains("without TLS") && said.contains("for nothing"), "{said}");
    }
}
