//! A certificate as DER in, from when until when it is valid out (RFC 5280 §4.1.2.5). Everything else about it is rustls'.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// First and last moment; `None` for what is no certificate, or before 1970.
pub(crate) fn of(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, signed, _) = element(certificate)? else { return None };
    let (tag, _, rest) = element(signed)?;
    // Version 1 has no number.
    let after_serial = if tag == VERSION { element(rest)?.2 } else { rest };
    let (_, _, after_algorithm) = element(after_serial)?;
    let (_, _, after_issuer) = element(after_algorithm)?;
    let (SEQUENCE, validity, _) = element(after_issuer)? else { return None };
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time(from_tag, from)?, time(until_tag, until)?))
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (two(0)?, two(2)?);
    let seconds = two(4)? * 3600 + two(6)? * 60 + two(8)?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Days by the well-known days-from-civil arithmetic: the year begins in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + seconds))
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_certificate_are_read() {
        let mut params = rcgen::CertificateParams::new(vec!["meet.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 2, 28);
        params.not_after = rcgen::date_time_ymd(2056, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let at = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400);
        assert_eq!(of(made.der()), Some((at(20_512), at(31_471))));
        for cut in 0..made.der().len() {
            let _ = of(&made.der()[..cut]);
        }
    }

    #[test]
    fn dates_are_seconds_and_nonsense_is_none() {
        let secs = |tag, text: &str| {
            time(tag, text.as_bytes()).map(|t| t.duration_since(UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(secs(GENERALIZED_TIME, "20000229123456Z"), Some(951_827_696));
        assert_eq!(secs(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(secs(UTC_TIME, "490101000000Z"), Some(2_493_072_000));
        for bad in [
            "",
            "Z",
            "9Z",
            "20001301000000Z",
            "20000100000000Z",
            "2000010100Z",
            "+0000101000000Z",
            "19690101000000Z",
        ] {
            assert_eq!(secs(GENERALIZED_TIME, bad), None, "{bad}");
        }
    }
}
