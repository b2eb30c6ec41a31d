//! What a user wrote.
