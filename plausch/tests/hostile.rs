//! The built program among people who mean harm, and on machines whose disk is full.

mod running;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use running::Whole;

/// Segments of one byte kept 4 KiB each alive: 120 kB of payload were 467 MB.
#[test]
fn a_body_in_pieces_of_one_byte_costs_what_it_weighs() {
    let whole = Whole::start(|_| {});
    for (path, sockets, bytes) in [("/http-bind", 1, 20_000), ("/conference-request/v1", 3, 10_000)] {
        let before = whole.resident();
        let mut open: Vec<TcpStream> =
            (0..sockets).map(|_| TcpStream::connect(whole.http).unwrap()).collect();
        for socket in &mut open {
            socket.set_nodelay(true).unwrap();
            write!(socket, "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", bytes + 100)
                .unwrap();
        }
        for _ in 0..bytes {
            for socket in &mut open {
                socket.write_all(b" ").unwrap();
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        let grown = whole.resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{path}: {grown} bytes more");
    }
}
