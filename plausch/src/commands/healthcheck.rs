//! The health of the server on this machine, as containers ask for it: exit code 0 or 1 out, with a line that says why.

use std::net::SocketAddr;

use service::listen::Address;
use service::{Effective, StartError};

use super::ask;

pub(super) fn run(e: &Effective) -> Result<u8, StartError> {
    let Address(admin) = e.parse("admin.listen")?;
    let (code, line) = judge(admin, ask::get(admin, "/about/health"));
    service::output::say(format!("{line}\n"));
    Ok(code)
}

fn judge(admin: SocketAddr, answer: Result<ask::Answer, String>) -> (u8, String) {
    match answer {
        // A worry of the server's is no reason to restart it.
        Ok(a) if a.status == 200 => {
            let said = a.body.trim();
            (0, if said.starts_with("OK") { said.to_owned() } else { "OK".to_owned() })
        }
        Ok(a) => (1, format!("{} {}", a.status, a.body.trim())),
        Err(why) => (1, format!("{admin}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_healthy_server_is_0() {
        let at = "127.0.0.1:8888".parse().unwrap();
        let answer = |status, body: &str| Ok(ask::Answer { status, body: body.to_owned() });
        assert_eq!(judge(at, answer(200, "OK")), (0, "OK".to_owned()));
        assert_eq!(judge(at, answer(200, "")), (0, "OK".to_owned()));
        assert_eq!(judge(at, answer(200, "OK; certificate: x\n")), (0, "OK; certificate: x".to_owned()));
        assert_eq!(judge(at, answer(503, "focus: no bridge\n")), (1, "503 focus: no bridge".to_owned()));
        assert_eq!(judge(at, Err("refused".to_owned())).0, 1);
    }
}
