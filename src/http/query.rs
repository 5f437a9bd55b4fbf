//! Queries: the parameters that are asked for, once each, and nothing else.

use std::collections::BTreeSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::json::named_field;
use super::problem::Problem;

/// The request's query as a `T`. Unknown and doubled parameters are refused for every operation by [`check_names`].
///
/// # Errors
/// `invalid-query`, naming the parameter.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(req.query_string()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let why = error.inner().to_string();
        let parameter = named_field(&error.path().to_string(), &why);
        if parameter == "cursor" {
            return super::page::bad_cursor();
        }
        Problem::invalid_query(&parameter, why)
    })
}

/// Refuses a query with a parameter that is not among `known`, or that comes twice.
///
/// # Errors
/// `invalid-query`, naming the parameter.
pub(super) fn check_names(query: &str, known: &BTreeSet<String>) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(name.as_ref()) {
            let why = if known.is_empty() {
                "this address takes no query".to_owned()
            } else {
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                format!("unknown parameter, expected one of {}", known.join(", "))
            };
            return Err(Problem::invalid_query(&name, why));
        }
        if seen.contains(&name) {
            return Err(Problem::invalid_query(&name, "the parameter comes twice"));
        }
        seen.insert(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_doubled_parameters_are_refused() {
        let known = BTreeSet::from(["limit".to_owned(), "cursor".to_owned()]);
        for (query, refused) in [
            ("", false),
            ("limit=5", false),
            ("limit=5&cursor=a", false),
            ("limit=5&limit=5", true),
            ("limt=5", true),
            ("limit", false),
            ("%6cimit=5&limit=6", true),
            ("=5", true),
        ] {
            assert_eq!(check_names(query, &known).is_err(), refused, "{query}");
        }
        assert!(check_names("x=1", &BTreeSet::new()).is_err());
    }
}
