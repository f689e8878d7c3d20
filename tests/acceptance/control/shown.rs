//! What people see of control tasks: their state as sentences, and the bracket.
