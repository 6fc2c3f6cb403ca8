//! `skictl doctor`: looks at all that a deployment stands on, by its configuration alone and without a console, and says of
//! each fault how to mend it. It changes nothing.
//!
//! - `findings`: what is found, and what that means. Then what is looked at, one file each: `broker` by AMQP, and by its
//!   `management` API where that is given; `redis`; `nodes`, by their heartbeats; `machine`: this one's ports, disk and files.

mod broker;
mod findings;
mod machine;
mod management;
mod nodes;
mod redis;

use std::io::{self, Write};
use std::process::ExitCode;

use self::findings::{Findings, State, not_checked};
use crate::args::doctor::{DoctorArgs, ReportForm};
use crate::client::{Columns, Look, Page, Tone};
use crate::config::Config;
use crate::exit::Exit;
use crate::process;

/// Looks, and shows what it finds.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args, args.common.config.as_deref())?;
    process::block_on(async {
        let findings = look(&config).await?;
        let text = match args.output {
            ReportForm::Json => serde_json::to_string(&findings)? + "\n",
            ReportForm::Table => draw(&findings),
        };
        let mut out = io::stdout().lock();
        // Whoever closes the pipe has seen enough; the exit code says the rest.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        Ok(if findings.state == State::Failed {
            Exit::Refused.into()
        } else {
            Exit::Done.into()
        })
    })
}

async fn look(config: &Config) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    match &config.servers {
        Some(servers) => {
            let (broker, management, redis, nodes, machine) = tokio::join!(
                broker::look(servers, &config.stack),
                management::look(servers, &config.stack, config.management_url.as_ref()),
                redis::look(servers, &config.stack, config.accept_loss_window),
                nodes::look(servers, &config.stack),
                machine::look(config),
            );
            for group in [broker, management?, redis, nodes, machine] {
                findings.add(group);
            }
        }
        None => {
            let without = |check: &str, flag: &str| not_checked(check, format!("no {flag}"));
            findings.add(vec![
                without("broker", "--amqp-url"),
                without("redis", "--redis-url"),
            ]);
            findings.add(machine::look(config).await);
        }
    }
    Ok(findings)
}

fn draw(findings: &Findings) -> String {
    let mut page = Page::new(Look::stdout());
    let row = |finding: &findings::Finding| {
        let (word, tone) = match finding.state {
            State::Ok => ("ok", Tone::Good),
            State::Warning => ("warning", Tone::Warning),
            State::Failed => ("failed", Tone::Alarm),
            State::NotChecked => ("not checked", Tone::Plain),
        };
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        let seen = [
            plain(&finding.check),
            (word.to_owned(), tone),
            plain(&finding.found),
        ];
        let fix = finding.fix.as_deref();
        let fix = fix.map(|fix| [plain(""), plain("fix"), plain(fix)]);
        [seen].into_iter().chain(fix)
    };
    page.table(
        &Columns {
            names: ["check", "state", "~found"],
            spare: &[],
        },
        findings.findings.iter().flat_map(row),
        "nothing to look at",
    );
    page.finish()
}
