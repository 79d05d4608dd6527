//! SASL without I/O: messages of PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677) in and out. Nonces are handed in.
