//! Style sheet, script and icon, in the binary. Their URL contains their hash, so that browsers may keep them permanently.

use axum::extract::RawPathParams;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

use super::visitor::path;

#[derive(Embed)]
#[folder = "assets/"]
struct Assets;

/// The URL of an asset.
pub(super) fn url(name: &str) -> String {
    let hash = Assets::get(name).map_or(0, |file| hash(&file.data));
    format!("/static/{hash:016x}/{name}")
}

/// The style sheet, for a file that contains it.
pub(super) fn style_sheet() -> String {
    let found = Assets::get("console.css");
    found.map_or_else(String::new, |file| {
        String::from_utf8_lossy(&file.data).into_owned()
    })
}

fn hash(data: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(data)
}

/// An asset.
pub(super) async fn get(parts: RawPathParams) -> Response {
    let (of, name) = (path(&parts, "hash"), path(&parts, "name"));
    let found = Assets::get(name).filter(|file| of == format!("{:016x}", hash(&file.data)));
    let Some(file) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, file.data.into_owned()).into_response()
}
