//! The OpenAPI document: what the handlers say of themselves, completed with what is true of every operation, and the
//! table of operations that the edge works by. Router, table and document come from one list of routes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix_web::http::Method;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation as Described, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Ref, RefOr, Required};
use utoipa::{OpenApi, ToSchema};
use utoipa_actix_web::OpenApiFactory as _;

use super::{problem, scopes};
use crate::app::idempotency::RequestKey;

/// What went wrong (RFC 9457). Some types have more members, which their descriptions name.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it only describes; `problem::Problem` is what is answered")]
struct Problem {
    /// `urn:doorward:problem:` and a stable word.
    #[schema(format = "uri", examples("urn:doorward:problem:invalid-field"))]
    r#type: String,
    /// The kind in words.
    title: String,
    /// The answer's status once more.
    status: u16,
    /// What is wrong this time, for people.
    detail: String,
    /// `invalid-field`: the path of the field.
    field: Option<String>,
    /// `invalid-query`: the name of the parameter.
    parameter: Option<String>,
    /// `scope-missing`: what the API key would have to be good for.
    scope: Option<String>,
    /// `not-found`: the kind of thing.
    what: Option<String>,
    /// `access-refused`, `pass-refused`: why, as far as you may know.
    reason: Option<String>,
    /// `access-refused`, `pass-refused`: when it opens by itself.
    opens_at: Option<String>,
    /// `access-refused`, `lock-offline`: the attempt that stands in the log.
    attempt_id: Option<String>,
    /// `lock-offline`: the ways in that still work.
    ways_in: Option<Vec<String>>,
    /// `malformed-body`: where reading stopped.
    line: Option<u64>,
    /// `malformed-body`: where reading stopped.
    column: Option<u64>,
    /// `import-refused`: what stands against it, the first 500.
    faults: Option<Vec<super::imports::ImportFault>>,
    /// `import-refused`: how many there are in all.
    fault_count: Option<u64>,
    /// `internal`: under what to look in the log.
    request_id: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Doorward",
        description = "Who may open which door, and when. Errors are RFC 9457 problems; times are RFC 3339 with an \
                       offset; lists come in pages.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    security(("bearer" = [])),
    tags(
        (name = "sign-in", description = "Sessions"),
        (name = "invitations", description = "Bringing people in"),
        (name = "members", description = "Who belongs to an organization"),
        (name = "service accounts", description = "Accounts of programs, and their API keys"),
        (name = "rules", description = "What an organization decides for itself, and what needs two persons"),
        (name = "places", description = "Properties and units"),
        (name = "locks", description = "Doors and their locks"),
        (name = "unlock", description = "Asking for a door"),
        (name = "offline", description = "Phones and the passes by which they open doors without the backend"),
        (name = "tenancies", description = "Who lives where, from when to when"),
        (name = "grants", description = "Giving access and taking it back"),
        (name = "guests", description = "Links by which guests come in without an account"),
        (name = "PINs", description = "Codes at the keypad"),
        (name = "lock-outs", description = "Standing before one's own door, and what that costs"),
        (name = "access log", description = "What happened, and who did it"),
        (name = "webhooks", description = "Programs of one's own that are told what the access log says"),
        (name = "service", description = "The service itself"),
    )
)]
struct Introduction;

/// The document of every route.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    let scope = utoipa_actix_web::scope::scope("").configure(super::routes);
    let mut document = Introduction::openapi();
    let components = document.components.get_or_insert_default();
    let mut schemas = Vec::new();
    scope.schemas(&mut schemas);
    components.schemas.extend(schemas);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document.paths.merge(scope.paths());
    for (route, item) in &mut document.paths.paths {
        for (method, operation) in described_mut(item) {
            if method == Method::POST && is_protected(operation) && !route.starts_with("/v1/auth/") {
                operation
                    .parameters
                    .get_or_insert_default()
                    .push(idempotency_key().into());
            }
            if let Some(scope) = scopes::needed(&format!("{method} {route}")) {
                let scope = format!("An API key reaches it with the scope `{}`.", scope.as_str());
                let description = operation.description.take();
                operation.description = Some(description.map_or(scope.clone(), |said| format!("{said}\n\n{scope}")));
            }
            complete(operation);
        }
    }
    document
}

