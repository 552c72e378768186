//! A short page for a person.

use http::StatusCode;

pub(crate) fn page(status: StatusCode, message: &str) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    let message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{code} {title}</title>\
         <body style=\"font-family:system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem\">\
         <h1>{code} {title}</h1><p>{message}</p></body></html>\n",
        code = status.as_u16(),
    )
}
