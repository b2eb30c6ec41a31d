//! InfluxQL for the states of nodes: at most four rows per node, however long the period is.

use jiff::Timestamp;

use super::{QueryError, columns, identifier, series, within};
use crate::{
    model::health::HealthState,
    record::{
        columns::Columns,
        node_point::{FIELDS, NodePoint, TAGS, state_of_code},
        schema::{Field, node as schema},
    },
    report::health::{HealthHistory, Rounds},
};

/// The statements. They return for each node the last point, how often it was up, its worst state, and whether it was
/// ever blocked.
#[must_use]
pub fn query(since: Timestamp, until: Timestamp) -> String {
    let (time, measurement) = (within(since, until), identifier(schema::MEASUREMENT.name));
    let by = [schema::VANTAGE, schema::NODE].map(|tag| identifier(tag.0)).join(", ");
    let (code, up) = (identifier(schema::STATE_CODE.name), identifier(schema::UP.name));
    let (rounds, judged, worst) = (identifier(ROUNDS.name), identifier(JUDGED.name), identifier(WORST.name));
    let fields: Vec<Field> = FIELDS.into_iter().filter(|field| *field != schema::STATE_CODE).collect();
    let others = columns(&fields, &TAGS).collect::<Vec<_>>().join(", ");
    [
        format!("SELECT last({code}) AS {code}, {others} FROM {measurement} WHERE {time} GROUP BY {by}"),
        format!(
            "SELECT count({code}) AS {rounds}, count({up}) AS {judged}, sum({up}) AS {up} \
             FROM {measurement} WHERE {time} GROUP BY {by}"
        ),
        // Codes up to this one are ordered by severity. The other states are compared when the answers are read.
        format!(
            "SELECT max({code}) AS {worst} FROM {measurement} WHERE {time} AND {code} <= {} GROUP BY {by}",
            HealthState::Dead.code(),
        ),
        format!(
            "SELECT max({code}) AS {worst} FROM {measurement} WHERE {time} AND {code} = {} GROUP BY {by}",
            HealthState::Blocked.code(),
        ),
    ]
    .join("; ")
}

/// Reads the answers of the statements into `availability`. Returns how many rows were not understood.
///
/// # Errors
/// When it is not an answer of `/query`, or contains an error from InfluxDB.
pub fn parse(body: &[u8], health: &mut HealthHistory) -> Result<u64, QueryError> {
    let mut damaged = 0;
    for series in series(body)? {
        for row in series.rows() {
            let understood = row.at().and_then(|at| {
                if let Ok(point) = NodePoint::from_columns(at, |name| row.column(name)) {
                    health.add_last(&point);
                    return Some(());
                }
                let columns = Columns(|name| row.column(name));
                let (vantage, node) = (columns.name(schema::VANTAGE).ok()?, columns.name(schema::NODE).ok()?);
                if let Some(code) = columns.amount(WORST).ok()? {
                    return health.add_worst(&vantage, &node, state_of_code(code)?);
                }
                let number = |field| Some(columns.amount(field).ok()?.unwrap_or(0));
                let rounds = Rounds { all: number(ROUNDS)?, judged: number(JUDGED)?, up: number(schema::UP)? };
                health.add_rounds(&vantage, &node, rounds)
            });
            damaged += u64::from(understood.is_none());
        }
    }
    Ok(damaged)
}

// Names of columns in the answers to these statements.
const ROUNDS: Field = Field { name: "rounds", ..schema::STATE_CODE };
const JUDGED: Field = Field { name: "judged", ..schema::STATE_CODE };
const WORST: Field = Field { name: "worst", ..schema::STATE_CODE };
