//! What proves entries of the access log: checkpoints, proofs, and the lines of exports that can be checked without this
//! program.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Entry, view_of};
use crate::app::evidence::{EntryProof, Evident, InTree, SignedCheckpoint};
use crate::crypto::digest::hexadecimal;
use crate::crypto::merkle::Hash;
use crate::domain::access_log::EntryNumber;
use crate::domain::access_log::visibility::Sight;
use crate::domain::ids::OrganizationId;
use crate::domain::time::Timestamp;
use crate::http::auth::Anyone;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{Service, schema};

/// The signed state of a log: whoever keeps it can later prove that nothing of it was changed.
#[derive(Serialize, ToSchema)]
struct LogCheckpoint {
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    /// How many entries it speaks of: all with numbers from 1 to this.
    size: u64,
    /// The signed note (<https://c2sp.org/tlog-checkpoint>).
    checkpoint: String,
    /// The key that signed it (<https://c2sp.org/signed-note>). It never changes: keep it, and believe no other.
    key: String,
    /// When the last of these entries was written down; `null` of an empty log.
    #[schema(value_type = Option<schema::Time>, required = true)]
    as_of: Option<Timestamp>,
}

impl From<SignedCheckpoint> for LogCheckpoint {
    fn from(signed: SignedCheckpoint) -> Self {
        Self {
            organization_id: signed.organization,
            size: signed.size,
            checkpoint: signed.note,
            key: signed.key,
            as_of: signed.as_of,
        }
    }
}

/// What proves an entry (`docs/EVIDENCE.md`).
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Proof {
    /// The entry's leaf, as hexadecimal; `null` where the entry was taken out of the database.
    #[schema(required = true)]
    leaf: Option<String>,
    /// How much of the entry staff see, which stands in the tree with the leaf: `all`, `what` happened and not by whom, or
    /// `nothing`; `null` where the entry was taken out of the database.
    #[schema(value_type = Option<String>, required = true)]
    staff_sees: Option<&'static str>,
    /// The salt under which the leaf is that of the entry, as hexadecimal; `null` where not all of the entry is shown, and
    /// where it was forgotten.
    #[schema(required = true)]
    salt: Option<String>,
    /// In an export of a whole log: the hash that stands in the tree for the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// Else: the hashes from there to the root (RFC 6962, section 2.1.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<String>>,
}

impl From<EntryProof> for Proof {
    fn from(proof: EntryProof) -> Self {
        let (node, path) = match proof.tree {
            InTree::Node(node) => (Some(STANDARD.encode(node)), None),
            InTree::Path(path) => (None, Some(written(&path))),
        };
        Self {
            leaf: proof.leaf.as_ref().map(hexadecimal),
            staff_sees: proof.staff_sees.map(Sight::as_str),
            salt: proof.salt.map(|salt| format!("{salt:032x}")),
            node,
            proof: path,
        }
    }
}

fn written(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash)).collect()
}

/// An entry with what proves it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ProvenEntry {
    #[serde(flatten)]
    entry: Entry,
    #[serde(flatten)]
    proof: Proof,
}

/// A line of an export: `what` says what it is.
#[derive(Serialize)]
#[serde(tag = "what")]
pub(in crate::http) enum Line {
    /// To which state of which log the lines after it belong.
    #[serde(rename = "log-checkpoint")]
    Checkpoint {
        #[serde(flatten)]
        checkpoint: Box<LogCheckpointLine>,
    },
    #[serde(rename = "log-entry")]
    Entry(Box<ProvenEntry>),
    /// An entry that is not for the reader.
    #[serde(rename = "log-leaf")]
    Leaf {
        seq: i64,
        #[serde(flatten)]
        proof: Proof,
    },
}

/// A checkpoint, and whether every entry of its log follows.
#[derive(Serialize)]
pub(in crate::http) struct LogCheckpointLine {
    #[serde(flatten)]
    checkpoint: LogCheckpoint,
    is_whole: bool,
}

