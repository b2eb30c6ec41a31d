//! The only list of measurements, tags and fields, and of the type of each field.
//!
//! InfluxDB keeps the type of a field forever, so a change here breaks every database in use. A test compares the
//! tables with a file. Integers are signed 64 bit. Booleans are written as the integers 0 and 1, so that `mean()` is a
//! share.

/// One measurement: the tags and fields that its points can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Its name in the database.
    pub name: &'static str,
    /// Its tags. Every point has all of them.
    pub tags: &'static [Tag],
    /// Its fields, in the order in which they are written. A value that was not measured is absent.
    pub fields: &'static [Field],
}

/// The key of a tag. Only values from bounded sets are tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub &'static str);

/// A field of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// The type of its values; never changes.
    pub kind: Kind,
    /// The unit of its values: `1` for a count, `0/1` for yes or no, empty for text.
    pub unit: &'static str,
}

/// Types of field values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed, 64 bit.
    Integer,
    /// Finite, 64 bit.
    Float,
    /// UTF-8 without control characters.
    Text,
}

/// The value of a tag that is not known.
pub const NONE: &str = crate::model::tag::UNKNOWN;

/// All measurements.
pub static ALL: &[&Measurement] =
    &[&transfer::MEASUREMENT, &window::MEASUREMENT, &node::MEASUREMENT, &worker::MEASUREMENT];

impl Kind {
    /// The word for the type in the documentation.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Text => "string",
        }
    }
}

