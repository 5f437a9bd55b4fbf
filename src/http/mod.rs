//! The REST surface (`docs/API.md`): every route in one function, from which both the router and the OpenAPI document
//! come.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use utoipa_actix_web::service_config::ServiceConfig;

use self::problem::Problem;
use crate::app::App;

mod access_log;
mod auth;
mod belongings;
mod books;
mod edge;
mod enrolments;
mod export;
mod grants;
mod guests;
mod idempotency;
mod imports;
mod invitations;
mod json;
mod ledger;
pub mod limits;
mod live;
mod lockdowns;
mod lockouts;
mod locks;
mod looks;
mod me;
mod members;
mod notices;
mod openapi;
mod own_sessions;
mod page;
mod pages;
mod passes;
mod passkeys;
mod path;
mod peer;
mod phones;
mod pins;
mod places;
mod privacy;
mod problem;
mod proofs;
mod proposals;
mod query;
mod rules;
mod schema;
mod scopes;
mod second_factors;
mod service;
mod service_accounts;
mod sessions;
mod tenancies;
mod unlock;
mod visits;
mod webhooks;

pub use limits::LimitSettings;
pub use service::metrics;
pub use webhooks::event;

/// What the REST surface needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often one may ask.
    pub limits: LimitSettings,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// The REST surface over the use cases. One for all workers of a node: the budgets are the node's.
pub struct Service {
    app: Arc<App>,
    settings: Settings,
    limits: limits::Limits,
    proofs: proofs::TakenProofs,
    operations: openapi::Operations,
    document: String,
    requests: edge::RequestIds,
}

impl Service {
    /// The service behind a request, for what runs before its handler.
    fn behind(req: &HttpRequest) -> Result<&Data<Self>, Problem> {
        req.app_data::<Data<Self>>().ok_or_else(Problem::internal)
    }

    /// The surface over `app`.
    ///
    /// # Errors
    /// Only where the OpenAPI document cannot be written as JSON, which a test rules out.
    pub fn new(app: Arc<App>, settings: Settings) -> Result<Arc<Self>, serde_json::Error> {
        let document = openapi::document();
        Ok(Arc::new(Self {
            limits: limits::Limits::new(&settings.limits),
            proofs: proofs::TakenProofs::default(),
            operations: openapi::Operations::of(&document),
            document: document.to_json()?,
            requests: edge::RequestIds::since(app.now()),
            settings,
            app,
        }))
    }

    /// Everything of it, for an `actix_web::App` of `server` or of a test: `App::new().configure(|to| service.configure(to))`.
    pub fn configure(self: &Arc<Self>, to: &mut web::ServiceConfig) {
        to.app_data(Data::from(Arc::clone(self)));
        let scope = utoipa_actix_web::scope::scope("").configure(routes);
        to.service(scope.map(|scope| {
            let scope = scope.configure(pages::routes).configure(service::docs);
            scope.default_service(web::to(edge::no_route)).wrap(from_fn(edge::pass))
        }));
    }
}

