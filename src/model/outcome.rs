//! How a transfer ended: `ok`, or the one reason why not. A closed set, because it is a tag and because a person has to
//! be able to learn it.

use std::fmt;

/// The one home of the labels: variant, label, what it means to a person.
macro_rules! outcomes {
    ($($variant:ident $label:literal $meaning:literal)*) => {
        /// How a transfer ended. A failure is a result and is recorded like one; it is never an `Err`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Outcome {
            $(#[doc = $meaning] $variant,)*
        }

        impl Outcome {
            /// All of them, in the order in which a transfer can meet them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that the outside sees.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// One clause that explains the outcome to a person.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

outcomes! {
    Ok "ok" "the wanted bytes arrived and passed every check"
    Blocked "blocked" "our own address policy refuses this address"
    NotCached "not_cached" "the node holds none of the candidate assets in its cache"
    LocalFailed "local_failed" "our own fault (descriptors, memory, no route, a freeze): not charged to the node"
    Cancelled "cancelled" "we are shutting down; never recorded as a sample"
    DnsNotFound "dns_not_found" "the name does not exist, or has no address of the wanted family"
    DnsTimeout "dns_timeout" "no answer from the resolver in time"
    DnsFailed "dns_failed" "the resolver answered with an error"
    ConnectRefused "connect_refused" "nothing listens on that port"
    ConnectTimeout "connect_timeout" "no answer to our SYN in time"
    ConnectFailed "connect_failed" "the network reports the address as unreachable"
    TlsUntrusted "tls_untrusted" "no authority that we trust vouches for the certificate"
    TlsExpired "tls_expired" "the certificate is expired or not valid yet"
    TlsWrongName "tls_wrong_name" "the certificate is for another name"
    TlsUnsupported "tls_unsupported" "our TLS client lacks what the node asks for: a limit of ours, not charged to the node"
    TlsFailed "tls_failed" "the TLS handshake failed for another reason"
    TlsTimeout "tls_timeout" "the TLS handshake did not end in time"
    HeadersTimeout "headers_timeout" "no complete response head in time"
    HeadersInvalid "headers_invalid" "the response head is not HTTP"
    HeadersTooLarge "headers_too_large" "the response head is over our limit"
    Redirected "redirected" "the node answered with a redirect, which we do not follow silently"
    ObjectNotFound "object_not_found" "the node does not know this object"
    RouteNotFound "route_not_found" "the node does not know this path: its endpoint prefix is wrong"
    Misdirected "misdirected" "the node does not serve this object (421)"
    RangeUnsatisfiable "range_unsatisfiable" "the range lies beyond the asset (416)"
    RateLimited "rate_limited" "the node asks us to slow down (429, or 503 with Retry-After)"
    Http4xx "http_4xx" "a client error (4xx) of another kind than those above"
    Http5xx "http_5xx" "a server error"
    WrongStatus "wrong_status" "a status that no download should have (101, 204, 304 and the like)"
    BodyTimeout "body_timeout" "the body did not end before its deadline, which is shorter than the time that tells a stall"
    Stalled "stalled" "the body stopped flowing"
    Reset "reset" "the connection broke in mid-transfer"
    Truncated "truncated" "the body ended before its announced length"
    BodyInvalid "body_invalid" "the body breaks its framing, or has an encoding that we did not ask for"
    WrongRange "wrong_range" "the node sent other bytes than those asked for"
    WrongSize "wrong_size" "the size differs from the one known"
    WrongType "wrong_type" "the content type is not that of the asset"
    WrongHash "wrong_hash" "the content differs from the registered hash"
}

impl Outcome {
    /// Did the transfer do what it was for?
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Did it fail before a request could be sent: at the name, the connection or TLS?
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

    /// Is the node, or the path to it, responsible for it? The other outcomes are our own, or no fault at all.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        !matches!(self, Self::Blocked | Self::NotCached | Self::LocalFailed | Self::Cancelled | Self::TlsUnsupported)
    }

    /// Did nothing come in time?
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

    /// What whoever asked can do about it: one clause; `None` where nothing is wrong with node or path.
    #[must_use]
    pub const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Blocked => "if the address is yours, allow it with `network.allow-private`",
            Self::NotCached => "nothing to do: what a miss costs is asked by the probe `cold-cache`",
            Self::LocalFailed => {
                "look at the error, then at this process: its limits (ulimit -n), memory and routes, and whether it ran at all"
            }
            Self::DnsNotFound => "look at the spelling, and whether the name has an address of the wanted family",
            Self::DnsTimeout | Self::DnsFailed => "ask another resolver: `network.resolver`, /etc/resolv.conf",
            Self::ConnectRefused => "look at the port, and whether the node is up",
            Self::ConnectTimeout => "look for a firewall on the way, and ask from another network",
            Self::ConnectFailed => "look at the routes of this host, those of IPv6 above all",
            Self::TlsUntrusted => "if its authority is yours, trust it: --ca-file, `network.ca-file`",
            Self::TlsFailed => "the node's operator has to fix what is named above",
            Self::TlsUnsupported => {
                "measure this node with another client; what ours supports is under Limits in the README"
            }
            Self::TlsExpired => "if this machine's clock is right, the operator has to renew the certificate",
            Self::TlsWrongName => "ask by a name that the certificate holds",
            Self::Redirected => "ask the URL that it leads to",
            Self::ObjectNotFound => "look at the id, and whether this node has to serve that object",
            Self::RouteNotFound => "look at the path: the API may begin at another prefix",
            Self::RangeUnsatisfiable => "ask for bytes that the asset has (--range)",
            Self::RateLimited => "ask less often, and again when the time that it named has passed",
            Self::BodyTimeout => "give it more time: --deadline, or `deadline.body`",
            Self::WrongType => "look at what was asked for (--expect, the asset's kind) before blaming the node",
            Self::WrongSize | Self::WrongHash => {
                "look whether the size and hash that are known are those of this object"
            }
            Self::Ok | Self::Cancelled => return None,
            _ => "if it happens again, tell the node's operator, with the ids of the request (-v, --json)",
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
