//! Accounts that move in, and what their owners can do afterwards.

mod django;
