//! Our package in; its service as systemd on a booted machine runs it: ready, well, restarted when it hangs, out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::{Result, ensure};

use crate::machine::Machine;

/// Installs the package on a machine without a Jitsi, and purges it again.
pub(crate) fn story(machine: &Machine, package: &str) -> Result<()> {
    // Half a minute in the unit.
    let own = machine.at("etc/systemd/system/plausch.service.d");
    fs::create_dir_all(&own)?;
    fs::write(own.join("test.conf"), "[Service]\nWatchdogSec=2\n")?;
    machine.does(&["dpkg", "--install", package])?;
    let show = |what: &str| {
        let said = machine.says(&["systemctl", "show", "--value", "--property", what, "plausch"])?;
        anyhow::Ok(said.trim().to_owned())
    };
    // `Type=notify`: active is what it says itself.
    ensure!(show("ActiveState")? == "active" && show("UnitFileState")? == "enabled", "installed is running");
    machine.does(&["plausch", "healthcheck"])?;
    let status = machine.says(&["cat", &format!("/proc/{}/status", show("MainPID")?)])?;
    let line = |name: &str| {
        let of = status.lines().find_map(|l| l.strip_prefix(name));
        of.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
    };
    ensure!(line("Uid:") != "0", "it is not root: {status}");
    // CAP_NET_BIND_SERVICE, the tenth bit, alone.
    ensure!(line("CapEff:") == "0000000000000400" && line("CapBnd:") == "0000000000000400", "{status}");
    ensure!(line("NoNewPrivs:") == "1" && line("Seccomp:") == "2", "{status}");
    let state = fs::metadata(machine.at("var/lib/plausch"))?;
    ensure!(state.permissions().mode() & 0o777 == 0o700 && state.uid() != 0, "its folder is its own");

    // A reload is read by the process that runs, and a wrong one changes nothing.
    let config = machine.at("etc/plausch/plausch.toml");
    let good = fs::read_to_string(&config)?;
    let (runs, log) = (show("MainPID")?, ["journalctl", "--unit=plausch", "--output=cat", "--no-pager"]);
    for (wish, said) in [
        ("[log]\nfilter = \"info,hyper=warn\"\n", "the configuration was read again; changed: log.filter"),
        ("[log]\nfliter = \"info\"\n", "the configuration stays as it was"),
    ] {
        fs::write(&config, format!("{good}\n{wish}"))?;
        machine.does(&["systemctl", "reload", "plausch"])?;
        machine.until(said, 10, || Ok(machine.says(&log)?.contains(said)))?;
    }
    ensure!(show("ActiveState")? == "active" && show("MainPID")? == runs, "a reload is no restart");
    fs::write(&config, &good)?;

    // A process that says nothing any more is ended, and another one is there.
    let hangs = show("MainPID")?;
    machine.does(&["systemctl", "kill", "--signal=STOP", "plausch"])?;
    machine.until("another process", 30, || {
        Ok(show("ActiveState")? == "active" && show("MainPID")? != hangs && show("MainPID")? != "0")
    })?;
    ensure!(show("NRestarts")? == "1", "one restart: {}", show("NRestarts")?);
    machine.does(&["plausch", "healthcheck"])?;

    // What can not be configured waits for the admin, and is no loop.
    fs::write(&config, "[http]\nlissen = 1\n")?;
    ensure!(!machine.inside(&["systemctl", "restart", "plausch"]).status()?.success());
    ensure!(
        show("ActiveState")? == "failed" && show("ExecMainStatus")? == "78",
        "{}",
        show("ExecMainStatus")?
    );
    fs::write(&config, good)?;
    machine.does(&["systemctl", "restart", "plausch"])?;
    machine.does(&["systemctl", "stop", "plausch"])?;
    ensure!(show("Result")? == "success" && show("ExecMainStatus")? == "0", "a stop is orderly");
    machine.does(&["dpkg", "--purge", "plausch"])?;
    ensure!(machine.says(&["getent", "passwd", "plausch"])?.is_empty(), "a purge takes the user");
    Ok(fs::remove_dir_all(own)?)
}
