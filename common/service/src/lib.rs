//! What every role needs around its engine: options in layers, logging, metrics, health, drain and clear start errors.
#![forbid(unsafe_code)]

pub mod below;
pub mod body;
pub mod certificate;
pub mod datagrams;
pub mod entropy;
pub mod error;
pub mod health;
pub mod limits;
pub mod line;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod options;
pub mod output;
pub mod proxies;
pub mod shutdown;
pub mod sockets;
pub mod unserved;
pub mod websocket;

pub use entropy::{Portions, SystemEntropy};
pub use error::StartError;
pub use health::{Health, State};
pub use metrics::{Exposition, Metrics};
pub use notify::ServiceManager;
pub use options::{Effective, Kind, Origin, Setting, Sources};
pub use proxies::{Client, Proxies};
pub use shutdown::Shutdown;
