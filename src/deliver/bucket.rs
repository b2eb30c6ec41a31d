//! Where points are delivered to.

/// The bucket that is written to, as configured. Never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Scheme, host, port, and the path if there is one.
    pub root: String,
    /// Name of the organisation.
    pub org: String,
    /// Name of the bucket.
    pub name: String,
    /// Where the token was read from.
    pub token_from: String,
}
