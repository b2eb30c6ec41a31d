//! (this room is being furnished)
