//! Selection of the console and its token.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use url::{Host, ParseError, Url};

use super::contexts::{self, Contexts};
use super::error::ClientError;
use crate::args::client::ClientArgs;
use crate::config::variable;

/// Default URL of a console started by `skictl up`.
const LOCAL: &str = "http://127.0.0.1:8081";
const NO_SCHEME: &str = "the server URL must start with http:// or https://";

/// The console of a command.
#[derive(Debug)]
pub(crate) struct Server {
    /// URL of the console.
    pub(crate) url: Url,
    /// The access token.
    pub(crate) token: Option<String>,
    /// File that the token was read from.
    pub(crate) token_file: Option<PathBuf>,
    /// File with the certificates to trust; `None` for those that this host trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// The context that named it.
    pub(crate) context: Option<String>,
}

impl Server {
    /// Selects by flags, then the environment, then the current context, then the one console that runs on this host.
    pub(crate) fn choose(args: &ClientArgs) -> anyhow::Result<Self> {
        let contexts = Contexts::read()?;
        let (url, context) = place(args, &contexts)?;
        refuse_in_the_clear(&url)?;
        let named = args.token_file.clone();
        let named = named.or_else(|| variable("SKI_TOKEN_FILE").map(PathBuf::from));
        let ca_file = ca_file(args, &contexts, context.as_deref());
        // The token of a context is sent only to its own console.
        let of_context = match &context {
            Some(name) => contexts.get(name)?.token_file.clone(),
            None => None,
        };
        let (token, token_file) = match named.or(of_context) {
            Some(file) => (Some(read_token(&file)?), Some(file)),
            None => {
                let file = local_token_file(&url);
                // Without a token the console reports that it is missing.
                let token = file.as_deref().and_then(|file| read_token(file).ok());
                (token, file)
            }
        };
        Ok(Self {
            url,
            token,
            token_file,
            ca_file,
            context,
        })
    }

    /// The same without a token, for a login.
    pub(crate) fn choose_for_login(args: &ClientArgs) -> anyhow::Result<Self> {
        let contexts = Contexts::read()?;
        let (url, context) = place(args, &contexts)?;
        refuse_in_the_clear(&url)?;
        let ca_file = ca_file(args, &contexts, context.as_deref());
        Ok(Self {
            url,
            token: None,
            token_file: None,
            ca_file,
            context,
        })
    }
}

/// The file with the certificates to trust.
fn ca_file(args: &ClientArgs, contexts: &Contexts, context: Option<&str>) -> Option<PathBuf> {
    let of_context = context.and_then(|name| contexts.contexts.get(name)?.ca_file.clone());
    let named = args.ca_file.clone();
    named
        .or_else(|| variable("SKI_CA_FILE").map(PathBuf::from))
        .or(of_context)
}

/// URL of the console, and its context.
fn place(args: &ClientArgs, contexts: &Contexts) -> Result<(Url, Option<String>), ClientError> {
    let of = |name: &str| {
        let context = contexts.get(name)?;
        // The file may have been edited by hand.
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
        None => Ok((local_console(&local_consoles())?, None)),
    }
}

/// The one console of this host; the default address if there is none.
fn local_console(running: &[SocketAddr]) -> Result<Url, ClientError> {
    match running {
        [] => parse_url(LOCAL),
        [only] => parse_url(&format!("http://{only}")),
        several => {
            let urls: Vec<String> = several.iter().map(|at| format!("http://{at}")).collect();
            Err(ClientError::Usage(format!(
                "{} consoles run on this host: {}; select one with --server URL",
                urls.len(),
                urls.join(", ")
            )))
        }
    }
}

/// Addresses of this user's consoles on this host that accept connections. After a crash a token file is left behind.
fn local_consoles() -> Vec<SocketAddr> {
    let Some(files) = token_directory().and_then(|directory| directory.read_dir().ok()) else {
        return Vec::new();
    };
    let mut addresses: Vec<SocketAddr> = files
        .filter_map(|file| address_of(file.ok()?.file_name().to_str()?))
        .filter(|at| TcpStream::connect_timeout(at, Duration::from_millis(500)).is_ok())
        .collect();
    addresses.sort_unstable();
    addresses
}

/// Whether a command without `--server` could mean another console of this host.
pub(crate) fn is_ambiguous() -> bool {
    local_consoles().len() > 1
}

/// The address in the name of a token file.
fn address_of(name: &str) -> Option<SocketAddr> {
    let (ip, port) = name.strip_suffix(".token")?.rsplit_once('_')?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

/// Parses the URL of a console. `http://localhost` becomes 127.0.0.1, because the name may resolve to `::1`, where another
/// user of this host could listen for the token; `https` keeps the name, because the certificate authenticates it.
pub(crate) fn parse_url(text: &str) -> Result<Url, ClientError> {
    let refuse = |why: &str| {
        ClientError::Usage(format!(
            "{why}; use for example http://127.0.0.1:8081 or https://HOST"
        ))
    };
    let mut url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => refuse(NO_SCHEME),
        error => refuse(&format!("invalid server URL: {error}")),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse(NO_SCHEME));
    }
    // The message omits the URL, which may contain a password.
    let has_more = url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "the server URL may contain only a host, a port and a path",
        ));
    }
    if url.scheme() == "http" && url.host() == Some(Host::Domain("localhost")) {
        url.set_ip_host(Ipv4Addr::LOCALHOST.into())
            .map_err(|()| refuse("the server URL must contain a host"))?;
    }
    Ok(url)
}

/// Rejects unencrypted HTTP to other hosts, which would expose tokens and passwords.
pub(crate) fn refuse_in_the_clear(url: &Url) -> Result<(), ClientError> {
    if url.scheme() == "https" || loopback(url).is_some() {
        return Ok(());
    }
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    );
    Err(ClientError::Usage(format!(
        "http would send the token to {host} unencrypted: use https, or a tunnel, for example `ssh -L 8081:127.0.0.1:{port} {host}`"
    )))
}

/// The loopback address of a URL.
fn loopback(url: &Url) -> Option<String> {
    match url.host()? {
        // Only `https` URLs still contain this name.
        Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.to_string()),
        Host::Domain(_) => None,
        Host::Ipv4(address) => address.is_loopback().then(|| address.to_string()),
        Host::Ipv6(address) => address.is_loopback().then(|| address.to_string()),
    }
}

/// The file where a console of this user on this host writes its token, a new one at each start.
fn local_token_file(url: &Url) -> Option<PathBuf> {
    let (address, port) = (loopback(url)?, url.port_or_known_default()?);
    Some(token_directory()?.join(format!("{address}_{port}.token")))
}

/// The directory where consoles of this user write their tokens.
fn token_directory() -> Option<PathBuf> {
    let state = contexts::home("XDG_STATE_HOME", ".local/state").ok()?;
    Some(state.join("skilift/consoles"))
}

pub(crate) fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ClientError::Usage(error.to_string()))
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(ClientError::Usage(format!(
            "{} does not contain a token: a token is one word that starts with ski_token_",
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
