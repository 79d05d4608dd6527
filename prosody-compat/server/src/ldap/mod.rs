//! A name and a password in; whether a directory (LDAP) knows somebody with both, out: the entry is looked for with an account of
//! the server's own, or with none, and then the password is tried on it; or its name is known, and nobody looks.
//!
//! As saslauthd does it for Prosody in docker-jitsi-meet. Each login has a connection of its own, and so many are open at a time:
//! a directory that is slow delays those alone who log in with it.

mod again;
mod ber;
mod filter;
mod group;
mod message;
mod name;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::{AccountAnswer, Proof};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsConnector;
use xmpp_link::AnyCertificate;

use self::ber::NotBer;
use self::filter::{Filter, Who};
use self::group::Group;
use self::message::{Said, Scope};
use self::name::Name;
use crate::accounts::Look;
use crate::limits;
use crate::owner::Input;

pub use self::filter::FilterError;
pub use self::group::GroupError;

/// A directory as an admin has written it. Names in brackets: docker-jitsi-meet's variables.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// `ldap://host`, `ldaps://host`, each asked when those before are not there (`LDAP_URL`).
    pub urls: Vec<String>,
    /// Below which entry people are (`LDAP_BASE`).
    pub base: String,
    /// How one is found; `%u` is the name (`LDAP_FILTER`).
    pub filter: String,
    /// That is the name of one's entry, and nobody looks for it (`LDAP_AUTH_METHOD=fastbind`).
    pub fastbind: bool,
    /// Who of them moderates: the name of a group's entry, or a filter in brackets that one's own entry passes. `None`: it does not say.
    pub moderators: Option<String>,
    /// How often it is asked about those who are in, who go when it does not find them any more. `None`: not before they log in again.
    pub recheck: Option<Duration>,
    /// Who looks, and its password; nobody when absent (`LDAP_BINDDN`, `LDAP_BINDPW`).
    pub bind: Option<(String, Sensitive<String>)>,
    /// TLS on `ldap://`, before anything is said (`LDAP_START_TLS`).
    pub start_tls: bool,
    /// Certificates have to be right (`LDAP_TLS_CHECK_PEER`).
    pub check_peer: bool,
    /// Roots in place of the machine's (`LDAP_TLS_CACERT_FILE`).
    pub roots: Option<PathBuf>,
}

/// What of the settings is wrong. Blame: the admin. Consequence: the server does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No address, or one that is none.
    #[error("the directory's address has to be ldap://host or ldaps://host, with a port if needed")]
    Url,
    /// TLS twice.
    #[error("TLS is begun on ldap:// alone; ldaps:// has it from the start")]
    StartTls,
    /// Not a filter that finds one person.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Moderators of whom nobody knows who they are.
    #[error(transparent)]
    Moderators(#[from] GroupError),
    /// Nobody to ask about those who are in.
    #[error("those who are in are looked for, which nobody does with `fastbind`: use `bind`")]
    Recheck,
    /// Somebody without a password, which directories take for nobody.
    #[error("the account that looks for people needs a password")]
    Password,
    /// Certificates to trust that are not there.
    #[error("the certificates to trust cannot be read")]
    Roots,
}

/// A directory that can be asked.
#[derive(Clone)]
pub struct Directory {
    places: Vec<Place>,
    way: Way,
    moderators: Option<Group>,
    recheck: Option<Duration>,
    tls: TlsConnector,
}

/// What it says to a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// There is nobody like that.
    No,
    /// There is, and whether that one moderates, if that is asked.
    Yes { moderates: Option<bool> },
}

/// What a search has found.
struct Found {
    /// The one entry. `None`: there is none, or several.
    entry: Option<Vec<u8>>,
    /// Whether there are several.
    many: bool,
    /// Whether there is anything where it was looked for.
    is_there: bool,
}

/// How somebody's entry is known.
#[derive(Clone)]
enum Way {
    /// By a search below `base`, of whoever may look.
    Search { base: String, filter: Filter, bind: Option<(String, Sensitive<String>)> },
    /// By its name.
    Named(Name),
}

