//! Folders of a docker-jitsi-meet that this server takes the place of, and names, in; the certificate that people know, out, until
//! there is one of our own.
//!
//! compat: upstream's web container keeps what it was issued in `acme-certs`, and what it was given, or made itself, in `keys`
//! (deployment §3.3; test: compat_the_certificate_of_the_old_server_is_served_until_ours_is_there).

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use service::certificate::CertificateFiles;

use super::issued::{Issued, Wrong};
use super::limits;

/// What is found, and where.
pub(crate) type Former = (Arc<CertifiedKey>, CertificateFiles);

/// The first that can be used. One that cannot is said so in one line.
pub(crate) fn find(folders: &[PathBuf], name: &str, now: SystemTime) -> Option<Former> {
    for (chain, key) in folders.iter().flat_map(|folder| places(folder, name)) {
        let (pem, secret) = match (read(&chain), read(&key)) {
            (Ok(Some(pem)), Ok(Some(secret))) => (pem, secret),
            (Err(why), _) | (_, Err(why)) => {
                tracing::warn!("the certificate in {} is not used: {why}", chain.display());
                continue;
            }
            _ => continue,
        };
        match usable(&pem, &secret, name, now) {
            Ok(found) => {
                tracing::info!("the certificate in {} is used", chain.display());
                return Some((found, CertificateFiles { chain, key }));
            }
            Err(wrong) => tracing::warn!("the certificate in {} is not used: {wrong}", chain.display()),
        }
    }
    None
}

/// Where it may be, the best first.
fn places(folder: &Path, name: &str) -> [(PathBuf, PathBuf); 2] {
    let (issued, given) = (folder.join("acme-certs").join(name), folder.join("keys"));
    [(issued.join("fullchain.pem"), issued.join("key.pem")), (given.join("cert.crt"), given.join("cert.key"))]
}

fn usable(chain: &str, key: &str, name: &str, now: SystemTime) -> Result<Arc<CertifiedKey>, Wrong> {
    let it = Issued::read(chain, key, &[name.to_owned()])?;
    match it.check(now) {
        // What is left of it is all that is wanted.
        Ok(()) | Err(Wrong::Old) => Ok(it.key),
        Err(wrong) => Err(wrong),
    }
}

/// `None`: it is not there. An error is one line: the key is often its owner's alone, and that is another user than ours.
fn read(path: &Path) -> Result<Option<String>, String> {
    let why = |e: io::Error| format!("cannot read {}: {e}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(why(e)),
    };
    let mut text = String::new();
    let read = file.take(limits::FILE_BYTES + 1).read_to_string(&mut text).map_err(why)?;
    if read as u64 > limits::FILE_BYTES {
        return Err(format!("{} is larger than {} bytes", path.display(), limits::FILE_BYTES));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const NAME: &str = "meet.example";

    struct Town(PathBuf);

    impl Town {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("plausch-former-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Self(folder)
        }

        fn has(&self, which: usize, of: &str, until: i32) {
            let mut params = CertificateParams::new(vec![of.to_owned()]).unwrap();
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
            let key = KeyPair::generate().unwrap();
            let (chain, path) = places(&self.0, NAME)[which].clone();
            std::fs::create_dir_all(chain.parent().unwrap()).unwrap();
            std::fs::write(chain, params.self_signed(&key).unwrap().pem()).unwrap();
            std::fs::write(path, key.serialize_pem()).unwrap();
        }

        fn found(&self) -> Option<Vec<u8>> {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let found = find(&[PathBuf::from("/nothing/here"), self.0.clone()], NAME, now);
            found.map(|(it, _)| it.cert[0].to_vec())
        }

        fn pem(&self, which: usize) -> Vec<u8> {
            use rustls::pki_types::pem::PemObject as _;
            let path = &places(&self.0, NAME)[which].0;
            rustls::pki_types::CertificateDer::from_pem_file(path).unwrap().to_vec()
        }
    }

    impl Drop for Town {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_issued_goes_before_what_was_given_and_what_cannot_be_used_is_left_out() {
        let town = Town::new("both");
        assert_eq!(town.found(), None);
        town.has(1, NAME, 2100);
        assert_eq!(town.found(), Some(town.pem(1)));
        town.has(0, NAME, 2100);
        assert_eq!(town.found(), Some(town.pem(0)));
        for (of, until) in [("other.example", 2100), (NAME, 2021)] {
            town.has(0, of, until);
            assert_eq!(town.found(), Some(town.pem(1)), "{of} until {until}");
        }
        // Of another key, no certificate, and one that is almost over.
        std::fs::write(&places(&town.0, NAME)[1].1, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert_eq!(town.found(), None);
        std::fs::write(&places(&town.0, NAME)[1].0, "nothing").unwrap();
        assert_eq!(town.found(), None);
        town.has(0, NAME, 2028);
        assert_eq!(town.found(), Some(town.pem(0)));
    }

    /// A key of root's alone was left out without a word, and browsers warned of one of our own.
    #[test]
    fn a_key_that_cannot_be_read_is_said_and_left_out() {
        let town = Town::new("unreadable");
        town.has(1, NAME, 2100);
        let key = &places(&town.0, NAME)[1].1;
        assert!(read(key).is_ok_and(|text| text.is_some()));
        std::fs::remove_file(key).unwrap();
        assert_eq!(read(key), Ok(None));
        // Whoever tests may be root, who reads everything but this.
        std::fs::create_dir(key).unwrap();
        assert!(read(key).unwrap_err().contains("cert.key"));
        assert_eq!(town.found(), None);
    }

    #[test]
    fn a_file_that_is_too_long_is_none() {
        let town = Town::new("long");
        town.has(0, NAME, 2100);
        let (chain, _) = &places(&town.0, NAME)[0];
        let text = std::fs::read_to_string(chain).unwrap();
        let room = usize::try_from(limits::FILE_BYTES).unwrap() - text.len();
        for (padding, taken) in [(room, true), (room + 1, false)] {
            std::fs::write(chain, format!("{text}{}", "\n".repeat(padding))).unwrap();
            assert_eq!(town.found().is_some(), taken);
        }
    }
}