impl Line {
    /// The line above those of a log.
    pub(in crate::http) fn head(checkpoint: SignedCheckpoint, is_whole: bool) -> Self {
        let checkpoint = Box::new(LogCheckpointLine {
            checkpoint: checkpoint.into(),
            is_whole,
        });
        Self::Checkpoint { checkpoint }
    }
}

impl From<Evident> for Line {
    fn from(Evident { seq, shown, proof }: Evident) -> Self {
        let proof = proof.into();
        match shown {
            Some(shown) => Self::Entry(Box::new(ProvenEntry {
                entry: shown.into(),
                proof,
            })),
            None => Self::Leaf { seq, proof },
        }
    }
}

/// An entry, its proof, and the checkpoint that it belongs to.
#[derive(Serialize, ToSchema)]
struct ProvenAt {
    checkpoint: LogCheckpoint,
    entry: ProvenEntry,
}

/// What shows that a log has only grown.
#[derive(Serialize, ToSchema)]
struct Consistency {
    from: u64,
    to: u64,
    /// RFC 6962, section 2.1.2.
    proof: Vec<String>,
}

/// Whose log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct WhoseLog {
    /// Whose log; who belongs to one organization need not say.
    #[param(value_type = schema::OrganizationId, required = false)]
    organization_id: Option<OrganizationId>,
}

/// Between which states.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Growth {
    /// The size of the earlier checkpoint, at least 1.
    from: u64,
    /// The size of the later one.
    to: u64,
}

/// The signed state of the log: all of it for whoever views it, for others up to the last entry that is for them
#[utoipa::path(
    tag = "access log",
    params(WhoseLog),
    responses((status = 200, description = "The checkpoint", body = LogCheckpoint), (status = 404))
)]
#[get("/v1/access-log/checkpoint")]
pub(in crate::http) async fn show_checkpoint(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(whose): Query<WhoseLog>,
) -> Result<HttpResponse, Problem> {
    let view = view_of(&service, &who, whose.organization_id).await?;
    let checkpoint = service.app.checkpoint(&view).await?;
    Ok(HttpResponse::Ok().json(LogCheckpoint::from(checkpoint)))
}

/// An entry that one may see, with the proof that it stands in the log
#[utoipa::path(
    tag = "access log",
    params(("seq" = schema::EntryNumber, Path), WhoseLog),
    responses((status = 200, description = "The entry and its proof", body = ProvenAt), (status = 404))
)]
#[get("/v1/access-log/{seq}/proof")]
pub(in crate::http) async fn prove_entry(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(EntryNumber(seq)): Id<EntryNumber>,
    Query(whose): Query<WhoseLog>,
) -> Result<HttpResponse, Problem> {
    let view = view_of(&service, &who, whose.organization_id).await?;
    let checkpoint = service.app.checkpoint(&view).await?;
    let (shown, proof) = service.app.prove_entry(view, seq, &checkpoint).await?;
    Ok(HttpResponse::Ok().json(ProvenAt {
        checkpoint: checkpoint.into(),
        entry: ProvenEntry {
            entry: shown.into(),
            proof: proof.into(),
        },
    }))
}

/// The proof that one state of the log is the beginning of another
#[utoipa::path(
    tag = "access log",
    params(Growth, WhoseLog),
    responses((status = 200, description = "The proof", body = Consistency), (status = 404))
)]
#[get("/v1/access-log/consistency")]
pub(in crate::http) async fn prove_growth(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(growth): Query<Growth>,
    Query(whose): Query<WhoseLog>,
) -> Result<HttpResponse, Problem> {
    let view = view_of(&service, &who, whose.organization_id).await?;
    let Growth { from, to } = growth;
    let proof = service.app.prove_growth(view, from, to).await;
    let proof = proof.map_err(Problem::of_query)?;
    Ok(HttpResponse::Ok().json(Consistency {
        from,
        to,
        proof: written(&proof),
    }))
}