/// Every route.
fn routes(to: &mut ServiceConfig) {
    to.service(sessions::sign_in)
        .service(sessions::refresh)
        .service(sessions::sign_out)
        .service(sessions::change_password)
        .service(own_sessions::prove)
        .service(second_factors::show_second_factor)
        .service(second_factors::begin_second_factor)
        .service(second_factors::confirm_second_factor)
        .service(second_factors::renew_recovery_codes)
        .service(second_factors::end_second_factor)
        .service(second_factors::take_second_factor)
        .service(passkeys::signing::ask_for_passkey)
        .service(passkeys::signing::sign_in_by_passkey)
        .service(passkeys::signing::ask_for_proof)
        .service(passkeys::signing::prove_by_passkey)
        .service(passkeys::list_passkeys)
        .service(passkeys::begin_passkey)
        .service(passkeys::register_passkey)
        .service(passkeys::rename_passkey)
        .service(passkeys::remove_passkey)
        .service(own_sessions::list_sessions)
        .service(own_sessions::end_session)
        .service(own_sessions::end_other_sessions)
        .service(me::show_me)
        .service(me::list_openable)
        .service(notices::list_notices)
        .service(notices::read_notice)
        .service(notices::show_notice_settings)
        .service(notices::set_notice_settings)
        .service(phones::list_phones)
        .service(phones::register_phone)
        .service(phones::remove_phone)
        .service(passes::issue_passes)
        .service(passes::carry)
        .service(invitations::invite)
        .service(invitations::list_invitations)
        .service(invitations::accept_invitation)
        .service(invitations::withdraw_invitation)
        .service(members::list_members)
        .service(members::remove_member)
        .service(members::change_role)
        .service(rules::show_rules)
        .service(rules::set_rules)
        .service(proposals::list_proposals)
        .service(proposals::confirm_proposal)
        .service(proposals::refuse_proposal)
        .service(service_accounts::list_service_accounts)
        .service(service_accounts::open_service_account)
        .service(service_accounts::list_keys)
        .service(service_accounts::make_key)
        .service(service_accounts::revoke_key)
        .service(places::list_properties)
        .service(places::add_property)
        .service(places::show_property)
        .service(places::change_property)
        .service(places::delete_property)
        .service(places::list_units)
        .service(places::add_unit)
        .service(imports::import_tables)
        .service(books::export_books)
        .service(lockdowns::begin_lockdown)
        .service(lockdowns::show_lockdowns)
        .service(lockdowns::end_lockdowns)
        .service(lockdowns::change_lockdown)
        .service(lockdowns::end_lockdown)
        .service(lockdowns::show_lists)
        .service(lockdowns::put_list)
        .service(locks::list_locks)
        .service(locks::add_lock)
        .service(locks::show_lock)
        .service(locks::change_lock)
        .service(locks::claims::renew_claim)
        .service(locks::claims::replace_lock)
        .service(locks::life::release_lock)
        .service(locks::life::retire_lock)
        .service(locks::life::transfer_lock)
        .service(enrolments::enrol)
        .service(unlock::unlock_door)
        .service(unlock::lock_door)
        .service(unlock::show_attempt)
        .service(tenancies::list_tenancies)
        .service(tenancies::give_tenancy)
        .service(tenancies::show_tenancy)
        .service(tenancies::change_tenancy)
        .service(tenancies::end_tenancy)
        .service(tenancies::list_own_tenancies)
        .service(grants::list_grants)
        .service(grants::give)
        .service(grants::show_grant)
        .service(grants::change_grant)
        .service(grants::revoke)
        .service(grants::spare::ask_for_spare)
        .service(grants::spare::release_spare)
        .service(grants::spare::refuse_spare)
        .service(guests::make_link)
        .service(guests::take_link_back)
        .service(guests::redeem)
        .service(pins::give_pin)
        .service(pins::take_pin_back)
        .service(pins::show_pins)
        .service(pins::limit_pins)
        .service(pins::rotate_codes)
        .service(lockouts::policy::show_policy)
        .service(lockouts::policy::set_policy)
        .service(lockouts::list_lockouts)
        .service(lockouts::ask_for_lockout)
        .service(lockouts::outsiders::ask_as_outsider)
        .service(lockouts::outsiders::identify_outsider)
        .service(lockouts::outsiders::call_outsider)
        .service(lockouts::show_lockout)
        .service(lockouts::approve_lockout)
        .service(lockouts::deny_lockout)
        .service(lockouts::make_way_in)
        .service(lockouts::cancel_lockout)
        .service(ledger::list_lines)
        .service(ledger::export_ledger)
        .service(ledger::waive)
        .service(visits::list_visits)
        .service(visits::list_my_visits)
        .service(visits::order_visit)
        .service(visits::show_visit)
        .service(visits::consent_to_visit)
        .service(visits::decline_visit)
        .service(visits::declare_emergency)
        .service(visits::cancel_visit)
        .service(visits::call_vendor)
        .service(visits::verify_vendor)
        .service(visits::change_locks)
        .service(access_log::list_entries)
        .service(live::follow)
        .service(access_log::export::export)
        .service(access_log::evidence::show_checkpoint)
        .service(access_log::evidence::prove_growth)
        .service(access_log::evidence::prove_entry)
        .service(webhooks::list_webhooks)
        .service(webhooks::make_webhook)
        .service(webhooks::show_webhook)
        .service(webhooks::change_webhook)
        .service(webhooks::remove_webhook)
        .service(webhooks::renew_webhook_secret)
        .service(webhooks::replay_webhook)
        .service(webhooks::list_deliveries)
        .service(privacy::show_privacy)
        .service(privacy::change_privacy)
        .service(belongings::take_along)
        .service(belongings::erase)
        .service(looks::open_look)
        .service(looks::list_looks)
        .service(looks::list_looks_at_me)
        .service(service::health)
        .service(service::readiness)
        .service(service::jwks)
        .service(service::openapi);
}
