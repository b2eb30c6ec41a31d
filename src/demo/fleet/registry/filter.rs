//! The `where` and `orderBy` arguments, with the names that the three dialects share: `{field}_{operation}`, or the
//! name of a field alone for a condition on the object that it refers to. An unknown name is an error, so that no
//! filter lets everything pass by mistake.

use std::cmp::Ordering;

use apollo_compiler::{
    Schema,
    resolvers::FieldError,
    response::{JsonMap, JsonValue},
};

use super::graph::{Field, Graph, Key};

/// The objects that meet a condition.
pub(super) fn matching(
    graph: &Graph,
    schema: &Schema,
    keys: Vec<Key>,
    condition: &JsonMap,
) -> Result<Vec<Key>, FieldError> {
    let mut matching = vec![];
    for key in keys {
        if meets(graph, schema, key, condition)? {
            matching.push(key);
        }
    }
    Ok(matching)
}

/// Sorts by an order such as `createdAt_DESC`.
pub(super) fn sort(graph: &Graph, schema: &Schema, keys: &mut [Key], order: &str) -> Result<(), FieldError> {
    let unknown = || FieldError { message: format!("this registry cannot order by {order}") };
    let (name, direction) = order.rsplit_once('_').ok_or_else(unknown)?;
    if !matches!(direction, "ASC" | "DESC") {
        return Err(unknown());
    }
    keys.sort_by(|&left, &right| {
        let ordering =
            compare(value(graph, left, name), value(graph, right, name), is_number(graph, schema, left, name));
        if direction == "DESC" { ordering.reverse() } else { ordering }
    });
    Ok(())
}

fn meets(graph: &Graph, schema: &Schema, key: Key, condition: &JsonMap) -> Result<bool, FieldError> {
    for (term, wanted) in condition.iter().filter(|(_, wanted)| !wanted.is_null()) {
        if !meets_term(graph, schema, key, term.as_str(), wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn meets_term(graph: &Graph, schema: &Schema, key: Key, term: &str, wanted: &JsonValue) -> Result<bool, FieldError> {
    let unknown = || FieldError { message: format!("this registry cannot filter by {term}") };
    let fields = &graph.record(key).fields;
    if term == "AND" {
        for condition in wanted.as_array().ok_or_else(unknown)? {
            if !meets(graph, schema, key, condition.as_object().ok_or_else(unknown)?)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let Some((name, operation)) = term.rsplit_once('_') else {
        // A condition on the object that the field refers to. A null field refers to no object, so it does not match.
        let condition = wanted.as_object().ok_or_else(unknown)?;
        return match fields.get(term) {
            Some(Field::One(other)) => meets(graph, schema, *other, condition),
            None | Some(Field::Leaf(JsonValue::Null)) => Ok(false),
            Some(_) => Err(unknown()),
        };
    };
    let value = value(graph, key, name);
    let number = is_number(graph, schema, key, name);
    let compared = |wanted| compare(value.clone(), wanted, number);
    match operation {
        "isNull" => {
            let is_null = !matches!(fields.get(name), Some(Field::One(_))) && value.is_null();
            wanted.as_bool().map(|wanted| wanted == is_null).ok_or_else(unknown)
        }
        "some" => {
            let condition = wanted.as_object().ok_or_else(unknown)?;
            let Some(Field::Many(others)) = fields.get(name) else { return Ok(false) };
            Ok(!matching(graph, schema, others.clone(), condition)?.is_empty())
        }
        "eq" => Ok(compared(wanted.clone()) == Ordering::Equal),
        "in" => {
            let wanted = wanted.as_array().ok_or_else(unknown)?;
            Ok(wanted.iter().any(|wanted| compared(wanted.clone()) == Ordering::Equal))
        }
        // As in SQL, null is neither greater nor less.
        "gte" => Ok(!value.is_null() && compared(wanted.clone()).is_ge()),
        "lte" => Ok(!value.is_null() && compared(wanted.clone()).is_le()),
        "startsWith" => {
            let wanted = wanted.as_str().ok_or_else(unknown)?;
            Ok(value.as_str().is_some_and(|value| value.starts_with(wanted)))
        }
        _ => Err(unknown()),
    }
}

/// The scalar value of a field, or null. `isTypeOf` is the type of the object.
fn value(graph: &Graph, key: Key, name: &str) -> JsonValue {
    let record = graph.record(key);
    match record.fields.get(name) {
        Some(Field::Leaf(value)) => value.clone(),
        None if name == "isTypeOf" => record.kind.into(),
        _ => JsonValue::Null,
    }
}

/// Whether a field is compared as a number, even though it may be sent as a string.
fn is_number(graph: &Graph, schema: &Schema, key: Key, name: &str) -> bool {
    let field = schema.type_field(graph.record(key).kind, name);
    field.is_ok_and(|field| matches!(field.ty.inner_named_type().as_str(), "BigInt" | "Int" | "Float"))
}

fn compare(left: JsonValue, right: JsonValue, is_number: bool) -> Ordering {
    let text = |value: &JsonValue| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let (left, right) = (text(&left), text(&right));
    match (left.parse::<i128>(), right.parse::<i128>()) {
        (Ok(left), Ok(right)) if is_number => left.cmp(&right),
        _ => left.cmp(&right),
    }
}
