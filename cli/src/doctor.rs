//! `skictl doctor` checks everything that a deployment depends on, from its configuration and without a console, and suggests
//! a fix for each fault; it changes nothing.
//!
//! - `findings`: the result of each check. The other files hold the checks: `broker` through AMQP, and through its
//!   `management` API if configured; `redis`; `archive`: the files of archived days; `nodes`, from heartbeats; `machine`:
//!   ports, disk and files of this host.

mod archive;
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
use crate::client::{Columns, Page, Style, TerminalStyle};
use crate::config::Config;
use crate::exit::Exit;
use crate::process;

/// Runs all checks and prints the findings.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args, args.common.config.as_deref())?;
    process::block_on(async {
        let findings = run_checks(&config).await?;
        let text = match args.output {
            ReportForm::Json => serde_json::to_string(&findings)? + "\n",
            ReportForm::Table => render(&findings),
        };
        let mut out = io::stdout().lock();
        // A closed pipe is not an error; the exit code still reports the result.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        Ok(if findings.state == State::Failed {
            Exit::Refused.into()
        } else {
            Exit::Done.into()
        })
    })
}

/// Runs all checks.
pub(crate) async fn run_checks(config: &Config) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    match &config.servers {
        Some(servers) => {
            let (broker, management, redis, archive, nodes, machine) = tokio::join!(
                broker::check(servers, &config.stack),
                management::check(servers, &config.stack, config.management_url.as_ref()),
                redis::check(servers, &config.stack, config.store_durability),
                archive::check(servers, config),
                nodes::check(servers, &config.stack),
                machine::check(config),
            );
            for group in [broker, management?, redis, vec![archive], nodes, machine] {
                findings.add(group);
            }
        }
        None => {
            let without = |check: &str, flag: &str| not_checked(check, format!("no {flag}"));
            findings.add(vec![
                without("broker", "--amqp-url"),
                without("redis", "--redis-url"),
            ]);
            findings.add(machine::check(config).await);
        }
    }
    Ok(findings)
}

fn render(findings: &Findings) -> String {
    let mut page = Page::new(TerminalStyle::stdout());
    let row = |finding: &findings::Finding| {
        let (word, style) = match finding.state {
            State::Ok => ("ok", Style::Good),
            State::Warning => ("warning", Style::Warning),
            State::Failed => ("failed", Style::Alarm),
            State::NotChecked => ("not checked", Style::Plain),
        };
        let plain = |text: &str| (text.to_owned(), Style::Plain);
        let seen = [
            plain(&finding.check),
            (word.to_owned(), style),
            plain(&finding.found),
        ];
        let fix = finding.fix.as_deref();
        let fix = fix.map(|fix| [plain(""), plain("fix"), plain(fix)]);
        [seen].into_iter().chain(fix)
    };
    page.table(
        &Columns {
            names: ["check", "state", "~found"],
            optional_columns: &[],
        },
        findings.findings.iter().flat_map(row),
        "nothing to check",
    );
    page.finish()
}
