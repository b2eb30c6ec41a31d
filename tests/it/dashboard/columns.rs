//! Transformations and overrides of each panel name columns that its queries return. Grafana silently ignores a name
//! that it does not find.

use std::collections::BTreeSet;

use serde_json::Value;

use super::file::{dashboard, panels};

#[test]
fn panels_name_only_columns_that_their_queries_have() {
    for panel in panels(&dashboard()) {
        let queried = panel["targets"].as_array().unwrap().iter().flat_map(columns);
        let there: BTreeSet<String> = queried.chain(matrix(panel)).collect();
        let unknown: Vec<_> = named(panel).into_iter().filter(|name| !there.contains(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} of {there:?}", panel["title"]);
        let unknown: Vec<_> = sorted_by(panel).into_iter().filter(|name| !shown(panel).contains(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} of {:?}", panel["title"], shown(panel));
    }
}

/// The database names the display of a value after its alias, and a matrix would head every column with it: `groupBy`
/// makes fields without that (Grafana's issue 87332).
#[test]
fn a_matrix_is_made_of_fields_without_a_name_of_their_own() {
    let dashboard = dashboard();
    let matrices: Vec<_> = panels(&dashboard).into_iter().filter(|panel| matrix(panel).is_some()).collect();
    assert!(!matrices.is_empty());
    for panel in matrices {
        let steps: Vec<_> = panel["transformations"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(steps, ["groupBy", "groupingToMatrix"], "{}", panel["title"]);
    }
}

#[test]
fn a_click_on_a_node_leads_to_this_dashboard_with_its_variables() {
    let dashboard = dashboard();
    let links = panels(&dashboard).into_iter().flat_map(links);
    let (within, outside): (Vec<_>, Vec<_>) = links.partition(|link| link.starts_with('/'));
    assert!(!within.is_empty());
    // An id follows what a person entered; without that the link stays on this page.
    assert_eq!(outside, ["${trace_url:raw}${__value.raw}"; 2]);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    for link in within {
        let (path, query) = link.split_once('?').unwrap();
        assert_eq!(path, format!("/d/{}", dashboard["uid"].as_str().unwrap()));
        for set in query.split('&').filter_map(|pair| pair.strip_prefix("var-")) {
            let (name, value) = set.split_once('=').unwrap();
            assert!(variables.iter().any(|variable| variable["name"] == name), "{link}");
            assert!(value.ends_with(":percentencode}"), "a node's name may hold anything: {link}");
        }
    }
}

/// Names of what a target gives: its tags and its columns, or its series.
fn columns(target: &Value) -> Vec<String> {
    let query = target["query"].as_str().unwrap();
    // A query around another one has tags and names of its own.
    let outer = query.rsplit_once(" GROUP BY ").map_or("", |(_, by)| by.split(" fill(").next().unwrap());
    let tags = outer.strip_suffix(')').map_or(outer, |_| "").split(", ");
    let select = query.split(" FROM ").next().unwrap();
    let aliases = select.split(" AS ").skip(1).map(|rest| rest.split(',').next().unwrap());
    let bare = select.split(", ").filter(|item| !item.contains(['(', ' ']));
    let aliases = aliases.chain(bare);
    tags.chain(aliases).chain(["Time"]).chain(target["alias"].as_str()).map(str::to_owned).collect()
}

/// Names that a panel's settings and transformations refer to.
fn named(panel: &Value) -> Vec<String> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
    let transformations = panel["transformations"].as_array().into_iter().flatten();
    overrides
        .iter()
        .filter_map(|one| one["matcher"]["options"].as_str())
        // `groupBy` puts more behind a name, so that a regular expression takes its start.
        .map(|name| name.strip_prefix("/^").and_then(|name| name.strip_suffix('/')).unwrap_or(name))
        .chain(panel["options"]["xField"].as_str())
        .map(str::to_owned)
        .chain(transformations.flat_map(transformed))
        .collect()
}

/// The column that a matrix makes of the names of its rows; the others are called as the database's values are.
fn matrix(panel: &Value) -> Option<String> {
    let transformations = panel["transformations"].as_array()?;
    let options = &transformations.iter().find(|one| one["id"] == "groupingToMatrix")?["options"];
    Some(format!("{}\\{}", options["rowField"].as_str().unwrap(), options["columnField"].as_str().unwrap()))
}

/// Names that a table is sorted by: those that a person sees.
fn sorted_by(panel: &Value) -> Vec<&str> {
    let sorts = panel["options"]["sortBy"].as_array().into_iter().flatten();
    sorts.map(|sort| sort["displayName"].as_str().unwrap()).collect()
}

/// Names that columns are shown with.
fn shown(panel: &Value) -> Vec<&str> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
    let properties = overrides.iter().flat_map(|one| one["properties"].as_array().unwrap());
    properties.filter(|property| property["id"] == "displayName").map(|one| one["value"].as_str().unwrap()).collect()
}

fn transformed(transformation: &Value) -> Vec<String> {
    let options = &transformation["options"];
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let listed = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    match transformation["id"].as_str().unwrap() {
        "merge" => Vec::new(),
        "organize" => keys(&options["indexByName"]),
        "groupBy" => keys(&options["fields"]),
        "filterByValue" => listed(&options["filters"], "fieldName"),
        "sortBy" => listed(&options["sort"], "field"),
        // `groupBy` puts its aggregation in brackets behind a name.
        "groupingToMatrix" => ["rowField", "columnField", "valueField"]
            .map(|key| options[key].as_str().unwrap().split(" (").next().unwrap().to_owned())
            .into(),
        "filterFieldsByName" => {
            let names = options["exclude"]["names"].as_array().unwrap();
            names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        }
        other => panic!("which columns does {other} name?"),
    }
}

/// Targets of the links on a panel's columns.
fn links(panel: &Value) -> Vec<String> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
    let properties = overrides.iter().flat_map(|one| one["properties"].as_array().unwrap());
    let links =
        properties.filter(|property| property["id"] == "links").flat_map(|one| one["value"].as_array().unwrap());
    links.map(|link| link["url"].as_str().unwrap().to_owned()).collect()
}
