//! Asking all caches side by side.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::Client;
use crate::find::Knowledge;
use crate::netrc::Netrc;
use crate::verify::{Question, Report, verify};

/// Time for all caches together, unless the user says otherwise. Above it a
/// cache would cost more than it saves.
pub const WITHIN: Duration = Duration::from_secs(10);

/// How to ask.
#[derive(Clone, Debug)]
pub struct How {
    /// Time for all of it.
    pub within: Duration,
    /// Whether an archive of each is checked too.
    pub deep: bool,
    /// Who we are to private caches.
    pub logins: Netrc,
}

impl Default for How {
    fn default() -> Self {
        Self { within: WITHIN, deep: false, logins: Netrc::default() }
    }
}

/// Ask every cache at once; the reports come in the order of the questions.
pub fn ask(
    questions: &[Question],
    knowledge: Knowledge,
    store_dir: &str,
    how: How,
) -> Result<Vec<Report>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reports = runtime.block_on(async {
        let How { within, deep, logins } = how;
        let client = Client::new(within)?.with_logins(logins);
        let knowledge = Arc::new(knowledge);
        let asked: Vec<_> = questions
            .iter()
            .cloned()
            .map(|question| {
                let (client, knowledge) = (client.clone(), Arc::clone(&knowledge));
                let store_dir = store_dir.to_owned();
                tokio::spawn(async move {
                    verify(&client, &question, &knowledge, &store_dir, deep).await
                })
            })
            .collect();
        let mut reports = Vec::with_capacity(asked.len());
        for asked in asked {
            reports.push(asked.await.context("asking ended early")?);
        }
        Ok(reports)
    });
    // A name that the system still looks up would be waited for.
    runtime.shutdown_background();
    reports
}
