//! Loads the dashboard file, and expands its queries as Grafana does.

use std::{fs, path::Path};

use serde_json::Value;

/// One query of the dashboard, wherever in the file it is.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// `Title of the panel/refId`, or `$variable`.
    pub(super) of: String,
    pub(super) text: String,
}

/// What a person has chosen: `None` is All.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) vantage: Option<Vec<String>>,
    pub(super) node: Option<Vec<String>>,
    pub(super) probe: Option<Vec<String>>,
    /// As Grafana computes it from the time range, the panel's width and its smallest interval.
    pub(super) interval: &'static str,
    /// Of the time chosen, in ms, both ends included.
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The dashboard as it is shipped.
pub(super) fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/dashboards/overview.json")).unwrap()
}

/// A file of this repository.
pub(super) fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// All panels but the headings, those inside folded rows included.
pub(super) fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap();
    let inside = top.iter().filter_map(|panel| panel["panels"].as_array()).flatten();
    top.iter().chain(inside).filter(|panel| panel["type"] != "row").collect()
}

/// Every query, found by walking the whole file: whatever has a `query` is one, but for the variables that choose a data
/// source and take a text.
pub(super) fn queries(dashboard: &Value) -> Vec<Query> {
    let mut found = Vec::new();
    walk(dashboard, "", &mut found);
    found
}

fn walk(value: &Value, title: &str, found: &mut Vec<Query>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, title, found)),
        Value::Object(object) => {
            let title = object.get("title").and_then(Value::as_str).unwrap_or(title);
            if let Some(query) =
                object.get("query").filter(|_| value["type"] != "datasource" && value["type"] != "textbox")
            {
                let of = match value["name"].as_str() {
                    Some(variable) => format!("${variable}"),
                    None => format!("{title}/{}", value["refId"].as_str().unwrap()),
                };
                found.push(Query { of, text: query.as_str().unwrap().to_owned() });
            }
            object.values().for_each(|item| walk(item, title, found));
        }
        _ => {}
    }
}

/// The query as it reaches the database.
///
/// Grafana's formats (public/app/features/templating/formatRegistry.ts): with `regex` one value is escaped, several become
/// `(a|b)`, each escaped, in every version and wherever it stands. Without a format the InfluxDB source guesses from the
/// text around the variable, and 10.2.3 to 10.3 leave the parentheses out (grafana issue 83538). All becomes the
/// variable's `allValue` as it is. `__from` and `__to` are in ms; the time filter and the interval are put in last, by the
/// source. `now()` is the server's, and here the end of the time chosen, so that it stands still.
pub(super) fn as_sent(query: &str, choice: &Choice, dashboard: &Value) -> String {
    let mut text = query.to_owned();
    for (name, chosen) in [("vantage", &choice.vantage), ("node", &choice.node), ("probe", &choice.probe)] {
        let value = match chosen {
            Some(values) => match &values[..] {
                [value] => escape(value),
                _ => format!("({})", values.iter().map(|value| escape(value)).collect::<Vec<_>>().join("|")),
            },
            None => all_value(dashboard, name),
        };
        text = text.replace(&format!("${{{name}:regex}}"), &value);
    }
    let text = text.replace("${__from:raw}", &choice.from.to_string()).replace("${__to:raw}", &choice.to.to_string());
    let text = text.replace("now()", &format!("{}ms", choice.to));
    let filter = format!("time >= {}ms and time <= {}ms", choice.from, choice.to);
    let text = text.replace("$timeFilter", &filter).replace("$__interval", choice.interval);
    assert!(!text.replace("$/", "").replace("$)", "").contains('$'), "a variable that is never replaced: {text}");
    text
}

fn all_value(dashboard: &Value, name: &str) -> String {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variable = variables.iter().find(|variable| variable["name"] == name).unwrap();
    variable["allValue"].as_str().unwrap().to_owned()
}

/// `escapeRegex` of `@grafana/data`.
fn escape(value: &str) -> String {
    let special = |c: char| r"\^$*+?.()|[]{}/".contains(c);
    value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