/// One of its servers.
#[derive(Debug, Clone)]
struct Place {
    host: String,
    port: u16,
    tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    No,
    /// From the start.
    First,
    /// Asked for.
    Begun,
}

/// Why nothing is known. Blame: the directory, or whoever named it. Consequence: the person may try again.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    NotUnderstood(#[from] NotBer),
    #[error("the directory refuses with result {0}")]
    Refused(u32),
    #[error("not in time")]
    Late,
    #[error("the directory has nothing where people are")]
    Nothing,
}

impl Directory {
    /// Checks settings.
    pub fn new(settings: DirectorySettings) -> Result<Self, DirectoryError> {
        let places = settings.urls.iter().map(|url| place(url, settings.start_tls));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            return Err(DirectoryError::Url);
        }
        let bind = settings.bind.filter(|(dn, _)| !dn.is_empty());
        if bind.as_ref().is_some_and(|(_, password)| password.reveal().is_empty()) {
            return Err(DirectoryError::Password);
        }
        let way = if settings.fastbind {
            Way::Named(Name::parse(&settings.filter)?)
        } else {
            Way::Search { base: settings.base, filter: Filter::parse(&settings.filter)?, bind }
        };
        let moderators = match settings.moderators.as_deref() {
            None => None,
            Some(_) if settings.fastbind => return Err(GroupError::Fastbind.into()),
            Some(text) => Some(Group::parse(text)?),
        };
        if settings.fastbind && settings.recheck.is_some() {
            return Err(DirectoryError::Recheck);
        }
        let needed = places.iter().any(|p| p.tls != Tls::No);
        let tls = connector(needed && settings.check_peer, settings.roots.as_deref())?;
        Ok(Self { places, way, moderators, recheck: settings.recheck, tls })
    }

    /// Whether passwords go over the network as they are.
    pub fn is_plain(&self) -> bool {
        let here = |host: &str| {
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        };
        self.places.iter().any(|p| p.tls == Tls::No && !here(&p.host))
    }

    /// Whether somebody has this name and this password.
    async fn knows(&self, who: Who<'_>, password: &str) -> Result<Known, NoAnswer> {
        // RFC 4513 §5.1.2: with an empty one every name is welcome, as nobody.
        if password.is_empty() || who.user.is_empty() {
            return Ok(Known::No);
        }
        let line = self.first().await?;
        self.ask(line, who, password).await
    }

    /// A connection to the first of its servers that is there.
    async fn first(&self) -> Result<Line, NoAnswer> {
        let mut last = NoAnswer::Late;
        for place in &self.places {
            let connect = time::timeout(limits::DIRECTORY_CONNECT, self.connect(place));
            match connect.await.unwrap_or(Err(NoAnswer::Late)) {
                Ok(line) => return Ok(line),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, place: &Place) -> Result<Line, NoAnswer> {
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await?;
        if place.tls == Tls::No {
            return Ok(Line::new(tcp));
        }
        let tcp = if place.tls == Tls::Begun {
            let mut line = Line::new(tcp);
            line.send(&message::start_tls(line.id + 1)).await?;
            match line.answer().await? {
                Said::Result(0) => {}
                Said::Result(code) => return Err(NoAnswer::Refused(code)),
                _ => return Err(NotBer.into()),
            }
            // What came in before TLS is nobody's.
            if line.read.len() > line.taken {
                return Err(NotBer.into());
            }
            line.io
        } else {
            Box::new(tcp)
        };
        let name = ServerName::try_from(place.host.clone()).map_err(std::io::Error::other)?;
        Ok(Line::new(self.tls.connect(name, tcp).await?))
    }

    async fn ask(&self, mut line: Line, who: Who<'_>, password: &str) -> Result<Known, NoAnswer> {
        let mut moderates = None;
        let right = match &self.way {
            Way::Search { base, filter, bind } => {
                line.begin(bind.as_ref()).await?;
                match line.find((base.as_bytes(), Scope::Tree), filter, who).await?.entry {
                    Some(dn) => {
                        // Before: who looks may see groups, and who logs in need not.
                        if let Some(group) = &self.moderators {
                            moderates = Some(line.is_in(group, &dn, who).await?);
                        }
                        line.bind(&dn, password).await? == 0
                    }
                    None => false,
                }
            }
            Way::Named(name) => match line.bind(name.of(who).as_bytes(), password).await? {
                0 => true,
                // 32, 34, 49: there is no such entry, or it has another password.
                32 | 34 | 49 => false,
                code => return Err(NoAnswer::Refused(code)),
            },
        };
        line.end().await;
        Ok(if right { Known::Yes { moderates } } else { Known::No })
    }
}

/// Secrets do not show.
impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("places", &self.places).finish_non_exhaustive()
    }
}