fn described_mut(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Described)> {
    [
        (Method::GET, item.get.as_mut()),
        (Method::POST, item.post.as_mut()),
        (Method::PUT, item.put.as_mut()),
        (Method::PATCH, item.patch.as_mut()),
        (Method::DELETE, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.map(|operation| (method, operation)))
}

/// Adds what is true of every operation, and gives every answer that is not a success its problem.
fn complete(operation: &mut Described) {
    let mut statuses = vec![400, 408, 413, 500, 503];
    if is_protected(operation) {
        statuses.extend([401, 429]);
    }
    if operation.request_body.is_some() {
        statuses.extend([415, 422]);
    }
    if is_once(operation) {
        statuses.extend([409, 422]);
    }
    if parameters(operation).any(|(place, _)| place == ParameterIn::Path) {
        statuses.push(404);
    }
    let responses = &mut operation.responses.responses;
    for status in statuses {
        responses
            .entry(status.to_string())
            .or_insert_with(|| Response::new("").into());
    }
    for (status, response) in responses.iter_mut() {
        if !status.starts_with('2')
            && let RefOr::T(said) = response
            && said.content.is_empty()
        {
            *said = refusal(status, &said.description);
        }
    }
}

fn idempotency_key() -> Parameter {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(RequestKey::LONGEST))
        .pattern(Some("^[ -~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same request under the same key is carried out once and answered the same for 24 hours",
        ))
        .schema(Some(key))
        .build()
}

/// The problem that stands behind a status, described by `said` where the handler says something.
fn refusal(status: &str, said: &str) -> Response {
    let usual = match status {
        "400" => "`malformed-body`, `invalid-query`, `invalid-cursor`, `invalid-idempotency-key`",
        "401" => "`unauthenticated`, `wrong-credentials`",
        "403" => "`forbidden`, `scope-missing`",
        "404" => "`not-found`: no such thing, or none that you may know of",
        "408" => "`slow-body`",
        "409" => "The present state does not allow it, or the Idempotency-Key is in use; the `type` says why",
        "413" => "`body-too-large`",
        "415" => "`unsupported-media-type`",
        "422" => "`invalid-field`, with the field's path; `idempotency-key-reused`",
        "429" => "`throttled`",
        "503" => "`busy`, `store-unavailable`, `relay-away`, `clock-behind`",
        _ => "`internal`, with the id under which the log knows more",
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let mut response = ResponseBuilder::new()
        .description(if said.is_empty() { usual } else { said })
        .content(problem::MEDIA_TYPE, content);
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
        response = response.header(
            "Retry-After",
            HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("How long to wait, in seconds"))
                .build(),
        );
    }
    response.build()
}

/// Whether the operation asks who calls: all do that do not say `security(())`.
fn is_protected(operation: &Described) -> bool {
    operation.security.is_none()
}

/// Whether the operation takes an `Idempotency-Key`.
fn is_once(operation: &Described) -> bool {
    parameters(operation).any(|(place, _)| place == ParameterIn::Header)
}

fn parameters(operation: &Described) -> impl Iterator<Item = (ParameterIn, &str)> {
    operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some((parameter.parameter_in.clone(), parameter.name.as_str())),
            RefOr::Ref(_) => None,
        })
}

/// What the edge knows of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// Whether somebody must be signed in.
    pub protected: bool,
    /// Whether it takes an `Idempotency-Key`.
    pub once: bool,
    /// The names of its query's parameters.
    pub query: BTreeSet<String>,
}

/// Every operation, by route and method.
#[derive(Debug)]
pub(super) struct Operations(HashMap<String, BTreeMap<String, Operation>>);

