//! Objects and lists in the form in which the GraphQL engine reads them.

use apollo_compiler::{
    Schema,
    resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue},
    response::{JsonMap, JsonValue},
};

use super::{
    filter,
    graph::{Field, Graph, Key},
};

/// The root of queries. A list field returns all objects of its type, any other field the only object of its type.
pub(super) struct Root<'g> {
    pub(super) graph: &'g Graph,
}

/// One object.
struct Row<'g> {
    graph: &'g Graph,
    key: Key,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let kind = &info.field_definition().ty;
        let mut keys = self.graph.of_kind(kind.inner_named_type());
        if kind.is_list() {
            return list(self.graph, keys, info);
        }
        if let Some(id) = info.arguments().get("id") {
            let condition = JsonMap::from_iter([("id_eq".into(), id.clone())]);
            keys = filter::matching(self.graph, info.schema(), keys, &condition)?;
        }
        let graph = self.graph;
        Ok(ResolvedValue::nullable_object(keys.first().map(|&key| Row { graph, key })))
    }
}

impl ObjectValue for Row<'_> {
    fn type_name(&self) -> &str {
        self.graph.record(self.key).kind
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        match self.graph.record(self.key).fields.get(info.field_name()) {
            // A required list that nothing was added to is empty.
            None if info.field_definition().ty.is_list() && info.field_definition().ty.is_non_null() => {
                Ok(ResolvedValue::list([]))
            }
            None => Ok(ResolvedValue::null()),
            Some(Field::Leaf(value)) => Ok(ResolvedValue::Leaf(value.clone())),
            Some(Field::One(key)) => Ok(ResolvedValue::object(Row { graph: self.graph, key: *key })),
            Some(Field::Many(keys)) => list(self.graph, keys.clone(), info),
        }
    }
}

/// The rows that the arguments select: filtered, ordered, and limited.
fn list<'a>(graph: &'a Graph, mut keys: Vec<Key>, info: &ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
    let (arguments, schema): (_, &Schema) = (info.arguments(), info.schema());
    if let Some(condition) = arguments.get("where").and_then(JsonValue::as_object) {
        keys = filter::matching(graph, schema, keys, condition)?;
    }
    let orders = arguments.get("orderBy").and_then(JsonValue::as_array).map_or(&[][..], Vec::as_slice);
    // The first order has priority, so it is applied last: sorting is stable.
    for order in orders.iter().rev().filter_map(JsonValue::as_str) {
        filter::sort(graph, schema, &mut keys, order)?;
    }
    let rows = cut(keys, number(arguments, "offset")?, number(arguments, "limit")?);
    Ok(ResolvedValue::list(rows.map(move |key| ResolvedValue::object(Row { graph, key }))))
}

fn cut(keys: Vec<Key>, offset: Option<usize>, limit: Option<usize>) -> impl Iterator<Item = Key> {
    keys.into_iter().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX))
}

fn number(arguments: &JsonMap, name: &str) -> Result<Option<usize>, FieldError> {
    let Some(number) = arguments.get(name).and_then(JsonValue::as_i64) else { return Ok(None) };
    let refused = |_| FieldError { message: format!("{} must not be negative", name.to_uppercase()) };
    usize::try_from(number).map(Some).map_err(refused)
}