fn place(url: &str, start_tls: bool) -> Result<Place, DirectoryError> {
    let (tls, port, rest) = match (url.strip_prefix("ldap://"), url.strip_prefix("ldaps://")) {
        (Some(rest), _) => (if start_tls { Tls::Begun } else { Tls::No }, 389, rest),
        (_, Some(_)) if start_tls => return Err(DirectoryError::StartTls),
        (_, Some(rest)) => (Tls::First, 636, rest),
        _ => return Err(DirectoryError::Url),
    };
    let authority: http::uri::Authority =
        rest.trim_end_matches('/').parse().map_err(|_| DirectoryError::Url)?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if host.is_empty() || authority.as_str().contains('@') || ServerName::try_from(host.as_str()).is_err() {
        return Err(DirectoryError::Url);
    }
    Ok(Place { host, port: authority.port_u16().unwrap_or(port), tls })
}

fn connector(check: bool, roots: Option<&Path>) -> Result<TlsConnector, DirectoryError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| DirectoryError::Roots)?;
    let config = if check {
        let trusted = match roots {
            None => xmpp_link::system_roots().map_err(|_| DirectoryError::Roots)?,
            Some(file) => {
                let mut trusted = RootCertStore::empty();
                let all = CertificateDer::pem_file_iter(file).map_err(|_| DirectoryError::Roots)?;
                trusted.add_parsable_certificates(all.filter_map(Result::ok));
                trusted
            }
        };
        if trusted.is_empty() {
            return Err(DirectoryError::Roots);
        }
        builder.with_root_certificates(trusted).with_no_client_auth()
    } else {
        let any = Arc::new(AnyCertificate::new(provider));
        builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Something that carries bytes.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection to a directory, and what has come of its next answer.
struct Line {
    io: Box<dyn Wire>,
    /// The number of the last message.
    id: u32,
    read: Vec<u8>,
    /// What of that was the last answer.
    taken: usize,
    /// All that it has said.
    heard: usize,
}

impl Line {
    fn new(io: impl Wire + 'static) -> Self {
        Self { io: Box::new(io), id: 0, read: Vec::new(), taken: 0, heard: 0 }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), NoAnswer> {
        self.id += 1;
        self.io.write_all(message).await?;
        Ok(self.io.flush().await?)
    }

    /// The next answer to the last message.
    async fn answer(&mut self) -> Result<Said<'_>, NoAnswer> {
        self.read.drain(..self.taken);
        self.taken = 0;
        let len = loop {
            // Nothing else begins so, and a length that is none would be waited for.
            if self.read.first().is_some_and(|tag| *tag != message::SEQUENCE) {
                return Err(NotBer.into());
            }
            let whole = ber::whole(&self.read)?;
            if whole.is_some_and(|len| len > limits::DIRECTORY_BYTES) || self.heard > limits::DIRECTORY_BYTES
            {
                return Err(NotBer.into());
            }
            match whole {
                Some(len) if len <= self.read.len() => break len,
                _ => {}
            }
            let mut buffer = [0; 2_048];
            let n = self.io.read(&mut buffer).await?;
            if n == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            self.heard += n;
            self.read.extend_from_slice(buffer.get(..n).unwrap_or_default());
        };
        self.taken = len;
        Ok(message::read(self.read.get(..len).unwrap_or_default(), self.id)?)
    }

    /// Whether the person whose entry is `dn` is one of these.
    async fn is_in(&mut self, group: &Group, dn: &[u8], who: Who<'_>) -> Result<bool, NoAnswer> {
        let (at, filter) = group.question(dn, who);
        let found = self.find(at, &filter, who).await?;
        if !found.is_there {
            tracing::warn!(
                "the group of moderators is not in the directory, or the account that looks for people may not see it: nobody moderates"
            );
        }
        Ok(found.entry.is_some())
    }

    /// The one entry that is like this.
    async fn find(&mut self, at: (&[u8], Scope), filter: &Filter, who: Who<'_>) -> Result<Found, NoAnswer> {
        let seconds = u32::try_from(limits::DIRECTORY.as_secs()).unwrap_or(u32::MAX);
        self.send(&message::search(self.id + 1, at, filter, who, seconds)).await?;
        let mut found: Option<Vec<u8>> = None;
        let mut many = false;
        let code = loop {
            match self.answer().await? {
                Said::Entry(name) => {
                    many |= found.is_some();
                    found = Some(name.to_vec());
                }
                Said::Elsewhere => {}
                Said::Result(code) => break code,
            }
        };
        // 4: there would be more; 32: the base is not there, and then nobody is.
        match code {
            0 => Ok(Found { entry: found.filter(|dn| !many && !dn.is_empty()), many, is_there: true }),
            4 => Ok(Found { entry: None, many: true, is_there: true }),
            32 => Ok(Found { entry: None, many: false, is_there: false }),
            code => Err(NoAnswer::Refused(code)),
        }
    }

    /// Says that it is who looks, if somebody does.
    async fn begin(&mut self, bind: Option<&(String, Sensitive<String>)>) -> Result<(), NoAnswer> {
        let Some((dn, password)) = bind else { return Ok(()) };
        match self.bind(dn.as_bytes(), password.reveal()).await? {
            0 => Ok(()),
            code => Err(NoAnswer::Refused(code)),
        }
    }

    /// Out of politeness; whoever logs in does not wait for it.
    async fn end(&mut self) {
        let _ = self.send(&message::unbind(self.id + 1)).await;
    }

    /// Says who one is; 0 when that is believed.
    async fn bind(&mut self, dn: &[u8], password: &str) -> Result<u32, NoAnswer> {
        self.send(&message::bind(self.id + 1, dn, password)).await?;
        match self.answer().await? {
            Said::Result(code) => Ok(code),
            _ => Err(NotBer.into()),
        }
    }
}

