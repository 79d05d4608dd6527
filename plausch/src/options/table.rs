//! Every option there is: key, flag, environment names, default and one sentence. Environment names are docker-jitsi-meet's where
//! that has one.

mod front;
mod login;
mod meetings;
mod network;
mod services;

use service::{Kind, Setting};

const fn text(
    key: &'static str,
    flag: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, env, default, kind: Kind::Text, help }
}

const fn of(
    kind: Kind,
    key: &'static str,
    flag: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, env, default, kind, help }
}

const fn switch(
    key: &'static str,
    flag: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, env, default, kind: Kind::Bool, help }
}

/// Every option there is. Those that only the web client heeds come last, behind the other `client` ones.
pub(crate) const SETTINGS: &[Setting] = &super::web::behind::<{ OWN.len() + super::web::ROWS.len() }>(OWN);

/// All but those that only the web client heeds.
const OWN: &[Setting] = &together::<
    {
        front::ROWS.len()
            + network::ROWS.len()
            + login::ROWS.len()
            + services::ROWS.len()
            + meetings::ROWS.len()
    },
>([front::ROWS, network::ROWS, login::ROWS, services::ROWS, meetings::ROWS]);

/// Tables behind each other.
const fn together<const N: usize>(tables: [&[Setting]; 5]) -> [Setting; N] {
    let mut all = [front::ROWS[0]; N];
    let (mut i, mut table, mut row) = (0, 0, 0);
    while i < N {
        if row == tables[table].len() {
            (table, row) = (table + 1, 0);
        } else {
            all[i] = tables[table][row];
            (i, row) = (i + 1, row + 1);
        }
    }
    all
}
