//! `bandprobe spool export`: writes the points as line protocol or CSV.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::super::{
    Exit,
    args::{Export, ExportFormat},
    eprint,
};
use crate::{
    archive::{
        damage::{Damage, DamageKind},
        reader,
    },
    model::text::made_printable,
    record::{
        csv,
        parse::parse,
        schema::{self, Measurement},
    },
    term::figure::count,
};

/// Writes lines, and counts what cannot be written.
struct Writer<'a> {
    out: BufWriter<Box<dyn Write + 'a>>,
    format: ExportFormat,
    measurement: Option<&'static Measurement>,
    since: Option<Timestamp>,
    row: String,
    problems: u64,
    /// Number of tags and fields that have no column.
    unknown: u64,
}

/// Exports what can be read. Problems are printed, and the rest is still written.
pub(super) fn export(dir: &Path, args: &Export) -> anyhow::Result<Exit> {
    let since = args.since.map(|since| anyhow::Ok(Timestamp::now() - SignedDuration::try_from(since)?)).transpose()?;
    let lines = reader::lines(dir, since)?;
    let out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(io::stdout().lock()),
    };
    let measurement = match args.format {
        ExportFormat::LineProtocol => args.measurement,
        ExportFormat::Csv => args.measurement.or(Some(&schema::transfer::MEASUREMENT)),
    };
    let (row, out) = (String::new(), BufWriter::new(out));
    let mut writer = Writer { out, format: args.format, measurement, since, row, problems: 0, unknown: 0 };
    let written = writer.write(lines);
    match &args.output {
        Some(path) => written.with_context(|| format!("cannot write {}", path.display()))?,
        None => written?,
    }
    Ok(writer.finish())
}

impl Writer<'_> {
    fn write(&mut self, lines: reader::Lines) -> io::Result<()> {
        if let (ExportFormat::Csv, Some(measurement)) = (self.format, self.measurement) {
            csv::header(measurement, &mut self.row);
            self.out.write_all(self.row.as_bytes())?;
        }
        for line in lines {
            match line {
                Ok(line) if !self.is_wanted(&line) => {}
                Ok(line) => match self.format {
                    ExportFormat::LineProtocol => writeln!(self.out, "{line}")?,
                    ExportFormat::Csv => self.write_row(&line)?,
                },
                // The file was set aside earlier, so this export did not fail.
                Err(Damage { file, kind: kind @ DamageKind::SetAside(_) }) => {
                    eprint(&Damage { file, kind }.to_string())
                }
                Err(damage) => self.note_problem(&damage.to_string()),
            }
        }
        self.out.flush()
    }

    fn write_row(&mut self, line: &str) -> io::Result<()> {
        let (Some(measurement), Some(point)) = (self.measurement, parse(line)) else {
            let beginning: String = line.chars().take(SHOWN).collect();
            self.note_problem(&format!("left out a line that is not a point: {}", made_printable(&beginning)));
            return Ok(());
        };
        self.row.clear();
        self.unknown += csv::row(measurement, &point, &mut self.row) as u64;
        self.out.write_all(self.row.as_bytes())
    }

    /// Whether the line is of the measurement and new enough. A file may also contain lines from before `since`. Names
    /// of measurements contain nothing that line protocol escapes.
    fn is_wanted(&self, line: &str) -> bool {
        let is_of = |measurement: &Measurement| {
            line.strip_prefix(measurement.name).is_some_and(|rest| rest.starts_with([',', ' ']))
        };
        self.measurement.is_none_or(is_of)
            && self.since.is_none_or(|since| time_of(line) >= Some(since.as_nanosecond()))
    }

    fn note_problem(&mut self, problem: &str) {
        self.problems += 1;
        if self.problems <= MAX_PROBLEMS {
            eprint(problem);
        }
    }

    fn finish(&self) -> Exit {
        if self.unknown > 0 {
            eprint(&format!(
                "{} of a newer version left out: this version has no column for them",
                count(self.unknown, "value")
            ));
        }
        if self.problems > MAX_PROBLEMS {
            eprint(&format!("{} more", count(self.problems - MAX_PROBLEMS, "problem")));
        }
        if self.problems > 0 { Exit::Failed } else { Exit::Done }
    }
}

/// The time at the end of a line, in ns.
fn time_of(line: &str) -> Option<i128> {
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The most problems that are printed one by one: a damaged file may have one in each line.
const MAX_PROBLEMS: u64 = 20;
/// How many characters are shown of a line that is not a point.
const SHOWN: usize = 60;
