//! A parser of line protocol, written from InfluxDB's reference and sharing nothing with the encoder. It is stricter
//! than InfluxDB: it panics on anything that the reference leaves open.

/// A value as the line has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed {
    Integer(i64),
    Float(f64),
    Text(String),
}

/// A line as InfluxDB understands it.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) measurement: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) fields: Vec<(String, Parsed)>,
    pub(crate) time: i64,
}

/// Parses every line of a body.
pub(crate) fn parse(body: &str) -> Vec<Line> {
    assert!(body.ends_with('\n'), "a line without end: {body:?}");
    body.strip_suffix('\n').unwrap().split('\n').map(line).collect()
}

fn line(text: &str) -> Line {
    let mut rest = text.chars().peekable();
    let (measurement, mut end) = key(&mut rest, &[',', ' ']);
    let mut tags = vec![];
    while end == ',' {
        let (tag, equals) = key(&mut rest, &['=', ',', ' ']);
        assert_eq!(equals, '=', "a tag without value: {text}");
        let (value, next) = key(&mut rest, &['=', ',', ' ']);
        assert_ne!(next, '=', "a second `=`: {text}");
        assert!(!tag.is_empty() && !value.is_empty(), "an empty tag: {text}");
        tags.push((tag, value));
        end = next;
    }
    let mut fields = vec![];
    while end != 'T' {
        let (field, equals) = key(&mut rest, &['=', ',', ' ']);
        assert_eq!(equals, '=', "a field without value: {text}");
        fields.push((field, value(&mut rest)));
        end = match rest.next() {
            Some(',') => ',',
            Some(' ') => 'T',
            other => panic!("{other:?} after a field: {text}"),
        };
    }
    Line { measurement, tags, fields, time: rest.collect::<String>().parse().unwrap() }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn key(rest: &mut Rest<'_>, ends: &[char]) -> (String, char) {
    let mut text = String::new();
    loop {
        match rest.next().expect("the line ends in a key") {
            // Before other characters, the meaning of a backslash differs between parsers.
            '\\' => match rest.next() {
                Some(c @ (',' | '=' | ' ')) => text.push(c),
                other => panic!("backslash before {other:?}"),
            },
            c if ends.contains(&c) => return (text, c),
            c => text.push(c),
        }
    }
}

fn value(rest: &mut Rest<'_>) -> Parsed {
    let mut text = String::new();
    if rest.next_if_eq(&'"').is_some() {
        loop {
            match rest.next().expect("the string has an end") {
                '"' => return Parsed::Text(text),
                '\\' => match rest.next() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    other => panic!("backslash before {other:?}"),
                },
                c => text.push(c),
            }
        }
    }
    while let Some(c) = rest.next_if(|c| !matches!(c, ',' | ' ')) {
        text.push(c);
    }
    match text.strip_suffix('i') {
        Some(integer) => Parsed::Integer(integer.parse().unwrap()),
        None => Parsed::Float(text.parse().unwrap()),
    }
}