macro_rules! measurement {
    (
        $(#[$doc:meta])* $module:ident $name:literal
        tags { $($tag:ident $key:literal)* }
        fields { $($field:ident $field_key:literal $kind:ident $unit:literal)* }
    ) => {
        $(#[$doc])*
        pub mod $module {
            use super::{Field, Kind, Measurement, Tag};

            $(#[doc = concat!("Tag `", $key, "`.")] pub const $tag: Tag = Tag($key);)*
            $(
                #[doc = concat!("Field `", $field_key, "` (", $unit, ").")]
                pub const $field: Field = Field { name: $field_key, kind: Kind::$kind, unit: $unit };
            )*
            /// The table of this measurement.
            pub static MEASUREMENT: Measurement =
                Measurement { name: $name, tags: &[$($tag),*], fields: &[$($field),*] };
        }
    };
}

measurement! {
    /// One point per attempted transfer, the HEAD checks included.
    transfer "bandprobe_transfer"
    tags {
        VANTAGE "vantage"
        NODE "node"
        REGION "region"
        PROBE "probe"
        KIND "kind"
        PART "part"
        CONN "conn"
        HTTP "http"
        FAMILY "family"
        CACHE "cache"
        OUTCOME "outcome"
    }
    fields {
        OK "ok" Integer "0/1"
        VALID "valid" Integer "0/1"
        LATENESS "lateness_us" Integer "µs"
        METHOD "method" Integer "1"
        HIT "hit" Integer "0/1"
        RUN_OK "run_ok" Integer "0/1"
        DNS "dns_us" Integer "µs"
        CONNECT "connect_us" Integer "µs"
        TLS "tls_us" Integer "µs"
        SEND "send_us" Integer "µs"
        WAIT "wait_us" Integer "µs"
        RECEIVE "receive_us" Integer "µs"
        TTFB "ttfb_us" Integer "µs"
        SERVER_TIME "server_us" Integer "µs"
        TOTAL "total_us" Integer "µs"
        BYTES "bytes" Integer "bytes"
        EXPECTED_BYTES "expected_bytes" Integer "bytes"
        STATUS "status" Integer "1"
        EFFECTIVE "effective_bps" Integer "bit/s"
        GOODPUT "goodput_bps" Integer "bit/s"
        STEADY "steady_bps" Integer "bit/s"
        MIN_INTERVAL "min_interval_bps" Integer "bit/s"
        RAMP "ramp_us" Integer "µs"
        LONGEST_GAP "longest_gap_us" Integer "µs"
        STALLS "stalls" Integer "1"
        STALLED "stalled_us" Integer "µs"
        FLAGS "flags" Text ""
        DISTANCE "distance_km" Float "km"
        RTT "rtt_us" Integer "µs"
        RCV_RTT "rcv_rtt_us" Integer "µs"
        OOO_SEGMENTS "ooo_segments" Integer "1"
        RCV_WND "rcv_wnd_bytes" Integer "bytes"
        RX_LAG "rx_lag_p90_us" Integer "µs"
        CPU_SHARE "cpu_share" Float "1"
        RUN_DELAY "run_delay_us" Integer "µs"
        CERT_EXPIRES "cert_expires_s" Integer "s"
        TLS_VERSION "tls_version" Text ""
        ASSET_ID "asset_id" Text ""
        REMOTE_ADDR "remote_addr" Text ""
        SERVER "server" Text ""
        DATA_SOURCE "data_source" Text ""
        TRACE_ID "trace_id" Text ""
        REQUEST_ID "request_id" Text ""
        FAILED_PHASE "failed_phase" Text ""
        ERROR "error" Text ""
    }
}

measurement! {
    /// One point per series and window. Its time is the start of the first transfer in the window. Times are in µs,
    /// rates in bit/s.
    window "bandprobe_window"
    tags {
        VANTAGE "vantage"
        NODE "node"
        REGION "region"
        PROBE "probe"
        KIND "kind"
        PART "part"
        CONN "conn"
        CACHE "cache"
        METRIC "metric"
    }
    fields {
        COUNT "count" Integer "1"
        MIN "min" Integer "of metric"
        MAX "max" Integer "of metric"
        P10 "p10" Integer "of metric"
        P50 "p50" Integer "of metric"
        P90 "p90" Integer "of metric"
        P99 "p99" Integer "of metric"
        WINDOW "window_us" Integer "µs"
        HDR "hdr" Text ""
    }
}

measurement! {
    /// One point per node and round of the status probe. `state_code`, `state` and `reason` are always present, and
    /// `up` is present except in the state `unknown`.
    node "bandprobe_node"
    tags {
        VANTAGE "vantage"
        NODE "node"
        REGION "region"
        ROLE "role"
    }
    fields {
        STATE_CODE "state_code" Integer "1"
        STATE "state" Text ""
        REASON "reason" Text ""
        UP "up" Integer "0/1"
        LATENCY "latency_us" Integer "µs"
        STATUS "status" Integer "1"
        BLOCKS_BEHIND "blocks_behind" Integer "blocks"
        HEAD_BEHIND "head_behind" Integer "blocks"
        UPTIME "uptime_s" Integer "s"
        RESTARTED "restarted" Integer "0/1"
        VERSION "version" Text ""
        NODE_ENV "node_env" Text ""
        STORAGE_USED "storage_used" Integer "bytes"
        STORAGE_LIMIT "storage_limit" Integer "bytes"
        CACHED_OBJECTS "cached_objects" Integer "1"
        DOWNLOADS_IN_PROGRESS "downloads_in_progress" Integer "1"
        DISTRIBUTING "distributing" Integer "0/1"
        OPERATORS "operators" Text ""
        DISTANCE "distance_km" Float "km"
        ERROR "error" Text ""
    }
}

measurement! {
    /// One point per minute: the health of the worker itself. Counts are those since its last point.
    worker "bandprobe_worker"
    tags {
        VANTAGE "vantage"
        WORKER "worker"
    }
    fields {
        RUNS_STARTED "runs_started" Integer "1"
        RUNS_MISSED "runs_missed" Integer "1"
        RUNS_LATE "runs_late" Integer "1"
        RUNS_SKIPPED_BUDGET "runs_skipped_budget" Integer "1"
        TRANSFERS "transfers" Integer "1"
        FAILED "failed" Integer "1"
        POINTS_WRITTEN "points_written" Integer "1"
        POINTS_REJECTED "points_rejected" Integer "1"
        POINTS_DROPPED "points_dropped" Integer "1"
        VALUES_CLAMPED "values_clamped" Integer "1"
        VALUES_DROPPED "values_dropped" Integer "1"
        RETRIES "retries" Integer "1"
        BYTES_DOWNLOADED "bytes_downloaded" Integer "bytes"
        TARGETS_ADDED "targets_added" Integer "1"
        TARGETS_REMOVED "targets_removed" Integer "1"
        LOOKUPS_ABANDONED "lookups_abandoned" Integer "1"
        ROUNDS_MISSED "rounds_missed" Integer "1"
        LOG_LINES_DROPPED "log_lines_dropped" Integer "1"
        FROZEN "frozen_us" Integer "µs"
        LATENESS_P99 "lateness_p99_us" Integer "µs"
        SCHEDULE_DELAY "schedule_delay_us" Integer "µs"
        ROUND "round_us" Integer "µs"
        SPOOL_BYTES "spool_bytes" Integer "bytes"
        SPOOL_AGE "spool_age_s" Integer "s"
        CPU "cpu_us" Integer "µs"
        RSS "rss_bytes" Integer "bytes"
        NODES "nodes" Integer "1"
        TARGETS_AGE "targets_age_s" Integer "s"
        VANTAGE_OK "vantage_ok" Integer "0/1"
        CHAIN_STILL "chain_still_s" Integer "s"
        CLOCK_OFFSET "clock_offset_ms" Integer "ms"
        VERSION "version" Text ""
        CONFIG_HASH "config_hash" Text ""
    }
}
