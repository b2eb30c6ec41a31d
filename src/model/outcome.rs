//! How a transfer ended: `ok`, or the one reason why it failed. The set is closed, because the outcome is a tag and
//! because people have to learn the words.

use std::fmt;

/// The only list of the outcomes: variant, label and meaning.
macro_rules! outcomes {
    ($($variant:ident $label:literal $meaning:literal)*) => {
        /// How a transfer ended. A failure is a result and is recorded like any other; it is never an `Err`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Outcome {
            $(#[doc = $meaning] $variant,)*
        }

        impl Outcome {
            /// All outcomes, in the order in which a transfer can meet them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of the `outcome` tag.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// One clause that explains the outcome to a reader.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

outcomes! {
    Ok "ok" "all requested bytes arrived and passed every check"
    Blocked "blocked" "bandprobe's own address policy forbids the address"
    NotCached "not_cached" "the node holds none of the assets that were tried, so nothing was downloaded"
    LocalFailed "local_failed" "the fault is on this machine (descriptors, memory, routes, a freeze): not charged to the node"
    Cancelled "cancelled" "bandprobe was shutting down; never recorded"
    DnsNotFound "dns_not_found" "the name does not exist, or has no address of the requested family"
    DnsTimeout "dns_timeout" "no answer from the name servers in time"
    DnsFailed "dns_failed" "the name servers failed or refused"
    ConnectRefused "connect_refused" "nothing listens on the port"
    ConnectTimeout "connect_timeout" "no answer to the connection attempt in time"
    ConnectFailed "connect_failed" "the address is unreachable"
    TlsUntrusted "tls_untrusted" "the certificate does not come from a trusted authority"
    TlsExpired "tls_expired" "the certificate has expired or is not valid yet"
    TlsWrongName "tls_wrong_name" "the certificate belongs to another host"
    TlsUnsupported "tls_unsupported" "the node requires something that bandprobe's TLS does not support: not charged to the node"
    TlsFailed "tls_failed" "the TLS handshake failed for another reason"
    TlsTimeout "tls_timeout" "the TLS handshake was not complete in time"
    HeadersTimeout "headers_timeout" "no complete response head in time"
    HeadersInvalid "headers_invalid" "the response is not HTTP"
    HeadersTooLarge "headers_too_large" "the response head is too large"
    Redirected "redirected" "a redirect, which bandprobe does not follow"
    ObjectNotFound "object_not_found" "the node does not know the object"
    RouteNotFound "route_not_found" "the node does not know the path, so its endpoint is probably wrong"
    Misdirected "misdirected" "the node does not serve the object (421)"
    RangeUnsatisfiable "range_unsatisfiable" "the range lies beyond the end of the object (416)"
    RateLimited "rate_limited" "the node asks for fewer requests (429, or 503 with Retry-After)"
    Http4xx "http_4xx" "another client error (4xx)"
    Http5xx "http_5xx" "a server error (5xx)"
    WrongStatus "wrong_status" "a status that no download should have, such as 101, 204 or 304"
    BodyTimeout "body_timeout" "no body byte came before the body deadline"
    Stalled "stalled" "the body stopped flowing"
    Reset "reset" "the connection broke during the transfer"
    Truncated "truncated" "the body ended before its announced length"
    BodyInvalid "body_invalid" "the framing of the body is invalid, or it has an encoding that was not asked for"
    WrongRange "wrong_range" "the node sent other bytes than the requested ones"
    WrongSize "wrong_size" "the size is not the known one"
    WrongType "wrong_type" "the content type does not fit the kind of the asset"
    WrongHash "wrong_hash" "the content does not match the known hash"
}

impl Outcome {
    /// Whether the transfer succeeded.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Whether the transfer failed before a request could be sent: at the name look-up, the connection or TLS.
    #[must_use]
    pub const fn is_before_request(self) -> bool {
        matches!(
            self,
            Self::DnsNotFound
                | Self::DnsTimeout
                | Self::DnsFailed
                | Self::ConnectRefused
                | Self::ConnectTimeout
                | Self::ConnectFailed
                | Self::TlsUntrusted
                | Self::TlsExpired
                | Self::TlsWrongName
                | Self::TlsFailed
                | Self::TlsTimeout
        )
    }

    /// Whether the failure is charged to the node or the path to it. The other outcomes have causes on our side, or no
    /// one is at fault.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        !matches!(self, Self::Blocked | Self::NotCached | Self::LocalFailed | Self::Cancelled | Self::TlsUnsupported)
    }

    /// Whether a deadline passed without a response or data.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::DnsTimeout
                | Self::ConnectTimeout
                | Self::TlsTimeout
                | Self::HeadersTimeout
                | Self::BodyTimeout
                | Self::Stalled
        )
    }

    /// One clause that says what the reader can do about it; `None` when nothing is wrong with the node or the path.
    #[must_use]
    pub const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Blocked => "if the address is yours, allow it with `network.allow-private`",
            Self::NotCached => "nothing to do: the probe `cold-cache` measures what a miss costs",
            Self::LocalFailed => {
                "read the error, then check this process: its limits (ulimit -n), memory and routes, and whether it was stopped"
            }
            Self::DnsNotFound => "check the spelling, and that the name has an address of the requested family",
            Self::DnsTimeout | Self::DnsFailed => "try another resolver: `network.resolver`, /etc/resolv.conf",
            Self::ConnectRefused => "check the port, and that the node is running",
            Self::ConnectTimeout => "look for a firewall on the path, and try from another network",
            Self::ConnectFailed => "check the routes of this machine, especially those of IPv6",
            Self::TlsUntrusted => "if the authority is your own, trust it with --ca-file or `network.ca-file`",
            Self::TlsFailed => "the node's operator has to fix the error above",
            Self::TlsUnsupported => {
                "use another client for this node; see \"Limits\" on the documentation's operations page"
            }
            Self::TlsExpired => {
                "check the clock of this machine; if it is right, the operator has to renew the certificate"
            }
            Self::TlsWrongName => "use a host name that is in the certificate",
            Self::Redirected => "use the URL that it redirects to",
            Self::ObjectNotFound => "check the id, and whether this node is supposed to serve the object",
            Self::RouteNotFound => "check the path: the API may have another prefix",
            Self::RangeUnsatisfiable => "ask for a range inside the object (--range)",
            Self::RateLimited => "probe less often, and wait as long as the node asks before you try again",
            Self::BodyTimeout => "allow more time: --deadline, or `deadline.body`",
            Self::WrongType => "check what you asked for (--expect, or the asset's kind) before you blame the node",
            Self::WrongSize | Self::WrongHash => {
                "check that the size and hash in the config or the registry are those of this object"
            }
            Self::Ok | Self::Cancelled => return None,
            _ => "if it happens again, report it to the node's operator with the ids of the request (-v, --json)",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unique_and_fit_a_tag() {
        let mut labels: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.label()).collect();
        assert!(
            labels
                .iter()
                .all(|label| { label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') })
        );
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Outcome::ALL.len());
    }
}
