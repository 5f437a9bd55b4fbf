//! Pages for people: where the link of an invitation leads. Everything is inside the binary, and nothing is loaded from
//! elsewhere.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};

/// Only our own files, and only our own API to talk to.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'; form-action 'none'",
);

const INVITATION: &str = include_str!("invitation.html");
const SCRIPT: &str = include_str!("invitation.js");
const STYLE: &str = include_str!("page.css");

/// The pages' routes. They are no operations of the API, so the OpenAPI document does not have them.
pub(super) fn routes(to: &mut web::ServiceConfig) {
    to.route("/invitation", web::get().to(invitation));
    to.route("/pages/invitation.js", web::get().to(script));
    to.route("/pages/page.css", web::get().to(style));
}

async fn invitation() -> HttpResponse {
    page("text/html; charset=utf-8", INVITATION)
}

async fn script() -> HttpResponse {
    page("text/javascript; charset=utf-8", SCRIPT)
}

async fn style() -> HttpResponse {
    page("text/css; charset=utf-8", STYLE)
}

fn page(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(text)
}
