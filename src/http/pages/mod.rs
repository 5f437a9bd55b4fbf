//! Pages for people: where the links of invitations and guests lead, where who is locked out asks, and where one looks after
//! one's account. Everything is inside the binary, and nothing is loaded from elsewhere.

use actix_web::body::MessageBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, web};

use super::Service;

/// Only our own files, and only our own API to talk to.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'; form-action 'none'",
);

/// What there is: the address, its kind, and the text.
const PAGES: [(&str, &str, &str); 18] = [
    ("/invitation", HTML, include_str!("invitation.html")),
    ("/guest", HTML, include_str!("guest.html")),
    ("/lockout", HTML, include_str!("lockout.html")),
    ("/account", HTML, include_str!("account.html")),
    ("/pages/invitation.js", SCRIPT, include_str!("invitation.js")),
    ("/pages/guest.js", SCRIPT, include_str!("guest.js")),
    ("/pages/lockout.js", SCRIPT, include_str!("lockout.js")),
    ("/pages/account.js", SCRIPT, include_str!("account.js")),
    ("/pages/session.js", SCRIPT, include_str!("session.js")),
    ("/pages/parts.js", SCRIPT, include_str!("parts.js")),
    ("/pages/passkeys.js", SCRIPT, include_str!("passkeys.js")),
    ("/pages/factor.js", SCRIPT, include_str!("factor.js")),
    ("/pages/letters.js", SCRIPT, include_str!("letters.js")),
    ("/pages/account.css", STYLE, include_str!("account.css")),
    ("/pages/bound.js", SCRIPT, include_str!("bound.js")),
    ("/pages/times.js", SCRIPT, include_str!("times.js")),
    ("/pages/page.css", STYLE, include_str!("page.css")),
    ("/pages/door.css", STYLE, include_str!("door.css")),
];

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The pages' routes. They are no operations of the API, so the OpenAPI document does not have them.
pub(super) fn routes(to: &mut web::ServiceConfig) {
    for (address, kind, text) in PAGES {
        to.route(address, web::get().to(move || std::future::ready(page(kind, text))));
    }
    to.route("/pages/service.js", web::get().to(whereabouts));
}

/// What a page has to know of this service: the address that proofs name, which may be another than the one it was opened at.
async fn whereabouts(service: Data<Service>) -> HttpResponse {
    let url = serde_json::Value::from(service.app.public_url());
    page(SCRIPT, format!("\"use strict\";\nconst serviceUrl = {url};\n"))
}

fn page(kind: &'static str, text: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::Kind;

    #[test]
    fn every_kind_of_notice_has_its_switch() {
        let letters = include_str!("letters.js");
        for kind in Kind::ALL {
            let word = format!("\"{}\"", kind.as_str());
            assert_eq!(letters.matches(&word).count(), 1, "{word}");
        }
    }

    #[test]
    fn every_file_that_a_page_wants_is_there() {
        let known: Vec<&str> = PAGES.iter().map(|(address, ..)| *address).collect();
        for (page, _, text) in PAGES.iter().filter(|(_, kind, _)| *kind == HTML) {
            let wanted = text.split('"').filter(|part| part.starts_with("/pages/"));
            for file in wanted.filter(|file| *file != "/pages/service.js") {
                assert!(known.contains(&file), "{page} wants {file}");
            }
        }
    }
}
