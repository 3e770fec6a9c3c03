//! Data sets of others, downloaded from their official address: the only code that uses the network.

mod download;
mod uci_har;
mod unpack;

pub(crate) use uci_har::{ADDRESS, UciHar};