/// Asks the directory about those who log in on this host, so many at a time; and about those who are in, if it is to say that.
pub(crate) async fn look(
    directory: Arc<Directory>,
    domain: String,
    mut asked: mpsc::Receiver<Look>,
    inputs: mpsc::Sender<Input>,
) {
    // Ends with those who log in: another configuration begins anew.
    let mut again = JoinSet::new();
    if let Some(every) = directory.recheck {
        again.spawn(again::ask(Arc::clone(&directory), domain, every, inputs.clone()));
    }
    let places = Arc::new(Semaphore::new(limits::DIRECTORY_CONNECTIONS));
    while let Some(Look { conn, id, question }) = asked.recv().await {
        // Fails only when it is closed, which nobody does.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (directory, inputs) = (Arc::clone(&directory), inputs.clone());
        tokio::spawn(async move {
            let answer = match &question.proof {
                Proof::Password(password) => {
                    let who =
                        Who { user: question.jid.node().unwrap_or_default(), domain: question.jid.domain() };
                    let known = directory.knows(who, password.reveal());
                    match time::timeout(limits::DIRECTORY, known).await.unwrap_or(Err(NoAnswer::Late)) {
                        Ok(Known::Yes { moderates: None }) => AccountAnswer::Right,
                        Ok(Known::Yes { moderates: Some(moderates) }) => AccountAnswer::Ranked { moderates },
                        Ok(Known::No) => AccountAnswer::Wrong,
                        Err(error) => {
                            tracing::warn!(%error, "the directory of accounts did not answer");
                            AccountAnswer::Unavailable
                        }
                    }
                }
                // A directory keeps them for itself.
                Proof::Keys(_) => AccountAnswer::Wrong,
            };
            drop(place);
            // Fails only when the server has stopped.
            let _ = inputs.send(Input::Account { conn, id, answer }).await;
        });
    }
}

#[cfg(test)]
mod tests;
