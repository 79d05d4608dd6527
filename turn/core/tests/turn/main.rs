//! The engine as its clients and peers see it, in virtual time.

mod behaviour;
mod bounds;
mod hostile;
mod world;
