use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::{
    args::Cli,
    failure::{Outcome, Result},
};

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result {
        // Written at once: the generator panics where its output is closed.
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "cachectl", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Outcome::Done)
    }
}
