//! Questions about skiers and resorts, on a data folder without rides: with rides they are asked in the tests of the binary.

use serde_json::json;

use super::harness::TestConsole;

#[tokio::test]
async fn where_nothing_is_known_there_are_no_rows() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let day = "/stats/resorts/7/seasons/2025/days/12";
    let stats = console.get(day, &admin).await;
    assert_eq!(
        (&stats["resort_name"], &stats["rides"]),
        (&json!("Resort 7"), &json!(0))
    );
    assert_eq!(
        console.get(&format!("{day}/top"), &admin).await,
        json!({"skiers": []})
    );
    assert_eq!(
        console.get(&format!("{day}/lifts"), &admin).await,
        json!({"lifts": []})
    );
    assert_eq!(
        console.get(&format!("{day}/hours"), &admin).await["hours"]
            .as_array()
            .unwrap()
            .len(),
        24
    );
    assert_eq!(
        console.get("/stats/skiers/123", &admin).await["days"],
        json!([])
    );
    for bad in [
        "/stats/skiers/0",
        "/stats/skiers/x",
        "/stats/resorts/0/seasons/2025/days/1",
        "/stats/resorts/1/seasons/1/days/1/top",
        "/stats/resorts/1/seasons/2025/days/1/top?limit=101",
    ] {
        let answer = console.ask("GET", bad, Some(&admin), None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "invalid"),
            "{bad}"
        );
    }
}
