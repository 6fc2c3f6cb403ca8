//! Which console is asked, and which token it is shown.

use std::os::unix::fs::PermissionsExt;

use crate::console::{Console, problem};
use crate::skictl::Home;

fn token(console: &Console) -> Option<String> {
    console.asked().pop().expect("it was asked").token
}

#[tokio::test]
async fn flags_come_before_environment_before_contexts() {
    let consoles = [
        Console::start().await,
        Console::start().await,
        Console::start().await,
    ];
    let [flag, variable, current] = &consoles;
    let home = Home::new();
    for name in ["flag", "variable", "current"] {
        let file = home.folder.path().join(format!("{name}.token"));
        std::fs::write(file, format!("ski_token_{name}\n")).unwrap();
    }
    let add = [
        "context",
        "add",
        "summit",
        "--server",
        &current.url,
        "--token-file=current.token",
    ];
    assert_eq!(home.run(&add).await.code, Some(0));
    assert_eq!(home.run(&["context", "use", "summit"]).await.code, Some(0));

    assert_eq!(home.run(&["queue"]).await.code, Some(0));
    assert_eq!(token(current).as_deref(), Some("Bearer ski_token_current"));

    // A context's token is shown to nobody else.
    let environment = [("SKI_SERVER", variable.url.as_str())];
    home.run_with(&["queue"], &environment, "").await;
    assert_eq!(token(variable), None);
    let environment = [environment[0], ("SKI_TOKEN_FILE", "variable.token")];
    home.run_with(&["queue"], &environment, "").await;
    assert_eq!(
        token(variable).as_deref(),
        Some("Bearer ski_token_variable")
    );
    home.run_with(&["queue", "--context", "summit"], &environment[..1], "")
        .await;
    assert_eq!(current.asked().len(), 2);

    let arguments = ["--server", &flag.url, "--token-file", "flag.token"];
    // On either side of the subcommand.
    home.run_with(
        &[&["queue"][..], &arguments, &["status"]].concat(),
        &environment,
        "",
    )
    .await;
    assert_eq!(token(flag).as_deref(), Some("Bearer ski_token_flag"));
    let environment = [("SKI_CONTEXT", "summit")];
    home.run_with(&["queue"], &environment, "").await;
    assert_eq!(current.asked().len(), 3);
    // Before the first command, as after it.
    let run = home
        .run(&["--context=summit", "-o", "json", "nodes", "list"])
        .await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with('{'), "{}", run.stdout);
    assert_eq!(current.asked().len(), 4);
    let run = home.run(&["--server", &flag.url, "up", "--help"]).await;
    assert_eq!(run.code, Some(2), "{}", run.stdout);
}

#[tokio::test]
async fn an_up_on_this_machine_is_known_without_saying() {
    let console = Console::start().await;
    let home = Home::new();
    let address = console
        .url
        .strip_prefix("http://")
        .unwrap()
        .replace(':', "_");
    let links = home.folder.path().join(".local/state/skilift/consoles");
    std::fs::create_dir_all(&links).unwrap();
    let file = home.folder.path().join("token");
    std::fs::write(&file, "ski_token_local\n").unwrap();
    std::os::unix::fs::symlink(&file, links.join(format!("{address}.token"))).unwrap();
    home.run(&["queue", "--server", &console.url]).await;
    assert_eq!(token(&console).as_deref(), Some("Bearer ski_token_local"));
    let by_name = console.url.replace("127.0.0.1", "localhost");
    home.run(&["queue", "--server", &by_name]).await;
    assert_eq!(token(&console).as_deref(), Some("Bearer ski_token_local"));
}

#[tokio::test]
async fn a_login_is_kept_and_used() {
    let console = Console::start().await;
    let home = Home::new();
    let login = [
        "login",
        "anna",
        "--password-stdin",
        "--server",
        &console.url,
    ];
    let run = home.run_with(&login, &[], "s3cret\n").await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stdout.contains("ski_token") && run.stdout.contains("anna, admin"));
    let asked = console.asked().pop().unwrap();
    assert_eq!(asked.body["password"], "s3cret");
    assert_eq!(
        (asked.token, asked.body["name"].as_str()),
        (None, Some("anna"))
    );

    home.run(&["nodes"]).await;
    assert_eq!(token(&console).as_deref(), Some("Bearer ski_token_made"));
    let kept = home.folder.path().join(".config/skilift/tokens");
    let kept = std::fs::read_dir(kept).unwrap().next().unwrap().unwrap();
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let name = kept.file_name().into_string().unwrap();
    let run = home.run(&["context", "remove", &name]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!kept.path().exists());
    // The login ends at the console, too.
    let asked = console.asked().pop().unwrap();
    assert_eq!(asked.line, "POST /admin/v1/logout");
    assert_eq!(asked.token.as_deref(), Some("Bearer ski_token_made"));
    assert_eq!(run.stderr, "skictl: no current context\n");
}

