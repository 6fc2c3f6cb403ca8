//! Which console a command asks, and what it shows there.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use url::{Host, Url};

use super::contexts::{self, Contexts};
use super::error::ClientError;
use crate::args::client::ClientArgs;
use crate::config::variable;

/// Where the console of a `skictl up` is.
const LOCAL: &str = "http://127.0.0.1:8081";

/// The console that a command asks.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) url: Url,
    /// What is shown there.
    pub(crate) token: Option<String>,
    /// Where that was read.
    pub(crate) token_file: Option<PathBuf>,
    /// The context by which it was found.
    pub(crate) context: Option<String>,
}

impl Server {
    /// Chooses by flags, then the environment, then the current context, then what runs on this machine.
    pub(crate) fn choose(args: &ClientArgs) -> anyhow::Result<Self> {
        let contexts = Contexts::read()?;
        let (url, context) = place(args, &contexts)?;
        refuse_in_the_clear(&url)?;
        let named = args.token_file.clone();
        let named = named.or_else(|| variable("SKI_TOKEN_FILE").map(PathBuf::from));
        // A context's token is for its own console and for no other.
        let of_context = match &context {
            Some(name) => contexts.get(name)?.token_file.clone(),
            None => None,
        };
        let (token, token_file) = match named.or(of_context) {
            Some(file) => (Some(read_token(&file)?), Some(file)),
            None => {
                let file = local_token_file(&url);
                // Without one the console says what it misses.
                let token = file.as_deref().and_then(|file| read_token(file).ok());
                (token, file)
            }
        };
        Ok(Self {
            url,
            token,
            token_file,
            context,
        })
    }

    /// The same without a token, for a login.
    pub(crate) fn choose_for_login(args: &ClientArgs) -> anyhow::Result<Self> {
        let (url, context) = place(args, &Contexts::read()?)?;
        refuse_in_the_clear(&url)?;
        Ok(Self {
            url,
            token: None,
            token_file: None,
            context,
        })
    }
}

/// Where it is, and by which context.
fn place(args: &ClientArgs, contexts: &Contexts) -> Result<(Url, Option<String>), ClientError> {
    let of = |name: &str| {
        let context = contexts.get(name)?;
        // Somebody may have written the file.
        Ok((parse_url(context.server.as_str())?, Some(name.to_owned())))
    };
    if let Some(url) = &args.server {
        return Ok((parse_url(url)?, None));
    }
    if let Some(name) = &args.context {
        return of(name);
    }
    if let Some(url) = variable("SKI_SERVER") {
        return Ok((parse_url(&url)?, None));
    }
    match variable("SKI_CONTEXT").or_else(|| contexts.current.clone()) {
        Some(name) => of(&name),
        None => Ok((parse_url(LOCAL)?, None)),
    }
}

/// Reads the URL of a console. `http://localhost` becomes 127.0.0.1: the name may also lead to `::1`, where another user of this
/// machine may listen for the token. In `https` it stays, for there the certificate is for the name and proves who answers.
pub(crate) fn parse_url(text: &str) -> Result<Url, ClientError> {
    let refuse = |why: &str| {
        ClientError::Usage(format!(
            "{why}; a console is named as http://127.0.0.1:8081 or https://HOST"
        ))
    };
    let mut url =
        Url::parse(text).map_err(|error| refuse(&format!("the server's URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("the server's URL begins with http:// or https://"));
    }
    // Not repeated: it may hold a password.
    let has_more = url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "the server's URL has a host, a port and a path, and no more",
        ));
    }
    if url.scheme() == "http" && url.host() == Some(Host::Domain("localhost")) {
        url.set_ip_host(Ipv4Addr::LOCALHOST.into())
            .map_err(|()| refuse("the server's URL needs a host"))?;
    }
    Ok(url)
}

/// Tokens and passwords cross no network in the clear.
pub(crate) fn refuse_in_the_clear(url: &Url) -> Result<(), ClientError> {
    if url.scheme() == "https" || loopback(url).is_some() {
        return Ok(());
    }
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    );
    Err(ClientError::Usage(format!(
        "http would carry the token to {host} for everybody to read: use https, or a tunnel, as ssh -L 8081:127.0.0.1:{port} {host}"
    )))
}

/// The address on this machine that a URL names.
fn loopback(url: &Url) -> Option<String> {
    match url.host()? {
        // Only in `https` is there still such a name.
        Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.to_string()),
        Host::Domain(_) => None,
        Host::Ipv4(address) => address.is_loopback().then(|| address.to_string()),
        Host::Ipv6(address) => address.is_loopback().then(|| address.to_string()),
    }
}

/// Where a console that runs on this machine as this user writes its token, another one at each start.
fn local_token_file(url: &Url) -> Option<PathBuf> {
    let (address, port) = (loopback(url)?, url.port_or_known_default()?);
    let state = contexts::home("XDG_STATE_HOME", ".local/state").ok()?;
    Some(state.join(format!("skilift/consoles/{address}_{port}.token")))
}

pub(crate) fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ClientError::Usage(error.to_string()))
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(ClientError::Usage(format!(
            "{} does not hold a token: it is one word that begins with ski_token_",
            file.display()
        ))
        .into());
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cross_no_network_in_the_clear() {
        for fits in [
            "http://127.0.0.1:8081",
            "http://127.9.9.9",
            "http://[::1]:8081",
            "http://localhost:1",
            "https://example.com/ski",
        ] {
            let url = parse_url(fits).unwrap();
            assert!(refuse_in_the_clear(&url).is_ok(), "{fits}");
        }
        for unfit in [
            "http://example.com",
            "http://localhost.example.com",
            "http://10.0.0.1:8081",
            "http://0.0.0.0:8081",
        ] {
            let url = parse_url(unfit).unwrap();
            assert!(refuse_in_the_clear(&url).is_err(), "{unfit}");
        }
    }

    #[test]
    fn a_name_that_may_lead_elsewhere_on_this_machine_is_not_asked_of_the_resolver() {
        for (named, asked) in [
            ("http://localhost:8081", "http://127.0.0.1:8081/"),
            ("http://LOCALHOST:8081/ski", "http://127.0.0.1:8081/ski"),
            ("http://[::1]:8081", "http://[::1]:8081/"),
            ("https://localhost:8443", "https://localhost:8443/"),
        ] {
            assert_eq!(parse_url(named).unwrap().as_str(), asked);
        }
    }

    #[test]
    fn a_url_with_more_than_a_place_is_refused_and_not_repeated() {
        for url in [
            "ftp://x",
            "x",
            "https://u:s3cret@x",
            "https://x/?a=s3cret",
            "https://x#s3cret",
        ] {
            let error = parse_url(url).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::Usage);
            assert!(!error.to_string().contains("s3cret"));
        }
    }
}