impl Operations {
    /// Those of the document.
    pub(super) fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(route, item)| {
            let mut item = item.clone();
            let operations = described_mut(&mut item).map(|(method, operation)| {
                let query = parameters(operation)
                    .filter(|(place, _)| *place == ParameterIn::Query)
                    .map(|(_, name)| name.to_owned())
                    .collect();
                let operation = Operation {
                    protected: is_protected(operation),
                    once: is_once(operation),
                    query,
                };
                (method.as_str().to_owned(), operation)
            });
            (route.clone(), operations.collect())
        });
        Self(routes.collect())
    }

    /// The operations of the route, by method.
    pub(super) fn at(&self, route: &str) -> Option<&BTreeMap<String, Operation>> {
        self.0.get(route)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use actix_web::dev::{AppService, HttpServiceFactory};
    use utoipa::openapi::path::Paths;
    use utoipa::openapi::schema::Schema;
    use utoipa_actix_web::OpenApiFactory;

    use super::*;

    /// Every schema that a route brings, before those of one name become one.
    type Schemas = Vec<(String, RefOr<Schema>)>;

    /// Comes after all routes, and is shown what they brought.
    struct Last(Rc<RefCell<Schemas>>);

    impl HttpServiceFactory for Last {
        fn register(self, _: &mut AppService) {}
    }

    impl OpenApiFactory for Last {
        fn paths(&self) -> Paths {
            Paths::new()
        }

        fn schemas(&self, schemas: &mut Schemas) {
            self.0.borrow_mut().clone_from(schemas);
        }
    }

    /// The names that stand for more than one of the schemas.
    fn ambiguous(schemas: Schemas) -> BTreeSet<String> {
        let mut known: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
        let mut ambiguous = BTreeSet::new();
        for (name, schema) in schemas {
            if *known.entry(name.clone()).or_insert_with(|| schema.clone()) != schema {
                ambiguous.insert(name);
            }
        }
        ambiguous
    }

    #[test]
    fn schemas_of_one_name_are_one_schema() {
        let brought = Rc::new(RefCell::new(Schemas::new()));
        let last = Last(Rc::clone(&brought));
        let _ = utoipa_actix_web::scope::scope("").configure(|to| {
            crate::http::routes(to);
            to.service(last);
        });
        let brought = brought.take();
        assert!(brought.len() > 100, "{}", brought.len());
        let ambiguous = ambiguous(brought);
        assert!(ambiguous.is_empty(), "one name for different things: {ambiguous:?}");
    }

    #[test]
    fn a_name_for_two_schemas_is_noticed() {
        let of = |kind: Type| RefOr::from(Schema::from(ObjectBuilder::new().schema_type(kind).build()));
        let once = vec![
            ("Code".to_owned(), of(Type::String)),
            ("Code".to_owned(), of(Type::String)),
        ];
        assert_eq!(ambiguous(once.clone()), BTreeSet::new());
        let twice = [once, vec![("Code".to_owned(), of(Type::Integer))]].concat();
        assert_eq!(ambiguous(twice), BTreeSet::from(["Code".to_owned()]));
    }

    #[test]
    fn the_document_is_the_one_on_record() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let now = document().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let recorded = std::fs::read_to_string(path).unwrap();
        assert!(
            recorded == now,
            "the surface has changed: look at it with UPDATE_SNAPSHOT=1 and `git diff docs/openapi.json`"
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_how_it_fails() {
        let mut document = document();
        let mut names = BTreeSet::new();
        for (route, item) in &mut document.paths.paths {
            for (method, operation) in described_mut(item) {
                let name = operation.operation_id.clone().unwrap_or_default();
                assert!(names.insert(name.clone()), "{name} is there twice");
                for (status, response) in &operation.responses.responses {
                    let RefOr::T(response) = response else { continue };
                    assert!(!response.description.is_empty(), "{method} {route} {status}");
                    assert_eq!(
                        response.content.contains_key(problem::MEDIA_TYPE),
                        !status.starts_with('2'),
                        "{method} {route} {status}"
                    );
                }
                for status in ["400", "413", "500"] {
                    assert!(operation.responses.responses.contains_key(status), "{method} {route}");
                }
                assert!(
                    operation.tags.as_ref().is_some_and(|tags| tags.len() == 1),
                    "{method} {route}"
                );
            }
        }
    }
}