#[tokio::test]
async fn a_logout_ends_the_login_and_keeps_the_context() {
    let console = Console::start().await;
    let home = Home::new();
    let login = ["login", "--code-stdin", "--server", &console.url];
    let run = home.run_with(&login, &[], "abc-def\n").await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = home.run(&["logout"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let asked = console.asked().pop().unwrap();
    assert_eq!(asked.line, "POST /admin/v1/logout");
    assert_eq!(asked.token.as_deref(), Some("Bearer ski_token_made"));
    let tokens = home.folder.path().join(".config/skilift/tokens");
    assert_eq!(std::fs::read_dir(tokens).unwrap().count(), 0);

    home.run(&["queue"]).await;
    assert_eq!(token(&console), None);
    let again = home.run(&["logout"]).await;
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("no login to end"), "{}", again.stderr);
}

#[tokio::test]
async fn a_login_that_cannot_be_ended_is_told_and_forgotten() {
    let console = Console::start().await;
    let home = Home::new();
    let login = ["login", "--code-stdin", "--server", &console.url];
    let run = home.run_with(&login, &[], "abc-def\n").await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let contexts = home.folder.path().join(".config/skilift");
    let name = std::fs::read_dir(contexts.join("tokens")).unwrap().next();
    let name = name.unwrap().unwrap().file_name().into_string().unwrap();
    drop(console);
    let run = home.run(&["context", "remove", &name]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("cannot end the session of"),
        "{}",
        run.stderr
    );
    assert!(!contexts.join("tokens").join(&name).exists());
}

#[tokio::test]
async fn a_token_that_no_login_made_is_not_ended() {
    let console = Console::start().await;
    let home = Home::new();
    std::fs::write(home.folder.path().join("t"), "ski_token_script\n").unwrap();
    let add = [
        "context",
        "add",
        "s",
        "--server",
        &console.url,
        "--token-file=t",
    ];
    assert_eq!(home.run(&add).await.code, Some(0));
    assert_eq!(home.run(&["context", "remove", "s"]).await.code, Some(0));
    assert!(console.asked().is_empty());
}

#[tokio::test]
async fn a_code_logs_in_and_a_wrong_one_leaves_no_trace() {
    let console = Console::start().await;
    let home = Home::new();
    let url = ["--server", &console.url];
    let login = [&["login", "--code-stdin", "--output=json"][..], &url].concat();
    let run = home.run_with(&login, &[], "abc-def\n").await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(console.asked().pop().unwrap().body["code"], "abc-def");
    let said: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(said["user"]["role"], "admin");

    let wrong = Console::with(|_| Some(problem(401, "unauthenticated", "wrong code"))).await;
    let home = Home::new();
    let login = ["login", "--code-stdin", "--server", &wrong.url];
    let run = home.run_with(&login, &[], "no\n").await;
    assert_eq!(run.code, Some(5));
    assert_eq!(run.stderr, "skictl: wrong code\n");
    assert!(!home.folder.path().join(".config").exists());
}

#[tokio::test]
async fn contexts() {
    let text = {
        let home = Home::new();
        let mut text = String::new();
        for line in [
            "context",
            "context add summit --server https://console.example.com --token-file /run/summit.token",
            "context add valley --server http://127.0.0.1:8081",
            "context show",
            "context use summit",
            "context",
            "context list --output json",
            "context show valley --output json",
            "context remove summit",
            "context show summit",
        ] {
            let arguments: Vec<&str> = line.split(' ').collect();
            let run = home.run(&arguments).await;
            let code = run.code.unwrap();
            text.push_str(&format!(
                "$ skictl {line}\n{}{}[exit {code}]\n\n",
                run.stdout, run.stderr
            ));
        }
        text
    };
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_one_console_of_the_host_is_found_on_any_port_and_several_are_named() {
    let (first, second) = (Console::start().await, Console::start().await);
    let home = Home::new();
    let tokens = home.folder.path().join(".local/state/skilift/consoles");
    std::fs::create_dir_all(&tokens).unwrap();
    let add = |url: &str| {
        let address = url.strip_prefix("http://").unwrap().replace(':', "_");
        std::fs::write(tokens.join(format!("{address}.token")), "ski_token_local\n").unwrap();
    };
    // One that a crash left behind.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    add(&format!("http://{address}"));
    add(&first.url);
    let run = home.run(&["queue"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let asked = first.asked().pop().unwrap();
    assert_eq!(asked.token.as_deref(), Some("Bearer ski_token_local"));

    add(&second.url);
    let run = home.run(&["queue"]).await;
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    for says in ["2 consoles", &first.url, &second.url, "--server"] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_shell_completes_names_of_the_console_in_use() {
    let console = Console::start().await;
    let home = Home::new();
    let add = ["context", "add", "summit", "--server", &console.url];
    assert_eq!(home.run(&add).await.code, Some(0));
    assert_eq!(home.run(&["context", "use", "summit"]).await.code, Some(0));
    let complete = async |words: &[&str]| {
        let words = [&["--", "skictl"], words].concat();
        let said = home.run_with(&words, &[("SKICTL_COMPLETE", "fish")], "");
        let said = said.await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let lines = said.stdout.lines();
        let names = lines.map(|line| line.split('\t').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let nodes = complete(&["nodes", "show", "worker"]).await;
    assert!(
        !nodes.is_empty() && nodes.iter().all(|name| name.starts_with("worker-")),
        "{nodes:?}"
    );
    let users = complete(&["users", "remove", ""]).await;
    assert!(users.contains(&"anna".to_owned()), "{users:?}");
    assert_eq!(complete(&["context", "use", "s"]).await, ["summit"]);
    assert_eq!(complete(&["queue", "--context", "su"]).await, ["summit"]);
    // Without an answer there is no name, and no error.
    let silent = ["nodes", "--server", "http://127.0.0.1:9", "show", "worker"];
    assert_eq!(complete(&silent).await, Vec::<String>::new());
}
