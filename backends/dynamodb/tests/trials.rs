//! What the suite does not ask of every storage.

mod connect;
mod items;
#[path = "support/own.rs"]
mod own_server;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/script.rs"]
mod script;

fn main() -> std::process::ExitCode {
    connect::trials().and(items::trials()).run()
}
