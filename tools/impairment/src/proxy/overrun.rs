//! Sockets in; the datagrams the kernel dropped because nobody read them in time, out: Linux only, elsewhere none are known.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// What the kernel's table calls a socket.
pub(super) fn inode(socket: &impl AsFd) -> Option<u64> {
    let file = File::from(socket.as_fd().try_clone_to_owned().ok()?);
    file.metadata().ok().map(|m| m.ino())
}

/// Of all these sockets together.
pub(super) fn dropped(inodes: &HashSet<u64>) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|t| fs::read_to_string(t).unwrap_or_default());
    tables.iter().flat_map(|t| t.lines().skip(1)).filter_map(|line| drops(line, inodes)).sum()
}

fn drops(line: &str, inodes: &HashSet<u64>) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let inode = fields.get(9)?.parse().ok()?;
    inodes.contains(&inode).then(|| fields.last()?.parse().ok())?
}
