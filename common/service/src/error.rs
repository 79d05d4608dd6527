//! Why a service does not start: each reason in one line that names the option and what to do, and an exit code.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::options::Origin;

/// A reason to end before or while starting. All are the admin's to mend, so each says where the value came from.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option nobody knows.
    #[error("unknown option `{name}` in {origin}{}", hint.as_ref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default())]
    UnknownOption {
        /// What was written.
        name: String,
        /// Where it was written.
        origin: Origin,
        /// The closest option there is.
        hint: Option<String>,
    },
    /// A value that cannot be understood. The value itself is not repeated: it may be a secret.
    #[error("option `{option}` from {origin}: {reason}")]
    BadValue {
        /// The option's key.
        option: String,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of upstream's that keeps people out, and would not here. The value is not repeated.
    #[error("{name}: {text}")]
    Restriction {
        /// The variable, or the place in a file.
        name: String,
        /// What would be open, and the ways on, in the admin's language.
        text: String,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A file that is not TOML.
    #[error("{} is not valid TOML: {reason}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Line and complaint.
        reason: String,
    },
    /// Another program has the port.
    #[error("{address} ({protocol}) is taken by another program; choose another address with `{option}`")]
    AddressInUse {
        /// The address that was wanted.
        address: SocketAddr,
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// The option that sets it.
        option: String,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address} ({protocol}), set by `{option}`: {reason}")]
    Listen {
        /// The address that was wanted.
        address: SocketAddr,
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// The option that sets it.
        option: String,
        /// The system's reason.
        reason: String,
    },
    /// A part could not start.
    #[error("{part} cannot start: {reason}")]
    Part {
        /// Which part.
        part: &'static str,
        /// Its reason.
        reason: String,
    },
}

impl StartError {
    /// The key of the option that has to be changed, if it is one.
    pub fn option(&self) -> Option<&str> {
        match self {
            Self::BadValue { option, .. }
            | Self::AddressInUse { option, .. }
            | Self::Listen { option, .. } => Some(option),
            _ => None,
        }
    }

    /// The name of this reason in counters and tests.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownOption { .. } => "unknown_option",
            Self::BadValue { .. } => "bad_value",
            Self::Restriction { .. } => "restriction",
            Self::Unreadable { .. } => "unreadable",
            Self::NotToml { .. } => "not_toml",
            Self::AddressInUse { .. } => "address_in_use",
            Self::Listen { .. } => "listen",
            Self::Part { .. } => "part",
        }
    }

    /// The exit code after sysexits(3): 78 for configuration, 69 for what the machine does not give.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownOption { .. }
            | Self::BadValue { .. }
            | Self::Restriction { .. }
            | Self::NotToml { .. }
            | Self::Unreadable { .. } => 78,
            Self::AddressInUse { .. } | Self::Listen { .. } | Self::Part { .. } => 69,
        }
    }
}
