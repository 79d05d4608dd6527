//! The certificate: whether there is one that browsers trust, its name and its days, judged.

use std::time::SystemTime;

use super::super::facts::Facts;
use super::Finding;
use crate::words::words;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    if plan.https.is_none() {
        return Vec::new();
    }
    if plan.own_certificate {
        return vec![Finding::yellow(
            words!(
                "Plausch makes its own certificate: browsers warn, and the mobile apps refuse it",
                "Plausch macht sein Zertifikat selbst: Browser warnen, und die Apps lehnen es ab"
            ),
            words!(
                "set ENABLE_LETSENCRYPT=1 (https.acme.enabled, --acme 1), or PLAUSCH_CERTIFICATE and PLAUSCH_KEY (https.certificate and https.key, --certificate and --key)",
                "ENABLE_LETSENCRYPT=1 setzen (https.acme.enabled, --acme 1), oder PLAUSCH_CERTIFICATE und PLAUSCH_KEY (https.certificate und https.key, --certificate und --key)"
            ),
        )];
    }
    let Some(certificate) = &facts.certificate else { return Vec::new() };
    let mut found = Vec::new();
    if certificate.names_us == Some(false) {
        let host = plan.public.as_ref().map_or("", |u| &u.host);
        found.push(Finding::red(
            words!("the certificate is not for {host}", "das Zertifikat ist nicht für {host}"),
            words!(
                "get one for {host}, or correct PUBLIC_URL (http.public_url)",
                "eines für {host} besorgen, oder PUBLIC_URL (http.public_url) berichtigen"
            ),
        ));
    }
    if certificate.from.is_some_and(|from| from > facts.now) {
        found.push(Finding::red(
            words!("the certificate is not valid yet", "das Zertifikat gilt noch nicht"),
            words!("look at this machine's clock", "die Uhr dieses Rechners prüfen"),
        ));
    }
    if let Some(until) = certificate.until {
        let days = days(facts.now, until);
        let todo = || {
            words!(
                "renew it; it is read again as soon as the file changes",
                "erneuern; es wird neu gelesen, sobald die Datei sich ändert"
            )
        };
        match days {
            None => found.push(Finding::red(
                words!("the certificate has expired", "das Zertifikat ist abgelaufen"),
                todo(),
            )),
            Some(days @ 0..SOON) => found.push(Finding::yellow(
                words!(
                    "the certificate is valid for {days} more days",
                    "das Zertifikat gilt noch {days} Tage"
                ),
                todo(),
            )),
            Some(days) if found.is_empty() => {
                found.push(Finding::green(words!("valid for {days} more days", "gilt noch {days} Tage")));
            }
            Some(_) => {}
        }
    }
    found
}

/// Whole days from now on; `None`: it is over.
fn days(now: SystemTime, until: SystemTime) -> Option<u64> {
    until.duration_since(now).ok().map(|left| left.as_secs() / 86_400)
}

/// Days that are few: certbot and the like renew a month before the end.
const SOON: u64 = 14;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::facts::Certificate;
    use super::super::super::facts::tests::healthy;
    use super::super::Level::{Green, Red, Yellow};
    use super::super::tests::judged;
    use super::*;

    #[test]
    fn name_and_days_of_a_certificate_are_judged() {
        let now = healthy().now;
        let day = Duration::from_secs(86_400);
        let good = Certificate { names_us: Some(true), from: Some(now - day), until: Some(now + day * 80) };
        for (certificate, level, word) in [
            (good.clone(), Green, "80 more days"),
            (Certificate { names_us: Some(false), ..good.clone() }, Red, "not for meet.example"),
            (Certificate { names_us: None, ..good.clone() }, Green, ""),
            (Certificate { from: Some(now + day), ..good.clone() }, Red, "not valid yet"),
            (Certificate { until: Some(now - day), ..good.clone() }, Red, "expired"),
            (
                Certificate { until: Some(now + day * 14 - Duration::from_secs(1)), ..good.clone() },
                Yellow,
                "13 more",
            ),
            (Certificate { until: Some(now + day * 14), ..good.clone() }, Green, "14 more"),
        ] {
            let mut facts = healthy();
            facts.certificate = Some(certificate);
            let (got, said) = judged(judge, &facts);
            assert!(got == level && said.contains(word), "{said}");
        }
    }

    #[test]
    fn one_of_our_own_is_yellow_and_without_tls_there_is_none() {
        let mut facts = healthy();
        facts.plan.as_mut().unwrap().own_certificate = true;
        assert_eq!(judged(judge, &facts).0, Yellow);
        facts.plan.as_mut().unwrap().https = None;
        assert_eq!(judged(judge, &facts), (Green, String::new()));
    }
}
